#!/bin/sh
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/primes.c" <<'SOURCE'
#include <stdio.h>
#include <stdlib.h>

/* Counts the primes below five million. */
int main(void) {
  enum { limit = 5000000 };
  char *composite = calloc(limit, 1);
  int count = 0;
  if (!composite) return 1;
  for (int i = 2; i < limit; i++) {
    if (composite[i]) continue;
    count++;
    for (long j = (long)i * i; j < limit; j += i) composite[j] = 1;
  }
  printf("%d\n", count);
  free(composite);
  return 0;
}
SOURCE
gcc -O2 -o /usr/local/bin/bench-primes "$work/primes.c"
/usr/local/bin/bench-primes >/srv/bench/primes
