#!/bin/sh
# Runs a step with its secrets in its environment: secrets.sh CONF NAMES COMMAND [ARGUMENT...]
# CONF is agent.conf, with lines secret.NAME=SOURCE; NAMES a file with a name a line. Values are fetched here, on the host, and
# are in the environment of COMMAND alone: in no argument, in no file but one in memory that root alone can read while the step
# runs, and masked in what it prints.
set -u
umask 077
LC_ALL=C
export LC_ALL

conf=$1 names=$2
shift 2

die() {
  echo "parbake: $*" >&2
  exit 1
}

# The value of a setting in CONF, the last one of that name; false where there is none.
setting() { # NAME
  st_found=1 st_value=
  while IFS= read -r st_line || [ -n "$st_line" ]; do
    case $st_line in "$1="*) st_value=${st_line#*=} st_found=0 ;; esac
  done <"$conf"
  printf %s "$st_value"
  return $st_found
}

# Prints the value that a source has.
fetch() { # SOURCE
  case $1 in
  file:/*) cat -- "${1#file:}" ;;
  env:/*#*) from_env_file "${1#env:}" ;;
  command:?*) sh -c "${1#command:}" </dev/null ;;
  ssm:* | secretsmanager:* | vault:*) from_service "$1" ;;
  *) return 1 ;;
  esac
}

# A line NAME=value of a file like those of systemd's EnvironmentFile.
from_env_file() { # FILE#NAME
  ff_name=${1##*#} ff_found=1
  while IFS= read -r ff_line || [ -n "$ff_line" ]; do
    ff_line=${ff_line#export }
    case $ff_line in "$ff_name="*) ;; *) continue ;; esac
    ff_value=${ff_line#*=}
    case $ff_value in
    \"*\") ff_value=${ff_value#?} ff_value=${ff_value%?} ;;
    \'*\') ff_value=${ff_value#?} ff_value=${ff_value%?} ;;
    esac
    ff_found=0
  done <"${1%#*}"
  [ $ff_found -eq 0 ] && printf %s "$ff_value"
}

# Parameter Store and Secrets Manager by the role of this instance, Vault by the token in vault-token beside CONF.
from_service() { # SOURCE
  command -v python3 >/dev/null 2>&1 || die "python3 is needed for a source ${1%%:*}"
  # Standard input holds the program, so the rest goes by arguments: none of it is secret.
  python3 - "$1" "$(setting imds || echo http://169.254.169.254)" "${conf%/*}/vault-token" <<'PYTHON'
import datetime, hashlib, hmac, json, sys, urllib.parse, urllib.request

source, imds, token_file = sys.argv[1:]


def http(url, headers=(), body=None, method=None):
    request = urllib.request.Request(url, body, dict(headers), method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read().decode()


def metadata(path, token):
    return http(imds + "/latest/" + path, {"X-aws-ec2-metadata-token": token})


def aws(service, target, body, endpoint):
    token = http(imds + "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "300"}, method="PUT")
    place = "meta-data/iam/security-credentials/"
    keys = json.loads(metadata(place + metadata(place, token).split()[0], token))
    region = metadata("meta-data/placement/region", token)
    url = endpoint or "https://%s.%s.amazonaws.com/" % (service, region)
    data = json.dumps(body).encode()
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": urllib.parse.urlsplit(url).netloc,
        "x-amz-date": now,
        "x-amz-security-token": keys["Token"],
        "x-amz-target": target,
    }
    names = ";".join(headers)
    canonical = "\n".join(
        ["POST", urllib.parse.urlsplit(url).path or "/", "", *("%s:%s" % each for each in headers.items()), "", names,
         hashlib.sha256(data).hexdigest()])
    scope = "%s/%s/%s/aws4_request" % (now[:8], region, service)
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + keys["SecretAccessKey"]).encode()
    for part in (now[:8], region, service, "aws4_request", text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    headers["authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (
        keys["AccessKeyId"], scope, names, key.hex())
    return json.loads(http(url, headers, data))


def field(value, name):
    return value if name == "" else json.loads(value)[name]


try:
    kind, rest = source.split(":", 1)
    rest, _, name = rest.partition("#")
    if kind == "vault":
        with open(token_file) as file:
            token = file.read().strip()
        data = json.loads(http(rest, {"X-Vault-Token": token, "X-Vault-Request": "true"}))["data"]
        # Version 2 of the key-value engine wraps it once more.
        value = (data["data"] if isinstance(data.get("data"), dict) else data)[name]
    else:
        rest, _, endpoint = rest.partition("?endpoint=")
        if kind == "ssm":
            answer = aws("ssm", "AmazonSSM.GetParameter", {"Name": rest, "WithDecryption": True}, endpoint)
            value = field(answer["Parameter"]["Value"], name)
        else:
            answer = aws("secretsmanager", "secretsmanager.GetSecretValue", {"SecretId": rest}, endpoint)
            value = field(answer["SecretString"], name)
    sys.stdout.write(value if isinstance(value, str) else json.dumps(value))
except urllib.error.HTTPError as error:
    # What a service says may quote what it was asked for, and no more.
    sys.exit("parbake: %s answered %d" % (kind, error.code))
except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
    sys.exit("parbake: %s: %s" % (kind, type(error).__name__))
PYTHON
}

# Copies standard input with every value that is in the variables named by the arguments replaced, line by line of it: longer
# ones first, for one may be part of another.
mask() {
  awk '
    BEGIN {
      for (i = 1; i < ARGC; i++) {
        count = split(ENVIRON[ARGV[i]], lines, "\n")
        for (j = 1; j <= count; j++) if (lines[j] != "" && (count == 1 || length(lines[j]) > 3)) value[++n] = lines[j]
        ARGV[i] = ""
      }
      for (i = 2; i <= n; i++) for (j = i; j > 1 && length(value[j]) > length(value[j - 1]); j--) {
        swap = value[j]; value[j] = value[j - 1]; value[j - 1] = swap
      }
    }
    {
      rest = $0
      for (i = 1; i <= n; i++) {
        done = ""
        while ((at = index(rest, value[i])) > 0) {
          done = done substr(rest, 1, at - 1) "***"
          rest = substr(rest, at + length(value[i]))
        }
        rest = done rest
      }
      print rest
    }
  ' "$@"
}

# What was printed and is not masked yet lies in memory, so it is bounded while it grows: of what is dropped the beginning and
# the end are kept, in whole lines only, for half a secret could not be told. SED takes lines off that are none.
bound() { # SED
  [ -n "$(find "$output" -size +8192)" ] || return 0
  # shellcheck disable=SC2086  # names have no blanks
  {
    [ -e "$output.head" ] || head -c 1048576 "$output" | sed '$d' | mask $all >"$output.head"
    tail -c 65536 "$output" | sed "$1" | mask $all >"$output.tail"
  }
  rm -f "$output.open"
  [ -z "$(tail -c 1 "$output")" ] || : >"$output.open"
  : >"$output"
}

[ -r "$conf" ] || die "$conf cannot be read, and it says where secrets come from"
set -f
all=
while IFS= read -r name; do
  case $name in '' | [!A-Za-z_]* | *[!A-Za-z0-9_]*) die "'$name' is no name of a secret" ;; esac
  source=$(setting "secret.$name") || die "secret $name has no source: hosts.secrets of parbake.yaml names none"
  value=$(fetch "$source") || die "secret $name cannot be had from its source, ${source%%:*}"
  [ -n "$value" ] || die "secret $name is empty at its source, ${source%%:*}"
  export "$name=$value"
  all="$all $name"
done <"$names"
unset value source

folder=/run/parbake
mkdir -p "$folder" 2>/dev/null && [ -w "$folder" ] || folder=${TMPDIR:-/tmp}
output=$(mktemp "$folder/output.XXXXXX") || die "no room for output below $folder"
trap 'rm -f "$output" "$output.head" "$output.tail" "$output.open"' EXIT
# The step may outlive its output, so nothing waits for a pipe to be closed; what it printed is masked when it has ended.
(
  unset LC_ALL
  umask 022
  exec "$@"
) >>"$output" 2>&1 &
child=$!
trap 'kill -TERM $child 2>/dev/null' TERM INT HUP
(
  trap - EXIT INT HUP
  over=
  trap 'over=yes' TERM
  while [ -z "$over" ] && kill -0 $child; do
    sleep 1.0 &
    wait $! || over=yes
    [ -n "$over" ] || bound '1d;$ d'
  done
) </dev/null >/dev/null 2>&1 &
keeper=$!
wait $child
status=$?
# A signal ends the first wait, not the step.
while kill -0 $child 2>/dev/null; do
  wait $child
  status=$?
done
kill -TERM $keeper 2>/dev/null
wait $keeper
bound 1d
begin=1
if [ -e "$output.head" ]; then
  cat "$output.head"
  echo '[parbake: output left out here]'
  cat "$output.tail"
  # The line in which it was cut off may begin with half a secret.
  [ ! -e "$output.open" ] || begin=2
fi
# shellcheck disable=SC2086  # names have no blanks
tail -n +$begin "$output" | mask $all
exit $status
