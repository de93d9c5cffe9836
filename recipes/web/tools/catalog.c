/* Builds the catalogue: the primes below a limit, with their number first. Stands for any tool that a team compiles. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  long limit = argc > 1 ? atol(argv[1]) : 0;
  if (limit < 2 || limit > 100000000) {
    fprintf(stderr, "usage: build-catalog LIMIT (2 to 100000000)\n");
    return 2;
  }
  char *composite = calloc((size_t)limit + 1, 1);
  if (composite == NULL) return 1;
  long count = 0;
  for (long n = 2; n <= limit; n++) {
    if (composite[n]) continue;
    count++;
    for (long multiple = n * n; multiple <= limit; multiple += n) composite[multiple] = 1;
  }
  printf("primes %ld\n", count);
  for (long n = 2; n <= limit; n++)
    if (!composite[n]) printf("%ld\n", n);
  free(composite);
  return 0;
}
