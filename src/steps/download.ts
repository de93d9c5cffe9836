import { shQuote } from '../util/sh-quote.ts'
import { ownFolder, ownPath } from './shell.ts'

/** Where what is fetched lies until it is in place. */
export const downloadPath = ownPath('part')

/**
 * `download URL SHA256` leaves the file at `downloadPath`, or fails. It goes on where an earlier try ended, another run of the
 * step included, and throws away what is not what it should be.
 */
export const download = `has_digest() { # FILE SHA256
  DIGEST=$(sha256sum "$1" 2>/dev/null) || return 1
  DIGEST=\${DIGEST%% *}
  [ "$DIGEST" = "$2" ]
}
size_of() { # FILE
  if [ -e "$1" ]; then wc -c <"$1"; else echo 0; fi
}
get() { # URL FILE
  if have curl; then
    curl -q -fsSL --proto '=http,https' --connect-timeout 20 --speed-limit 1 --speed-time 60 -C - -o "$2" "$1"
  elif have wget; then
    wget -q -c -T 60 -O "$2" "$1"
  elif have python3; then
    python3 -c '
import os, shutil, sys, urllib.request
url, path = sys.argv[1:]
size = os.path.getsize(path) if os.path.exists(path) else 0
request = urllib.request.Request(url, headers={"Range": "bytes=%d-" % size} if size else {})
try:
    with urllib.request.urlopen(request, timeout=60) as answer:
        with open(path, "ab" if answer.status == 206 else "wb") as file:
            shutil.copyfileobj(answer, file)
            length = answer.headers.get("Content-Length")
            if length and os.path.getsize(path) < int(length): sys.exit("the answer was cut off")
except OSError as error: sys.exit("%s" % error)
' "$1" "$2"
  else
    fail 'curl, wget or python3 is needed to fetch'
  fi
}
download() { # URL SHA256
  mkdir -p ${ownFolder}
  part=${downloadPath} tries=1
  until has_digest "$part" "$2"; do
    before=$(size_of "$part")
    if get "$1" "$part"; then
      if has_digest "$part" "$2"; then break; fi
      rm -f "$part"
      if [ "$before" = 0 ]; then fail "what $1 gives has the digest $DIGEST, not $2"; fi
    elif [ "$before" != 0 ] && [ "$(size_of "$part")" -le "$before" ]; then
      # What cannot be gone on with is begun again.
      rm -f "$part"
    fi
    if [ "$tries" -ge 5 ]; then fail "$1 cannot be fetched"; fi
    sleep "$((tries * 2))"
    tries=$((tries + 1))
  done
}
`

/** The call of \`download\`. */
export function callDownload(url: string, sha256: string): string {
  return `download ${shQuote(url)} ${sha256}\n`
}
