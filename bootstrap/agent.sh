#!/bin/sh
# parbake-agent: pulls a recipe's bundle from object storage, verifies it, runs the steps that are due, reports.
#
# Usage: parbake-agent boot|run|status|log|diff|pause|resume|uninstall|version          (see usage below)
# In:    /etc/parbake/agent.conf, name=value lines; read, never sourced
# State: /var/lib/parbake (stamps, verified bundles, last channel), /run/parbake (lock, what lasts for one boot)
# Out:   a report in the store, lines on the console at boot, /var/log/parbake.log
# Exit:  0 ok, 1 a step or the store failed, 2 bad usage or configuration, 75 another converge is running
#
# One source, three texts: a line `#: NAME…` says which of them the lines after it belong to, `agent` or `stage0`; of the
# latter, `stage0-own` is for hosts that fetch by themselves and `stage0-client` for those that use another client. Stage-0 is
# what user-data holds: just enough to fetch the agent that the channel names, again and again until it is there.
#
# Needs sh, coreutils and util-linux (or busybox), tar, gzip, sed, and find to bound what steps print; curl, wget or python3 to
# fetch; openssl 3, ssh-keygen or python3 to verify. No forks where the shell can do it: every fork is boot time, and would be
# blamed on the user's steps.
#
# shellcheck disable=SC2015,SC2086,SC2317  # A && B || C is meant: C also when B fails; word splitting is meant where it is used, globbing is off; functions are called by name
set -uf
umask 077
export LC_ALL=C PATH="${PATH:-/usr/sbin:/usr/bin:/sbin:/bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
unset IFS CDPATH ENV

VERSION=1
CONF=${PARBAKE_CONF:-/etc/parbake/agent.conf}
STATE=${PARBAKE_STATE:-/var/lib/parbake}
RUN=${PARBAKE_RUN:-/run/parbake}
ETC=${PARBAKE_ETC:-/etc}
LOGFILE=${PARBAKE_LOG:-/var/log/parbake.log}
CONSOLE=${PARBAKE_CONSOLE:-/dev/console}
SELF=${PARBAKE_SELF:-/usr/local/sbin/parbake-agent}
STAGE0=${PARBAKE_STAGE0:-/usr/local/lib/parbake/stage0}
TMP=$STATE/tmp
EMPTY_SHA256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
LF='
'
INSTANCE_FILE=${PARBAKE_INSTANCE_FILE:-/var/lib/cloud/data/instance-id}
COLLECTOR=${PARBAKE_COLLECTOR:-/var/lib/node_exporter/textfile_collector}
CLOUD_ID=${PARBAKE_CLOUD_ID:-/run/cloud-init/cloud-id}
OS_RELEASE=${PARBAKE_OS_RELEASE:-/etc/os-release}
CLOUD_STATUS=${PARBAKE_CLOUD_STATUS:-/run/cloud-init/status.json}
LATE=', it does not answer in time'
TRIGGER=manual
ERROR=
NO_ANSWER=

say() {
  case $TRIGGER in manual | bake | diff) printf 'parbake: %s\n' "$*" >&2 ;; esac
  {
    printf 'parbake: %s\n' "$*" >>"$LOGFILE"
    [ "$TRIGGER" != boot ] || printf 'parbake: %s\n' "$*" >>"$CONSOLE"
  } 2>/dev/null
}

# For what a person must act on: cron mails what is written to stderr. Always false.
fail() {
  ERROR=$*
  say "$*"
  [ "$TRIGGER" != cron ] || printf 'parbake: %s\n' "$*" >&2
  return 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# ---------------------------------------------------------------------------------------------- checks and arithmetic

is_hex64() {
  case $1 in *[!0-9a-f]*) return 1 ;; esac
  [ ${#1} -eq 64 ]
}

is_number() {
  case $1 in '' | *[!0-9]* | 0[0-9]*) return 1 ;; esac
  [ ${#1} -lt 16 ]
}

# True where one time is not before another, both numbers without leading zeros: mksh counts in 31 bits, so that what lies
# beyond 2038 would be in the past.
at_least() { # SECONDS SECONDS
  if [ ${#1} -ne ${#2} ]; then
    [ ${#1} -gt ${#2} ]
  elif [ ${#1} -le 8 ]; then
    [ "$1" -ge "$2" ]
  elif [ "${1%????????}" -ne "${2%????????}" ]; then
    [ "${1%????????}" -gt "${2%????????}" ]
  else
    [ "${1#"${1%????????}"}" -ge "${2#"${2%????????}"}" ]
  fi
}

# Names become file names and JSON strings.
is_name() {
  case $1 in '' | [.-]* | *[!A-Za-z0-9._-]*) return 1 ;; esac
  [ ${#1} -le 100 ]
}

# Uptime in hundredths of a second, in NOW. The kernel counts it in these; the wall clock may jump at boot.
clock() {
  read -r NOW _ <"${PARBAKE_UPTIME:-/proc/uptime}"
  NOW=$((${NOW%.*} * 100 + 1${NOW#*.} - 100))
}

# Notes when a piece of the agent's own work begins; the one before it ends there.
phase() { # NAME
  clock
  PHASES="$PHASES$1 $NOW "
}

# Hundredths as decimal seconds, in SECONDS_TEXT.
seconds() {
  SECONDS_TEXT=$(($1 % 100))
  [ $SECONDS_TEXT -ge 10 ] || SECONDS_TEXT=0$SECONDS_TEXT
  SECONDS_TEXT=$(($1 / 100)).$SECONDS_TEXT
}

#: agent
# CPU time of all children that this process waited for so far, in hundredths, in CPU. Shells print times as 0m1.234567s or 0m1.23s.
cpu_clock() {
  times >"$RUN/times.$S_INDEX" 2>/dev/null
  CPU=0
  { read -r _ && read -r cc_user cc_system; } <"$RUN/times.$S_INDEX" || return 0
  for cc_time in $cc_user $cc_system; do
    cc_time=${cc_time%s}
    cc_fraction=${cc_time#*.}00
    cc_fraction=1${cc_fraction%"${cc_fraction#??}"}
    cc_whole=${cc_time#*m}
    CPU=$((CPU + ${cc_time%m*} * 6000 + ${cc_whole%.*} * 100 + cc_fraction - 100))
  done
}

# Bytes received on everything but loopback, in RX.
rx_clock() {
  RX=0
  while read -r xc_device xc_bytes _; do
    case $xc_device in lo:) ;; *:) is_number "$xc_bytes" && RX=$((RX + xc_bytes)) ;; esac
  done 2>/dev/null </proc/net/dev
}

# Used KiB of the file system that holds /, in DISK. df's heading has seven words.
disk_clock() {
  # shellcheck disable=SC2046
  set -- $(df -Pk / 2>/dev/null)
  DISK=${10:-0}
  is_number "$DISK" || DISK=0
}

#: agent stage0
digest_of() { # FILE, result in DIGEST
  DIGEST=$(sha256sum "$1") || return 1
  DIGEST=${DIGEST%% *}
}

digest_of_text() { # TEXT, result in DIGEST
  DIGEST=$(printf %s "$1" | sha256sum)
  DIGEST=${DIGEST%% *}
}

# ------------------------------------------------------------------------------------------------------- configuration

read_conf() {
  RECIPE='' CHANNEL=stable STORE='' AUTH=static REGION=us-east-1 ACCESS_KEY='' SECRET_KEY='' TOKEN='' KEYS='' PURPOSE=fleet TRACE='' TAGS='' METRICS='' CLIENT='' SEND=send
  EVERY=15 URL_CHANNEL='' URL_OBJECTS='' URL_REPORT='' IMDS=http://169.254.169.254
  [ -r "$CONF" ] || fail "$CONF is missing or unreadable: nothing to do" || return
  # Not split by read: that drops a final = in some shells, and base64 has one.
  while IFS= read -r rc_line; do
    rc_name=${rc_line%%=*} rc_value=${rc_line#*=}
    case $rc_name in
    '' | '#'*) ;;
    recipe) RECIPE=$rc_value ;;
    channel) CHANNEL=$rc_value ;;
    store) STORE=${rc_value%/} ;;
    auth) AUTH=$rc_value ;;
#: agent stage0-client
    client) CLIENT=$rc_value ;;
#: agent stage0
    region) REGION=$rc_value ;;
    access_key) ACCESS_KEY=$rc_value ;;
    secret_key) SECRET_KEY=$rc_value ;;
    key) KEYS="$KEYS $rc_value" ;;
    purpose) PURPOSE=$rc_value ;;
    every) EVERY=$rc_value ;;
    trace) TRACE=$rc_value ;;
    tags) TAGS=$rc_value ;;
    metrics) METRICS=$rc_value ;;
    # For bootstrap/secrets.sh, which reads them itself.
    secret.*) ;;
    imds) IMDS=$rc_value ;;
    url.channel) URL_CHANNEL=$rc_value ;;
    url.agent | url.bundle) URL_OBJECTS="$URL_OBJECTS$rc_value$LF" ;;
    url.report) URL_REPORT=$rc_value ;;
    *) say "$CONF: unknown setting $rc_name is ignored" ;;
    esac
  done <"$CONF"
  for rc_value in "$RECIPE" "$CHANNEL" "$REGION" "$PURPOSE"; do
    is_name "$rc_value" || fail "$CONF: '$rc_value' is no valid recipe, channel, region or purpose" || return
  done
  read -r EVERY 2>/dev/null <"$STATE/every"
  is_number "$EVERY" || EVERY=15
  case $AUTH:$STORE in
  static:http*://* | instance-role:http*://* | presigned:http*://* | anonymous:http*://* | [aips]*:file:///*) ;;
  *) fail "$CONF: store '$STORE' or auth '$AUTH' is unknown" || return ;;
  esac
#: agent stage0-client
  case $CLIENT:$AUTH:$STORE in
  :* | *:file:*) ;;
  awscli:[!p]* | rclone:[!p]* | s3cmd:[is]*) SEND=by_client FETCH=$CLIENT ;;
  *) fail "$CONF: client '$CLIENT' is unknown, or cannot do auth '$AUTH'" || return ;;
  esac
#: agent stage0
  # Serials of one channel say nothing about another one.
  KEPT=$STATE/channel.$RECIPE.$CHANNEL
  read_keys
  [ -n "$KEYS" ] || fail "$CONF: no key= line: nothing could be trusted" || return
}

# What this host offers, found once per boot: /run is empty after each.
find_tools() {
  read -r FETCH VERIFY LOCK TIMEOUT 2>/dev/null <"$RUN/tools" && return
  FETCH=none VERIFY=none LOCK=file TIMEOUT=timeout
  if have curl; then
    # Before 7.87 curl ignores x-amz-content-sha256 and every S3 server refuses what it signs.
    case $(curl --version 2>/dev/null) in
    'curl 7.'[0-9].* | 'curl 7.'[0-7][0-9].* | 'curl 7.8'[0-6].*) FETCH=curl ;;
    *) FETCH=curl-sigv4 ;;
    esac
  elif have wget; then
    FETCH=wget
  elif have python3; then
    FETCH=python3
  fi
  # OpenSSL 1.1.1 cannot verify Ed25519 from its command line.
  case $(openssl version 2>/dev/null) in
  'OpenSSL '[3-9]*) VERIFY=openssl ;;
  *)
    case $(ssh-keygen -Y verify 2>&1) in
    *namespace*) VERIFY=ssh-keygen ;;
    *) ! have python3 || VERIFY=python3 ;;
    esac
    ;;
  esac
  ! have flock || LOCK=flock
  ! timeout -k 1 1 true 2>/dev/null || TIMEOUT='timeout -k 10'
  FETCH=${PARBAKE_FETCH:-$FETCH} VERIFY=${PARBAKE_VERIFY:-$VERIFY} LOCK=${PARBAKE_LOCK:-$LOCK}
  printf '%s\n' "$FETCH $VERIFY $LOCK $TIMEOUT" >"$RUN/tools"
}

# ---------------------------------------------------------------------------------------------------------------- lock

# File descriptor 9 is closed for steps, or a daemon that a step starts would hold the lock for ever.
take_lock() { # SECONDS to wait
  tl_left=$1
  [ "$LOCK" = flock ] || echo $$ >"$RUN/lock.$$"
  while :; do
    if [ "$LOCK" = flock ]; then
      exec 9>>"$RUN/lock"
      # Ksh closes descriptors above 2 at exec unless they are named.
      if flock -n 9 9>&9; then return 0; fi
    elif ln "$RUN/lock.$$" "$RUN/lock.pid" 2>/dev/null; then
      rm -f "$RUN/lock.$$"
      return 0
    else
      tl_pid=
      read -r tl_pid 2>/dev/null <"$RUN/lock.pid"
      if [ -n "$tl_pid" ] && ! kill -0 "$tl_pid" 2>/dev/null; then
        say "removing the lock of process $tl_pid, which is gone"
        rm -f "$RUN/lock.pid"
        continue
      fi
    fi
    [ "$tl_left" -gt 0 ] || break
    tl_left=$((tl_left - 1))
    sleep 1
  done
  rm -f "$RUN/lock.$$"
  say 'another converge is running'
  return 1
}

release() {
  # A step has its own session, so what stops the agent does not reach it by itself.
  for rl_watcher in ${WATCHERS:-}; do
    kill -TERM "$rl_watcher" 2>/dev/null && wait "$rl_watcher"
  done
  [ -z "${LOG_KEEPER:-}" ] || kill -TERM "$LOG_KEEPER" 2>/dev/null
  [ "$LOCK" != file ] || rm -f "$RUN/lock.pid"
}

# ------------------------------------------------------------------------------------------------------------- fetching

# Begins a request that takes a minute at most, and longer only for what is large: a server that drips must not hold up the
# next converge. Result: SECONDS_LEFT, and what the request is to set: CODE, ETAG, RETRY_AFTER, NO_ANSWER.
begin_request() { # MAX_BYTES
  CODE=000 ETAG='' RETRY_AFTER=0 NO_ANSWER='' SECONDS_LEFT=$((60 + $1 / 16384))
  [ $SECONDS_LEFT -le 900 ] || SECONDS_LEFT=900
  clock
  REQUEST_END=$((NOW + SECONDS_LEFT * 100))
}

# Where its time has passed, not all of the answer has come, whatever its first line said.
end_request() {
  clock
  [ $NOW -lt $REQUEST_END ] || CODE=000 NO_ANSWER=$LATE
}

#: agent stage0-own
# Bytes in hexadecimal, each XORed with a number, as octal escapes of printf, in OCTAL.
octal_of() { # HEX NUMBER
  OCTAL='' ob_rest=$1
  while [ -n "$ob_rest" ]; do
    ob_byte=$((0x${ob_rest%"${ob_rest#??}"} ^ $2))
    ob_rest=${ob_rest#??}
    OCTAL="$OCTAL\\$((ob_byte / 64))$((ob_byte / 8 % 8))$((ob_byte % 8))"
  done
}

# HMAC-SHA256 of a text with a key in hexadecimal, in HEX (RFC 2104). The key stays inside the shell: as an argument of
# openssl every user of the host could read it.
hmac() { # KEY_HEX TEXT
  # shellcheck disable=SC2059  # octal escapes are meant
  {
    HEX=$1
    if [ ${#HEX} -gt 128 ]; then
      octal_of "$HEX" 0
      HEX=$(printf "$OCTAL" | sha256sum)
      HEX=${HEX%% *}
    fi
    while [ ${#HEX} -lt 128 ]; do HEX=${HEX}00; done
    octal_of "$HEX" 92
    hm_outer=$OCTAL
    octal_of "$HEX" 54
    HEX=$({ printf "$OCTAL" && printf %s "$2"; } | sha256sum)
    octal_of "${HEX%% *}" 0
    HEX=$(printf "$hm_outer$OCTAL" | sha256sum)
    HEX=${HEX%% *}
  }
}

# Signs what is in HEADERS already, the content type and the date: AWS Signature Version 4.
sign_request() { # METHOD BODY_SHA256
  sr_host=${URL#*://}
  sr_path=/${sr_host#*/}
  # S3 signs the path encoded once; of our key characters only = (reports, dt=…) is not literal.
  case $sr_path in *=*) sr_path=${sr_path%%=*}%3D${sr_path#*=} ;; esac
  sr_date=$(date -u +%Y%m%dT%H%M%SZ)
  sr_names='content-type;host;x-amz-content-sha256;x-amz-date'
  sr_text="content-type:application/json${LF}host:${sr_host%%/*}${LF}x-amz-content-sha256:$2${LF}x-amz-date:$sr_date$LF"
  if [ -n "$TOKEN" ]; then
    sr_names="$sr_names;x-amz-security-token" sr_text="${sr_text}x-amz-security-token:$TOKEN$LF"
  fi
  digest_of_text "$1$LF$sr_path$LF$LF$sr_text$LF$sr_names$LF$2"
  sr_scope=${sr_date%T*}/$REGION/s3/aws4_request
  HEX=$(printf %s "AWS4$SECRET_KEY" | od -An -v -tx1 | tr -d ' \n')
  for sr_text in "${sr_date%T*}" "$REGION" s3 aws4_request "AWS4-HMAC-SHA256$LF$sr_date$LF$sr_scope$LF$DIGEST"; do
    hmac "$HEX" "$sr_text"
  done
  HEADERS="${HEADERS}Content-Type: application/json${LF}x-amz-date: $sr_date${LF}Authorization: AWS4-HMAC-SHA256 Credential=$ACCESS_KEY/$sr_scope, SignedHeaders=$sr_names, Signature=$HEX$LF"
}

# One HTTP request. Result: CODE (000 where there was no answer, and NO_ANSWER says why if that is known), ETAG, the body in OUT.
http() { # METHOD URL OUT BODY|- MAX_BYTES
  begin_request "$5"
  true >"$TMP/head"
  case $FETCH in
  curl | curl-sigv4) http_curl "$@" ;;
  wget)
    # Not every wget can upload, and a presigned URL would be an argument that every user of the host can read.
    if { [ "$1" = PUT ] || [ "$AUTH" = presigned ]; } && have python3; then http_python "$@"; else http_wget "$@"; fi
    ;;
  python3) http_python "$@" ;;
  *)
    fail 'curl, wget or python3 is needed to fetch' || return
    ;;
  esac
  while IFS=': ' read -r hp_name hp_value; do
    case $hp_name:$hp_value in
    # Without the carriage return behind the quote.
    [Ee][Tt][Aa][Gg]:*\"*\"*) ETAG=${hp_value%\"*}\" ;;
    [Rr][Ee][Tt][Rr][Yy]-[Aa][Ff][Tt][Ee][Rr]:*)
      hp_value=${hp_value%"${hp_value##*[0-9]}"}
      ! is_number "$hp_value" || RETRY_AFTER=$hp_value
      ;;
    # Only wget tells its status here.
    *HTTP/*)
      hp_value=${hp_value##*HTTP/?.? }
      [ "$FETCH" != wget ] || CODE=${hp_value%% *}
      ;;
    esac
  done <"$TMP/head"
  end_request
}

# A line of a curl configuration file: \ and " are escaped inside quotes.
curl_line() { # NAME VALUE
  cl_done='' cl_rest=$2
  while :; do
    case $cl_rest in *[\\\"]*) ;; *) break ;; esac
    cl_plain=${cl_rest%%[\\\"]*}
    cl_rest=${cl_rest#"$cl_plain"}
    cl_done="$cl_done$cl_plain\\${cl_rest%"${cl_rest#?}"}"
    cl_rest=${cl_rest#?}
  done
  printf '%s = "%s"\n' "$1" "$cl_done$cl_rest"
}

# Secrets go through a file in memory, emptied at once: arguments can be read by every user of the host.
http_curl() {
  {
    curl_line url "$2"
    curl_line request "$1"
    [ "$4" = - ] || curl_line upload-file "$4"
    if [ -n "$CURL_USER" ]; then
      curl_line aws-sigv4 "aws:amz:$REGION:s3"
      curl_line user "$CURL_USER"
    fi
    hc_left=$HEADERS
    while [ -n "$hc_left" ]; do
      curl_line header "${hc_left%%"$LF"*}"
      hc_left=${hc_left#*"$LF"}
    done
  } >"$RUN/curl"
  CODE=$(curl -q -sS -K "$RUN/curl" -o "$3" -D "$TMP/head" -w '%{http_code}' --connect-timeout 10 --max-time $SECONDS_LEFT \
    --speed-time 30 --speed-limit 1024 --max-filesize "$5" 2>>"$LOGFILE")
  case $? in
  0) ;;
  23) CODE=000 NO_ANSWER=': what it sent cannot be written, is the disk full?' ;;
  28) CODE=000 NO_ANSWER=$LATE ;;
  63) CODE=413 ;;
  *) CODE=000 ;;
  esac
  true >"$RUN/curl"
}

http_wget() {
  hw_url=$2 hw_out=$3 hw_body=$4 hw_left=$HEADERS
  hw_most=$5
  set -- -S -O -
  [ "$hw_body" = - ] || set -- "$@" --method=PUT --body-file="$hw_body"
  while [ -n "$hw_left" ]; do
    set -- "$@" --header "${hw_left%%"$LF"*}"
    hw_left=${hw_left#*"$LF"}
  done
  # Not every wget has a timeout of its own.
  $TIMEOUT $SECONDS_LEFT wget "$@" "$hw_url" 2>"$TMP/head" | head -c "$hw_most" >"$hw_out"
}

http_python() {
  CODE=$(printf '%s\n' "$1" "$2" "$3" "$4" "$TMP/head" "$5" "$HEADERS" | $TIMEOUT $SECONDS_LEFT python3 -c '
import sys, urllib.request
method, url, out, body, head, most, *headers = sys.stdin.read().split("\n")
data = None if body == "-" else open(body, "rb").read()
request = urllib.request.Request(url, data, dict(h.split(": ", 1) for h in headers if h), method=method)
try: answer = urllib.request.urlopen(request, timeout=30)
except OSError as error:
    answer = error
    if not hasattr(error, "headers"): sys.exit("python3: %s" % error)
print(answer.headers, file=open(head, "w"))
open(out, "wb").write(answer.read(int(most)))
print(answer.getcode())
' 2>>"$LOGFILE") || CODE=000
}

json_value() { # NAME, result in JSON_VALUE
  JSON_VALUE=$(sed -n 's/.*"'"$1"'" *: *"\([^"]*\)".*/\1/p' "$TMP/creds")
}

# Temporary credentials of the instance's role, by IMDSv2.
instance_role() {
  HEADERS="X-aws-ec2-metadata-token-ttl-seconds: 300$LF" CURL_USER='' ir_role=''
  true >"$TMP/empty"
  http PUT "$IMDS/latest/api/token" "$TMP/token" "$TMP/empty" 4096
  [ "$CODE" = 200 ] || fail "the instance metadata service gave no token (HTTP $CODE)" || return
  HEADERS="X-aws-ec2-metadata-token: $(cat "$TMP/token")$LF"
  ir_url=$IMDS/latest/meta-data/iam/security-credentials/
  http GET "$ir_url" "$TMP/role" - 4096
  [ "$CODE" != 200 ] || ir_role=$(cat "$TMP/role")
  [ -z "$ir_role" ] || http GET "$ir_url$ir_role" "$TMP/creds" - 16384
  [ "$CODE" != 200 ] || {
    json_value AccessKeyId
    ACCESS_KEY=$JSON_VALUE
    json_value SecretAccessKey
    SECRET_KEY=$JSON_VALUE
    json_value Token
    TOKEN=$JSON_VALUE
  }
  rm -f "$TMP/creds" "$TMP/token"
  [ -n "$TOKEN" ] || fail "this instance has no role with credentials (HTTP $CODE): attach an instance profile"
}

# One try of a request.
send() {
  if [ "$AUTH" = instance-role ] && [ -z "$TOKEN" ] && ! instance_role; then
    CODE=000
    return 0
  fi
  URL=$STORE/$2 HEADERS='' CURL_USER='' sd_hash=$EMPTY_SHA256
  [ -z "$5" ] || HEADERS="If-None-Match: $5$LF"
  if [ "$4" != - ] && digest_of "$4"; then sd_hash=$DIGEST; fi
  case $AUTH in
  presigned) presigned_url "$2" || return ;;
  anonymous) ;;
  *)
    HEADERS="${HEADERS}x-amz-content-sha256: $sd_hash$LF"
    [ -z "$TOKEN" ] || HEADERS="${HEADERS}x-amz-security-token: $TOKEN$LF"
    # Curl before 8.9 signs a path with = wrongly.
    case $FETCH:${2##*=*} in
    curl-sigv4:?*) CURL_USER=$ACCESS_KEY:$SECRET_KEY ;;
    *) sign_request "$1" "$sd_hash" ;;
    esac
    ;;
  esac
  http "$1" "$URL" "$3" "$4" "$6"
}

# Presigned URLs came with the user-data; in URL the one for this key.
presigned_url() {
  CODE=000
  case $1 in
  channels/*) URL=$URL_CHANNEL ;;
  reports/*) URL=$URL_REPORT ;;
  *)
    pu_rest=${1##*/}
    pu_rest=${URL_OBJECTS#*"${pu_rest%%.*} "}
    URL=${pu_rest%%"$LF"*}
    [ "$pu_rest" != "$URL_OBJECTS" ] || URL=
    ;;
  esac
  [ -n "$URL" ]
}

#: agent stage0-client
# One try of a request by the client that the site asks for. Its keys are in its environment, which root alone can read. A
# body that grows beyond what is wanted ends at the limit for files. Rclone and s3cmd have no conditional requests.
by_client() { # METHOD KEY OUT BODY|- ETAG MAX_BYTES
  begin_request "$6"
  bc_method=$1 bc_out=$3 bc_most=$6
  bc_host=${STORE#*://}
  bc_path=${bc_host#*/}/$2 bc_host=${bc_host%%/*} bc_ssl=--ssl
  bc_server=${STORE%%://*}://$bc_host
  [ "${STORE%%:*}" = https ] || bc_ssl=--no-ssl
  rm -rf "$TMP/got"
  case $CLIENT:$1 in
  awscli:GET)
    set -- get-object --bucket "${bc_path%%/*}" --key "${bc_path#*/}" ${5:+--if-none-match "$5"} "$TMP/got"
    ;;
  awscli:PUT) set -- put-object --bucket "${bc_path%%/*}" --key "${bc_path#*/}" --content-type application/json --body "$4" ;;
  rclone:GET)
    # By list, so that it neither looks for the object before nor takes it for a folder.
    printf '%s\n' "${bc_path##*/}" >"$TMP/list"
    set -- copy --no-traverse --no-check-dest --ignore-size --ignore-checksum --s3-no-head-object \
      --files-from-raw "$TMP/list" ":s3:${bc_path%/*}" "$TMP/got"
    ;;
  rclone:PUT) set -- copyto --no-check-dest --s3-no-head "$4" ":s3:$bc_path" ;;
  *:GET) set -- get "s3://$bc_path" "$TMP/got" ;;
  *) set -- put -m application/json "$4" "s3://$bc_path" ;;
  esac
  case $CLIENT in
  awscli)
    [ "$AUTH" != anonymous ] || set -- "$@" --no-sign-request
    set -- aws --endpoint-url "$bc_server" --query ETag --output text s3api "$@"
    printf '[default]\ns3 =\n  addressing_style = path\n' >"$TMP/client.conf"
    ;;
  rclone) set -- rclone --retries 1 --low-level-retries 1 "$@" ;;
  s3cmd)
    printf '[default]\nmax_retries = 1\nsocket_timeout = 30\n' >"$TMP/client.conf"
    set -- s3cmd -c "$TMP/client.conf" --host "$bc_host" --host-bucket "$bc_host" --region "$REGION" $bc_ssl --no-progress "$@"
    ;;
  esac
  ETAG=$(
    ulimit -f $((bc_most / 512 + 16))
    unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_CA_BUNDLE
    export HOME=/root AWS_CONFIG_FILE="$TMP/client.conf" AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_PAGER='' AWS_MAX_ATTEMPTS=1 \
      AWS_DEFAULT_REGION="$REGION" AWS_REGION="$REGION" AWS_REQUEST_CHECKSUM_CALCULATION=when_required RCLONE_CONFIG=/dev/null \
      RCLONE_S3_PROVIDER=Other RCLONE_S3_ENDPOINT="$bc_server" RCLONE_S3_REGION="$REGION" RCLONE_S3_FORCE_PATH_STYLE=true \
      RCLONE_S3_NO_CHECK_BUCKET=true
    [ "$AUTH" = anonymous ] || export RCLONE_S3_ENV_AUTH=true
    [ "$AUTH" != static ] || export AWS_ACCESS_KEY_ID="$ACCESS_KEY" AWS_SECRET_ACCESS_KEY="$SECRET_KEY"
    # The others use the host's own authorities by themselves.
    for bc_file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem; do
      [ "$CLIENT" != awscli ] || [ ! -r $bc_file ] || export AWS_CA_BUNDLE=$bc_file
    done
    $TIMEOUT $SECONDS_LEFT "$@" </dev/null 2>"$TMP/said"
  ) && CODE=200 || {
    bc_said=$(cat "$TMP/said")
    case $bc_said in
    *'(304)'*) CODE=304 ;;
    *NoSuchKey* | *'ode: 404'* | *'(404)'* | *'does not exist'*) CODE=404 ;;
    *AccessDenied* | *SignatureDoesNotMatch* | *InvalidAccessKeyId* | *'ode: 403'* | *'error: 403'* | *'locate credentials'*) CODE=403 ;;
    *SlowDown* | *'ode: 50'[0-9]* | *'error: 50'[0-9]*) CODE=503 ;;
    *'File too large'* | *'file too large'*) CODE=413 ;;
    esac
    [ $CODE = 304 ] || printf '%s\n' "$bc_said" >>"$LOGFILE"
  }
  end_request
  [ $CLIENT = awscli ] || ETAG=
  bc_file=$TMP/got
  [ $CLIENT != rclone ] || bc_file=$TMP/got/${bc_path##*/}
  case $CODE:$bc_method in 200:GET) mv "$bc_file" "$bc_out" || CODE=000 ;; esac
  rm -rf "$TMP/got"
}

# Installs the client where it is not here yet: by the host's package manager, after what cloud-init does to its sources.
have_client() {
  hv_tool=$CLIENT hv_name=$CLIENT hv_left=60
  [ $CLIENT != awscli ] || hv_tool=aws hv_name=aws-cli
  ! have $hv_tool || return 0
  [ "$TRIGGER" != diff ] || fail "$CLIENT is not installed yet" || return
  await_config
  phase client
  hv_start=$NOW
  say "installing $CLIENT"
  for hv_manager in apt-get dnf zypper apk none; do
    have $hv_manager || continue
    # Another package manager may be at work, at boot above all.
    until install_client >"$TMP/said" 2>&1; do
      [ $hv_left -gt 0 ] && grep -qi 'could not get lock\|unable to lock\|is locked by' "$TMP/said" || break
      hv_left=$((hv_left - 1))
      sleep 5
    done
    ! have $hv_tool || break
    cat "$TMP/said" >>"$LOGFILE"
  done
  have $hv_tool || fail "$CLIENT, by which this host is to fetch, cannot be installed: see $LOGFILE" || return
  # The lists of packages are fresh now.
  echo "$RUN_ID" >"$RUN/lists.$hv_manager"
  clock
  [ "$RUN_ID" != none ] || echo "$hv_start $NOW $hv_manager" >"$RUN/client"
}

install_client() {
  case $hv_manager in
  apt-get)
    apt-get -qq -o Acquire::Retries=3 update &&
      DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 --no-install-recommends install $CLIENT
    ;;
  dnf) dnf -q -y install /usr/bin/$hv_tool ;;
  zypper) ZYPP_LOCK_TIMEOUT=300 zypper -q -n install --no-recommends "$hv_name" ;;
  apk) apk -q --wait 300 -U add "$hv_name" ;;
  esac
}

#: agent stage0
# One request to the store, tried again where waiting can help. Result as of http.
request() { # METHOD KEY OUT BODY|- ETAG MAX_BYTES
  case $STORE in file://*)
    CODE=404 ETAG=
    if [ "$1" = PUT ]; then
      mkdir -p "${STORE#file://}/${2%/*}" && cp "$4" "${STORE#file://}/$2" && CODE=200
    elif [ -r "${STORE#file://}/$2" ]; then
      cp "${STORE#file://}/$2" "$3" && CODE=200
    fi
    return 0
    ;;
  esac
  rq_try=1
  while :; do
    $SEND "$@" || return 0
    case $CODE in 000 | 429 | 5??) ;; *) return 0 ;; esac
    [ $rq_try -lt "$TRIES" ] || return 0
    say "the store answered $CODE for $2$NO_ANSWER, trying again ($rq_try of $TRIES)"
    # What it asks for, within reason.
    rq_pause=$((rq_try * 2))
    [ "$RETRY_AFTER" -le $rq_pause ] || rq_pause=$RETRY_AFTER
    [ $rq_pause -le 120 ] || rq_pause=120
    sleep $rq_pause
    rq_try=$((rq_try + 1))
  done
}

# ------------------------------------------------------------------------------------------------------------- verifying

decode64() { # TEXT FILE
  printf %s "$1" | base64 -d >"$2" 2>/dev/null
}

# True if the Ed25519 signature over FILE is right. KEY is base64 of the SPKI form: 12 fixed bytes, 32 of key.
verify_signature() { # FILE KEY SIG SSHSIG
  case $VERIFY in
  openssl)
    printf -- '-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n' "$2" >"$TMP/key.pem"
    decode64 "$3" "$TMP/sig" && openssl pkeyutl -verify -pubin -inkey "$TMP/key.pem" -rawin -in "$1" -sigfile "$TMP/sig" >/dev/null 2>&1
    ;;
  ssh-keygen)
    decode64 "${2#????????????????}" "$TMP/raw" || return 1
    vs_key=$({ printf '\000\000\000\013ssh-ed25519\000\000\000\040' && cat "$TMP/raw"; } | base64 | tr -d '\n')
    printf 'parbake ssh-ed25519 %s\n' "$vs_key" >"$TMP/allowed"
    printf -- '-----BEGIN SSH SIGNATURE-----\n%s\n-----END SSH SIGNATURE-----\n' "$4" >"$TMP/sig"
    ssh-keygen -Y verify -f "$TMP/allowed" -I parbake -n parbake -s "$TMP/sig" <"$1" >/dev/null 2>&1
    ;;
  python3)
    # RFC 8032, section 5.1.7, in the plainest form: the time does not depend on a secret, there is none.
    python3 -c '
import sys, hashlib, base64
p = 2**255 - 19; L = 2**252 + 27742317777372353535851937790883648493
def num(b): return int.from_bytes(b, "little")
def over(a, b): return a * pow(b, p - 2, p) % p
d = over(-121665, 121666)
def add(P, Q):
    (a, b), (c, e) = P, Q; t = d * a * b * c * e
    return over(a * e + b * c, 1 + t), over(b * e + a * c, 1 - t)
def mul(s, P):
    Q = 0, 1
    while s:
        if s & 1: Q = add(Q, P)
        P = add(P, P); s >>= 1
    return Q
def point(b):
    y = num(b); sign = y >> 255; y &= 2**255 - 1
    z = over(y * y - 1, d * y * y + 1); x = pow(z, (p + 3) // 8, p)
    if (x * x - z) % p: x = x * pow(2, (p - 1) // 4, p) % p
    if y >= p or (x * x - z) % p or (x == 0 and sign): raise ValueError
    return (x if x & 1 == sign else p - x), y
message = open(sys.argv[1], "rb").read(); key, sig = map(base64.b64decode, sys.argv[2:])
key = key[12:]; s = num(sig[32:])
h = num(hashlib.sha512(sig[:32] + key + message).digest()) % L
sys.exit(s >= L or mul(s, point(over(4, 5).to_bytes(32, "little"))) != add(point(sig[:32]), mul(h, point(key))))
' "$1" "$2" "$3" 2>/dev/null
    ;;
  *)
    fail 'openssl 3, ssh-keygen or python3 is needed to verify' || return
    ;;
  esac
}

# Reads and checks a channel file. Only what stands before the signature is believed, and only after it was verified;
# what this host keeps was verified when it came. On failure nothing of it is left in BUNDLE and C_SERIAL.
read_channel() { # FILE
  check_channel "$1" && return 0
  BUNDLE='' C_SERIAL=''
  return 1
}

check_channel() {
  C_SERIAL='' BUNDLE='' BUNDLE_SIZE='' C_AGENT='' C_EXPIRES='' C_PUBLISHED='' C_KEY='' C_SIG='' C_SSHSIG=''
  C_ROLLOUT='' C_ROLLOUT_TAGS='' C_TRUST='' C_REVOKE=''
  ch_file=$1 ch_recipe='' ch_channel='' ch_first='' ch_text='' ch_open=yes
  while IFS= read -r ch_line; do
    set -- $ch_line
    case ${1:-} in
    sig) ch_open='' C_SIG=${2:-} ;;
    sshsig) C_SSHSIG=${2:-} ;;
    *)
      [ -n "$ch_open" ] || fail 'the channel has lines after its signature' || return
      ch_text=$ch_text$ch_line$LF
      ;;
    esac
    case ${1:-} in
    parbake-channel) ch_first=${2:-} ;;
    recipe) ch_recipe=${2:-} ;;
    channel) ch_channel=${2:-} ;;
    serial) C_SERIAL=${2:-} ;;
    bundle) BUNDLE=${2:-} BUNDLE_SIZE=${3:-} ;;
    agent) C_AGENT=${2:-} ;;
    published) C_PUBLISHED=${2:-} ;;
    expires) C_EXPIRES=${2:-} ;;
    rollout) C_ROLLOUT="${2:-} ${3:-} ${4:-} ${5:-}" ;;
    rollout-tags) C_ROLLOUT_TAGS=${2:-} ;;
    trust) C_TRUST="$C_TRUST${2:-} ${3:-}$LF" ;;
    revoke) C_REVOKE="$C_REVOKE${2:-} " ;;
    key) C_KEY=${2:-} ;;
    esac
  done <"$ch_file"
  printf %s "$ch_text" >"$TMP/signed"
  if [ "$ch_first" != 1 ]; then
    fail 'what the store sent is no channel file of version 1'
  elif ! is_trusted "$C_KEY"; then
    fail "the channel is signed by a key that $KEY_PROBLEM"
  elif [ "$ch_file" != "$KEPT" ] && ! verify_signature "$TMP/signed" "$C_KEY" "$C_SIG" "$C_SSHSIG"; then
    fail "the channel's signature is wrong"
  elif [ "$ch_recipe" != "$RECIPE" ] || [ "$ch_channel" != "$CHANNEL" ]; then
    fail "the channel is $ch_recipe/$ch_channel, wanted $RECIPE/$CHANNEL"
  elif ! is_number "$C_SERIAL" || ! is_hex64 "$BUNDLE" || ! is_hex64 "$C_AGENT" || ! is_number "$BUNDLE_SIZE" || ! is_number "$C_EXPIRES"; then
    fail 'the channel has a field that is missing or malformed'
  elif ! take_rollout; then
    fail "the channel's rollout is malformed"
  else
    return 0
  fi
  return 1
}

# Whether a key may sign channels now. Else KEY_PROBLEM says why not. Revoked is for ever, whatever agent.conf says.
is_trusted() { # KEY
  KEY_PROBLEM='this host does not trust'
  [ -n "$1" ] || return 1
  case " $REVOKED " in *" $1 "*)
    KEY_PROBLEM='was revoked'
    return 1
    ;;
  esac
  case " $KEYS " in *" $1 "*) return 0 ;; esac
  it_rest=${INTRODUCED#*"$1 "}
  [ "$it_rest" != "$INTRODUCED" ] || return 1
  it_from=${it_rest%%"$LF"*}
  # By the clock alone: what the channel says of the time is not verified yet.
  NOW_SECONDS=$(date +%s)
  at_least "$NOW_SECONDS" "$it_from" && return 0
  KEY_PROBLEM="is not valid before $it_from (seconds since 1970; this host's clock says $NOW_SECONDS)"
  return 1
}

# Keys that signed channels introduced or revoked: `trust KEY NOT_BEFORE` and `revoke KEY` lines.
read_keys() {
  INTRODUCED='' REVOKED=''
  [ -s "$STATE/keys" ] || return 0
  while read -r rk_word rk_key rk_from; do
    case $rk_word in
    trust) INTRODUCED="$INTRODUCED$rk_key $rk_from$LF" ;;
    revoke) REVOKED="$REVOKED $rk_key" ;;
    esac
  done <"$STATE/keys"
}

#: agent
# Remembers what a verified channel says of keys. Refuses one after which no key would be left to sign the next.
learn_keys() {
  [ -n "$C_TRUST$C_REVOKE" ] || return 0
  lk_introduced=$INTRODUCED lk_revoked=$REVOKED lk_rest=$C_TRUST
  while [ -n "$lk_rest" ]; do
    lk_line=${lk_rest%%"$LF"*}
    lk_rest=${lk_rest#*"$LF"}
    is_key "${lk_line% *}" && is_number "${lk_line#* }" || fail 'the channel introduces a malformed key' || return
    # A second word about a key may not make it valid earlier or later than the first.
    case $LF$INTRODUCED in *"$LF${lk_line% *} "*) ;; *) INTRODUCED=$INTRODUCED$lk_line$LF ;; esac
  done
  for lk_key in $C_REVOKE; do
    is_key "$lk_key" || fail 'the channel revokes a malformed key' || return
    case " $REVOKED " in *" $lk_key "*) ;; *) REVOKED="$REVOKED $lk_key" ;; esac
  done
  [ "$lk_introduced$lk_revoked" != "$INTRODUCED$REVOKED" ] || return 0
  lk_left=no
  for lk_key in $KEYS $INTRODUCED; do
    if is_trusted "$lk_key"; then lk_left=yes; fi
  done
  if [ $lk_left = no ]; then
    INTRODUCED=$lk_introduced REVOKED=$lk_revoked
    fail 'the channel would leave this host without a valid key: refused'
    return
  fi
  {
    lk_rest=$INTRODUCED
    while [ -n "$lk_rest" ]; do
      echo "trust ${lk_rest%%"$LF"*}"
      lk_rest=${lk_rest#*"$LF"}
    done
    for lk_key in $REVOKED; do echo "revoke $lk_key"; done
  } >"$STATE/keys.new" && sync && mv "$STATE/keys.new" "$STATE/keys" || fail "$STATE/keys cannot be written: is the disk full?" || return
}

# Base64 of an Ed25519 key in SPKI form: 12 bytes that are always the same, 32 of its own.
is_key() {
  case $1 in MCowBQYDK2VwAyEA*=) ;; *) return 1 ;; esac
  case ${1%=} in *[!A-Za-z0-9+/]*) return 1 ;; esac
  [ ${#1} -eq 60 ]
}

# Takes the rollout's bundle where this host is among those that shall have it: by a tag, or by its place in the queue. False
# where the rollout is malformed.
take_rollout() {
  ROLLOUT=
  [ -n "$C_ROLLOUT" ] || return 0
  set -- $C_ROLLOUT
  [ $# -eq 4 ] && is_hex64 "$1" && is_number "$2" && is_number "$3" && [ "$3" -le 100 ] && is_name "$4" || return 1
  FACT=$TAGS
  if ! one_of "$C_ROLLOUT_TAGS"; then
    [ -n "${HOST:-}" ] || find_host
    digest_of_text "$4:$HOST"
    # In two halves: not every shell counts beyond 31 bits.
    tr_digits=${DIGEST%"${DIGEST#????????}"}
    tr_place=$(((0x${tr_digits%????} % 10000 * 5536 + 0x${tr_digits#????}) % 10000))
    [ $tr_place -lt $(($3 * 100)) ] || return 0
  fi
  # Presigned URLs may not know it.
  [ "$AUTH" != presigned ] || case $URL_OBJECTS in *"$1 "*) ;; *) return 0 ;; esac
  BUNDLE=$1 BUNDLE_SIZE=$2 ROLLOUT=$4
}

# True where a word of FACT is among the values.
one_of() { # VALUE[,VALUE…]
  IFS=' ,'
  set -- ",$1," $FACT
  unset IFS
  oo_values=$1
  while [ $# -gt 1 ]; do
    shift
    case $oo_values in *",$1,"*) return 0 ;; esac
  done
  return 1
}

#: agent stage0
# Unix seconds, in NOW_SECONDS. A clock that stands before the channel was published is wrong: then that time counts.
now() {
  NOW_SECONDS=$(date +%s)
  epoch_of "$C_PUBLISHED"
  CLOCK_BEHIND=
  [ "$NOW_SECONDS" -ge "$EPOCH" ] || {
    CLOCK_BEHIND=$NOW_SECONDS
    NOW_SECONDS=$EPOCH
  }
}

# Unix seconds of a time like 2026-01-31T23:59:59Z, in EPOCH; 0 for anything else.
epoch_of() {
  EPOCH=0
  case $1 in [0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z) ;; *) return 0 ;; esac
  ep_year=${1%%-*} ep_rest=${1#*-}
  ep_rest=${ep_rest%Z}
  ep_month=$((1${ep_rest%%-*} - 100)) ep_rest=${ep_rest#*-}
  ep_day=$((1${ep_rest%%T*} - 100)) ep_rest=${ep_rest#*T}
  ep_time=$(((1${ep_rest%%:*} - 100) * 3600))
  ep_rest=${ep_rest#*:}
  ep_time=$((ep_time + (1${ep_rest%%:*} - 100) * 60 + 1${ep_rest#*:} - 100))
  # Years begin in March, so that the leap day comes last.
  ep_month=$((ep_month - 3))
  [ $ep_month -ge 0 ] || ep_month=$((ep_month + 12)) ep_year=$((ep_year - 1))
  EPOCH=$(((ep_year * 365 + ep_year / 4 - ep_year / 100 + ep_year / 400 + (ep_month * 153 + 2) / 5 + ep_day - 719469) * 86400 + ep_time))
}

not_expired() {
  [ "$C_EXPIRES" -ne 0 ] || return 0
  now
  [ -z "$CLOCK_BEHIND" ] || say "this host's clock is wrong: it says $CLOCK_BEHIND, and the channel was published at $C_PUBLISHED"
  ! at_least "$NOW_SECONDS" "$C_EXPIRES" || fail "the channel, published at $C_PUBLISHED, has expired: publish again, or set this host's clock ($NOW_SECONDS)" || return
}

# --------------------------------------------------------------------------------------------------------------- pulling

# Fetches the channel. Result: BUNDLE and C_SERIAL of a verified channel, UNCHANGED=yes where it is the one seen last.
pull_channel() {
  UNCHANGED=no pc_etag='' pc_seen=0 pc_noted=yes
#: agent stage0-client
  [ "$SEND" = send ] || have_client || return
#: agent stage0
  phase channel
  [ ! -s "$KEPT" ] || read -r pc_seen pc_etag 2>/dev/null <"$KEPT.seen"
  is_number "$pc_seen" || pc_seen=0
  # A converge may have ended between keeping the channel and noting its serial: then there is no ETag that fits it.
  while read -r pc_word pc_value _; do
    [ "$pc_word" != serial ] || ! is_number "$pc_value" || [ "$pc_value" -le "$pc_seen" ] || pc_noted=no pc_seen=$pc_value pc_etag=
  done 2>/dev/null <"$KEPT"
  if [ -r "$RUN/channel.etag" ] && mv "$RUN/channel" "$TMP/channel"; then
    # Stage-0 has just asked, to learn which agent to fetch.
    CODE=200
    IFS= read -r ETAG <"$RUN/channel.etag"
    rm -f "$RUN/channel.etag"
  else
    request GET "channels/$RECIPE/$CHANNEL" "$TMP/channel" - "$pc_etag" 16384
  fi
  phase verify
  case $CODE in
  304)
    UNCHANGED=yes ERROR=
    read_channel "$KEPT" && not_expired
    return
    ;;
  200) ;;
  *)
    # Nor will the report go through: one try is enough.
    TRIES=1 pc_hint=
    case $CODE in
    000) pc_hint=${NO_ANSWER:-, it cannot be reached} ;;
    401 | 403) pc_hint=": check the credentials and this host's clock" ;;
    404) pc_hint=': publish the recipe first' ;;
    esac
    [ -n "$ERROR" ] || fail "the store at $STORE answered $CODE for channels/$RECIPE/$CHANNEL$pc_hint"
    return 1
    ;;
  esac
  ERROR='' C_ETAG=$ETAG
  # Stores and tools without conditional requests send what is known already.
  if [ $pc_noted = yes ] && [ -s "$KEPT.seen" ] && [ "$(cat "$KEPT")" = "$(cat "$TMP/channel")" ]; then UNCHANGED=yes; fi
  read_channel "$TMP/channel" || return 1
  [ "$C_SERIAL" -ge "$pc_seen" ] || fail "the channel's serial $C_SERIAL is older than $pc_seen, which this host has seen" || return
  not_expired && { [ "$TRIGGER" = diff ] || learn_keys; }
}

#: agent
# Makes sure that the bundle is unpacked in $STATE/bundles.
pull_bundle() {
  [ ! -r "$STATE/bundles/$BUNDLE/index" ] || return 0
  fetch_bundle || return
  # On the disk before it has its name: a power cut may not leave half a bundle under it.
  rm -rf "${STATE:?}/bundles/$BUNDLE"
  sync
  mv "$TMP/tree" "$STATE/bundles/$BUNDLE" && rm -f "$TMP/bundle" || fail "bundle $BUNDLE cannot be kept: is the disk full?" || return
}

# Leaves the bundle, verified and unpacked, in $TMP/tree.
fetch_bundle() {
  phase bundle
  request GET "bundles/$RECIPE/$BUNDLE.tar.gz" "$TMP/bundle" - '' "$((BUNDLE_SIZE + 1))"
  [ "$CODE" = 200 ] || fail "the store answered $CODE for bundle $BUNDLE$NO_ANSWER" || return
  phase extract
  digest_of "$TMP/bundle" && [ "$DIGEST" = "$BUNDLE" ] || fail "bundle $BUNDLE is damaged: it is $DIGEST" || return
  # Files and folders only, all below the folder: the bundle is signed, but a mistake of ours must not write elsewhere.
  if tar -tvzf "$TMP/bundle" 2>/dev/null | grep -q '^[^-d]\| link to \| -> \| /\|[ /]\.\.$\|[ /]\.\./'; then
    fail "bundle $BUNDLE holds more than files below its own folder: refused" || return
  fi
  rm -rf "$TMP/tree"
  mkdir "$TMP/tree" && tar -xzf "$TMP/bundle" -C "$TMP/tree" 2>>"$LOGFILE" && [ -r "$TMP/tree/index" ] || fail "bundle $BUNDLE cannot be unpacked: is the disk full?" || return
}

# Remembers the channel only when its bundle is here, so that an interrupted run asks again.
keep_channel() {
  [ $UNCHANGED = no ] || return 0
  phase index
  cp "$TMP/channel" "$KEPT.new" && sync && mv "$KEPT.new" "$KEPT" &&
    echo "$C_SERIAL $C_ETAG" >"$KEPT.seen.new" && mv "$KEPT.seen.new" "$KEPT.seen" ||
    fail "$STATE cannot be written: is the disk full?" || return
  kc_refused=
  read -r kc_refused 2>/dev/null <"$STATE/agent.refused"
  if [ "$TRIGGER" != bake ] && [ "$kc_refused" != "$C_AGENT" ]; then echo "$C_AGENT 0" >"$STATE/trial"; fi
  set +f
  for kc_old in "$STATE"/bundles/*; do
    [ "${kc_old##*/}" = "$BUNDLE" ] || rm -rf "$kc_old"
  done
  set -f
}

# Replaces this file by the agent that the channel names, once that one has completed a converge under this one's eyes, no
# worse than this one did. One that does not, or that took the host down twice, is not tried again until the channel names
# another. `trial` says what is to be tried and how often it was: it outlives a converge that is cut off.
update_agent() { # STATUS of this converge
  [ -z "${PARBAKE_TRIAL:-}" ] && [ -f "$SELF" ] && digest_of "$SELF" || return 0
  read -r ua_agent ua_tries <"$STATE/trial"
  if [ "$DIGEST" = "$ua_agent" ]; then
    rm -f "$STATE/trial"
    return
  fi
  # What is on trial is what a verified channel named.
  C_AGENT=$ua_agent
  if [ "$ua_tries" -ge 2 ]; then
    refuse_agent 'the host went down twice'
    return
  fi
  if ! fetch_agent; then
    say "agent $C_AGENT could not be had (HTTP $CODE): this one stays"
    return
  fi
  echo "$C_AGENT $((ua_tries + 1))" >"$STATE/trial"
  sync
  trap - EXIT INT TERM
  release
  exec 9>&-
  PARBAKE_TRIAL=$C_AGENT $TIMEOUT 3600 "$SELF.new" run --trigger manual >"$STATE/log/agent-trial.log" 2>&1 </dev/null
  ua_status=$?
  ua_run=
  read -r ua_run 2>/dev/null <"$STATE/status"
  case $ua_run in
  *" run=$RUN_ID "*) refuse_agent "it ended with $ua_status before its report" ;;
  *)
    if [ $ua_status -le "$1" ]; then
      cp "$SELF" "$SELF.previous" && mv "$SELF.new" "$SELF" && rm -f "$STATE/trial" && say "agent replaced by $C_AGENT"
    else
      refuse_agent "it ended with $ua_status"
    fi
    ;;
  esac
}

refuse_agent() { # WHY
  echo "$C_AGENT" >"$STATE/agent.refused"
  rm -f "$SELF.new" "$STATE/trial"
  say "agent $C_AGENT failed its first converge: $1, see $STATE/log/agent-trial.log; this one stays until the channel names another"
}

#: agent stage0
# Puts the agent that the channel names beside its place, as $SELF.new.
fetch_agent() {
  request GET "agents/$C_AGENT.sh" "$TMP/agent" - '' 262144
  [ "$CODE" = 200 ] && digest_of "$TMP/agent" && [ "$DIGEST" = "$C_AGENT" ] && sh -n "$TMP/agent" 2>/dev/null &&
    cp "$TMP/agent" "$SELF.new" && chmod 755 "$SELF.new" && sync
}

#: agent
# ----------------------------------------------------------------------------------------------------------------- steps

stamp_of() { # WHEN DIGEST, result in STAMP
  case $1 in
  change) STAMP=$STATE/stamps/$2 ;;
  instance) STAMP=$STATE/instances/$INSTANCE/$2 ;;
  boot) STAMP=$RUN/stamps/$2 ;;
  *) STAMP= ;;
  esac
}

# Takes a step line of the index apart. False where it is malformed.
read_step() { # step INDEX NAME DIGEST WHEN TIMEOUT RETRIES NEEDS [FLAGS]
  [ $# -eq 8 ] || [ $# -eq 9 ] || return 1
  S_INDEX=$2 S_NAME=$3 S_DIGEST=$4 S_WHEN=$5 S_TIMEOUT=$6 S_RETRIES=$7 S_NEEDS=$8 S_FLAGS=,${9:--},
  S_OUTCOME='' S_START=0 S_WALL=0 S_CPU=0 S_RX=0 S_DISK=0 S_EXIT=0 S_TRIES=0 S_RETRY=0 S_BAKED=false
  is_number "1$S_INDEX" && is_name "$S_NAME" && is_hex64 "$S_DIGEST" && is_number "$S_TIMEOUT" && is_number "$S_RETRIES"
}

# Runs the steps of the index, side by side where their needs allow it. Result: RAN, STAMPED, FAILED (counts), $TMP/steps
# (JSON), READY (uptime, hundredths), REBOOT (the step that asks for one).
run_steps() {
  BAD=' ' ENDED=' ' RUNNING='' RUNS=0 WATCHERS='' PENDING='' PARALLEL='' PACKAGING='' REBOOT='' LOG_KEEPER=''
  phase steps
  [ -d "$STATE/instances/$INSTANCE" ] || mkdir -p "$STATE/instances/$INSTANCE"
  disk_clock
  rx_clock
  true >"$TMP/ended"
  while IFS= read -r rs_line; do
    set -- $rs_line
    case ${1:-} in
    parallel) PARALLEL=${2:-} ;;
    step)
      read_step "$@" || fail "bundle $BUNDLE has a malformed index" || return
      PENDING=$PENDING$rs_line$LF
      ;;
    esac
  done <"$STATE/bundles/$BUNDLE/index"
  while start_steps && [ $RUNS -gt 0 ]; do await_step; done
  exec 7<&-
  if [ -n "$LOG_KEEPER" ]; then
    kill -TERM "$LOG_KEEPER" 2>/dev/null
    wait "$LOG_KEEPER"
    LOG_KEEPER=
    bound_step_logs
  fi
  # In the order of the index, whichever ended first.
  sort -n "$TMP/ended" | sed -e 's/^[0-9]* //' -e '2,$s/^/,/' >"$TMP/steps"
  clock
  READY=$NOW
}

# Starts what may start now; leaves in PENDING what must wait.
start_steps() {
  ss_left=$PENDING PENDING=
  while [ -n "$ss_left" ]; do
    ss_line=${ss_left%%"$LF"*}
    ss_left=${ss_left#*"$LF"}
    read_step $ss_line
    ss_needs=$S_NEEDS,
    while [ "$S_NEEDS" != - ] && [ -n "$ss_needs" ]; do
      case $BAD in *" ${ss_needs%%,*} "*) S_OUTCOME=blocked ;; esac
      case $ENDED in *" ${ss_needs%%,*} "*) ;; *) S_OUTCOME=${S_OUTCOME:-waits} ;; esac
      ss_needs=${ss_needs#*,}
    done
    stamp_of "$S_WHEN" "$S_DIGEST"
    if [ -n "$STAMP" ] && [ -e "$STAMP" ]; then
      S_OUTCOME=stamped STAMPED=$((STAMPED + 1))
      read -r ss_mark _ <"$STAMP" && [ "$ss_mark" = baked ] && S_BAKED=true
    elif [ "$TRIGGER" = bake ] && case ",$BAKE_STEPS," in *",$S_NAME,"*) false ;; esac then
      S_OUTCOME=excluded
    elif [ "${S_OUTCOME:-waits}" = waits ] && ! applies "$STATE/bundles/$BUNDLE/steps/$S_INDEX/if"; then
      S_OUTCOME=not-applicable
      [ -z "$CONDITION" ] || fail "step $S_NAME has a condition that this agent does not know: $CONDITION" || S_OUTCOME=failed
    elif [ -z "$S_OUTCOME" ] && [ -z "$REBOOT" ] && may_start; then
      if start_step; then
        RUNNING=$RUNNING$ss_line$LF
        continue
      fi
      S_OUTCOME=failed
    fi
    case ${S_OUTCOME:-waits} in
    waits) PENDING=$PENDING$ss_line$LF ;;
    *) end_step ;;
    esac
  done
  # What waits for the reboot waits for nothing that runs.
  [ -n "$REBOOT" ] && [ $RUNS -eq 0 ] || return 0
  while [ -n "$PENDING" ]; do
    read_step ${PENDING%%"$LF"*}
    PENDING=${PENDING#*"$LF"}
    S_OUTCOME=excluded
    end_step
  done
}

# Two package managers would wait for each other's lock at best.
may_start() {
  if [ $RUNS -eq 0 ]; then return 0; fi
  case $S_FLAGS in *,packages,*) [ -z "$PACKAGING" ] || return 1 ;; esac
  if [ "$TRIGGER" = bake ]; then PARALLEL=1; fi
  if [ -z "$PARALLEL" ]; then
    PARALLEL=$(nproc)
    [ "$PARALLEL" -lt 4 ] || PARALLEL=4
  fi
  [ $RUNS -lt "$PARALLEL" ]
}

# The watcher is a child of this shell, so that what it waited for is the CPU time of this step and of no other. Descriptor 8
# is its end of a pipe whose other end is 7: it says how the step went, and when the last watcher is gone, however it went,
# reading ends.
start_step() {
  say "step $S_NAME runs"
  event "step-start $S_NAME"
  if [ $RUNS -eq 0 ]; then
    rx_clock
    DONE_RX=$RX DONE_DISK=$DISK
    [ -p "$RUN/ended" ] || mkfifo "$RUN/ended" || fail "$RUN/ended cannot be made" || return
    # Opened for both first: opening one end alone would wait for the other one.
    # shellcheck disable=SC2094
    exec 8<>"$RUN/ended" 7<"$RUN/ended"
  fi
  exec 8>"$RUN/ended"
  watch_step 7<&- &
  WATCHERS="$WATCHERS $!" RUNS=$((RUNS + 1))
  exec 8>&-
  [ -n "$LOG_KEEPER" ] || {
    keep_logs &
    LOG_KEEPER=$!
  }
  case $S_FLAGS in *,packages,*) PACKAGING=yes ;; esac
}

# One for all steps, beside them: a pipe between a step and its log would have to be read for as long as a daemon of the step
# lives. Ends with the agent, however that ends.
keep_logs() {
  # Closed for good: a redirection of the call would only put the lock aside.
  exec 7<&- 9>&- </dev/null >/dev/null 2>&1
  trap - EXIT INT
  kl_over=
  trap 'kl_over=yes' TERM
  while [ -z "$kl_over" ] && kill -0 $$; do
    # A signal ends the waiting at once, but nothing that is under way. So does a sleep that does not sleep.
    sleep 1.0 &
    kl_sleep=$!
    [ -n "$kl_over" ] || wait $kl_sleep || kl_over=yes
    [ -n "$kl_over" ] || bound_step_logs
  done
  # What is left behind would keep a disk from being unmounted.
  kill $kl_sleep
}

# Of what a step has printed, the first and the last mebibyte are kept where it is more than four. The step goes on appending,
# and so does this: neither writes over the other.
bound_step_logs() {
  # shellcheck disable=SC2044  # names of steps have no blanks
  for bs_file in $(find "$STATE/log" -name '*.log' -size +8192 2>/dev/null); do
    {
      head -c 1048576 "$bs_file"
      printf '\n[parbake: output left out here]\n'
      tail -c 1048576 "$bs_file" | head -c 1048576
    } >"$TMP/kept-output"
    true >"$bs_file"
    cat "$TMP/kept-output" >>"$bs_file"
    rm -f "$TMP/kept-output"
  done
}

watch_step() {
  STEP_PID=
  trap - EXIT
  trap '[ -z "$STEP_PID" ] || kill -TERM "-$STEP_PID" 2>/dev/null; exit 143' INT TERM
  ws_dir=$STATE/bundles/$BUNDLE/steps/$S_INDEX
  clock
  S_START=$NOW
  # A clean environment: a step must not do one thing at boot and another under cron.
  set -- PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    "PARBAKE_RECIPE=$RECIPE" "PARBAKE_PHASE=$PHASE"
  [ "$PHASE" = bake ] || set -- "$@" "PARBAKE_INSTANCE_ID=$INSTANCE" "PARBAKE_RUN_ID=$RUN_ID"
  if [ -r "$ws_dir/env" ]; then
    while IFS= read -r ws_line; do set -- "$@" "$ws_line"; done <"$ws_dir/env"
  fi
  ws_trace=
  if [ -n "$TRACE" ] || [ -e "$ws_dir/trace" ]; then
    [ ! -r "$ws_dir/../../measure" ] || ws_trace="sh ../../../measure trace $STATE/log/$S_NAME.trace"
  fi
  while :; do
    clock
    ws_begin=$NOW S_TRIES=$((S_TRIES + 1))
    true >"$STATE/log/$S_NAME.log"
    # A session of its own, so that all of the step can be stopped at once; in the background, so that signals are heard.
    (
      exec 8>&- 9>&-
      umask 022
      unset LC_ALL
      cd "$ws_dir/files" && exec setsid env -i "$@" $TIMEOUT "$S_TIMEOUT" $ws_trace ../run
    ) </dev/null >>"$STATE/log/$S_NAME.log" 2>&1 &
    STEP_PID=$!
    wait $STEP_PID
    S_EXIT=$?
    [ $S_EXIT -ne 0 ] || break
    clock
    # Some timeouts stop one process only, and report its signal.
    if [ "$S_TIMEOUT" -gt 0 ] && [ $((NOW - ws_begin)) -ge $((S_TIMEOUT * 100)) ]; then
      kill -KILL "-$STEP_PID" 2>/dev/null
      S_EXIT=124
    fi
    [ $S_TRIES -le "$S_RETRIES" ] || break
    say "step $S_NAME failed with $S_EXIT, trying again ($S_TRIES of $S_RETRIES)"
    sleep $((S_TRIES * 2))
    clock
    S_RETRY=$((NOW - S_START))
  done
  STEP_PID=
  clock
  cpu_clock
  echo "$S_INDEX $S_EXIT $S_START $((NOW - S_START)) $CPU $S_TRIES $S_RETRY" >&8
}

# Waits for a step to end. The bytes that were received and written since another one ended are put down to this one.
await_step() {
  as_index='' as_exit='' as_rest=$RUNNING
  # Nothing to read: their watchers were killed.
  read -r as_index as_exit as_start as_wall as_cpu as_tries as_retry <&7 || as_index=${RUNNING#step } as_index=${as_index%% *}
  RUNNING=
  while [ -n "$as_rest" ]; do
    as_line=${as_rest%%"$LF"*}
    as_rest=${as_rest#*"$LF"}
    case $as_line in
    "step $as_index "*) read_step $as_line ;;
    *) RUNNING=$RUNNING$as_line$LF ;;
    esac
  done
  RUNS=$((RUNS - 1))
  [ $RUNS -gt 0 ] || {
    wait $WATCHERS
    WATCHERS=
  }
  case $S_FLAGS in *,packages,*) PACKAGING= ;; esac
  S_EXIT=137 S_TRIES=1
  [ -z "$as_exit" ] || S_EXIT=$as_exit S_START=$as_start S_WALL=$as_wall S_CPU=$as_cpu S_TRIES=$as_tries S_RETRY=$as_retry
  rx_clock
  disk_clock
  S_RX=$((RX - DONE_RX)) S_DISK=$(((DISK - DONE_DISK) * 1024))
  DONE_RX=$RX DONE_DISK=$DISK
  seconds $S_WALL
  if [ $S_EXIT -eq 0 ]; then
    S_OUTCOME=ran RAN=$((RAN + 1))
    stamp_step
    say "step $S_NAME done in $SECONDS_TEXT s"
  else
    S_OUTCOME=failed
    as_why="exit status $S_EXIT after $SECONDS_TEXT s"
    [ $S_EXIT -ne 124 ] || as_why="its timeout of $S_TIMEOUT s"
    fail "step $S_NAME failed with $as_why"
    tail -c 2000 "$STATE/log/$S_NAME.log" | tail -n 5 | while IFS= read -r as_line; do say "  $as_line"; done
  fi
  event "step-end $S_NAME $S_OUTCOME $SECONDS_TEXT"
  end_step
}

# Without a stamp on the disk the step would ask for its reboot again and again.
stamp_step() {
  stamp_of "$S_WHEN" "$S_DIGEST"
  [ -n "$STAMP" ] || return 0
  # What the step wrote must be on the disk before its stamp is: a power cut may not leave a stamp alone.
  sync
  printf '%s %s\n' "$STAMP_MARK" "$S_NAME" >"$STAMP"
  [ -s "$STAMP" ] || {
    rm -f "$STAMP"
    fail "the stamp of step $S_NAME cannot be written: is the disk full?"
    S_OUTCOME=failed
    return
  }
  case $TRIGGER:$S_WHEN:$S_FLAGS in
  bake:* | *:boot:*) ;;
  *,reboot,*) REBOOT=$S_NAME ;;
  esac
}

# Notes how a step went.
end_step() {
  ENDED="$ENDED$S_NAME "
  case $S_OUTCOME in failed | blocked)
    FAILED=$((FAILED + 1)) BAD="$BAD$S_NAME "
    ;;
  esac
  step_json >>"$TMP/ended"
  printf 'step %s %s %s\n' "$S_NAME" "$S_OUTCOME" "$S_BAKED" >>"$TMP/status"
}

# -------------------------------------------------------------------------------------------------------------- conditions

# True where all lines of a step's conditions hold on this host, or there are none. A line that is not understood, in
# CONDITION, never does.
applies() { # FILE
  CONDITION=
  [ -e "$1" ] || return 0
  find_facts
  while read -r ap_fact ap_op ap_values; do
    case $ap_fact in
    os) FACT=$OS ;;
    os-version) FACT=$OS_VERSION ;;
    os-like) FACT=$OS_LIKE ;;
    arch) FACT=$ARCH ;;
    platform) FACT=$PLATFORM ;;
    tag) FACT=$TAGS ;;
    *) FACT='' ap_op=unknown ;;
    esac
    case $ap_op in
    is) one_of "$ap_values" || return 1 ;;
    not) ! one_of "$ap_values" || return 1 ;;
    at-least) ! is_below "$FACT" "$ap_values" || return 1 ;;
    below) is_below "$FACT" "$ap_values" || return 1 ;;
    *)
      CONDITION="$ap_fact $ap_op $ap_values"
      return 1
      ;;
    esac
  done <"$1"
}

# True where one dotted version comes before another: 9.4 before 10. What is no number counts as 0.
is_below() { # VERSION VERSION
  ib_left=$1. ib_right=$2.
  while [ -n "$ib_left$ib_right" ]; do
    ib_one=${ib_left%%.*} ib_other=${ib_right%%.*}
    ib_left=${ib_left#*.} ib_right=${ib_right#*.}
    is_number "$ib_one" || ib_one=0
    is_number "$ib_other" || ib_other=0
    [ "$ib_one" -eq "$ib_other" ] || {
      [ "$ib_one" -lt "$ib_other" ]
      return
    }
  done
  return 1
}

# What conditions and reports say about this host, found once.
find_facts() {
  [ -z "${OS:-}" ] || return 0
  OS=unknown OS_VERSION=unknown OS_LIKE='' PLATFORM=unknown
  while IFS='="' read -r ff_word ff_value ff_quoted; do
    ff_value=$ff_value${ff_quoted%\"}
    case $ff_word in
    ID) OS=$ff_value ;;
    VERSION_ID) OS_VERSION=$ff_value ;;
    ID_LIKE) OS_LIKE=$ff_value ;;
    esac
  done 2>/dev/null <"$OS_RELEASE"
  is_name "$OS" && is_name "$OS_VERSION" || OS=unknown OS_VERSION=unknown
  ff_value=$(uname -rm)
  KERNEL=${ff_value% *} ARCH=${ff_value#* }
  read -r PLATFORM 2>/dev/null <"$CLOUD_ID"
  is_name "$PLATFORM" || PLATFORM=unknown
}

event() {
  [ -z "$EVENTS" ] || printf '%s\n' "$1" >>"$EVENTS"
}

# ---------------------------------------------------------------------------------------------------------------- report

# Standard input as the inside of a JSON string; what is not printable ASCII becomes a question mark.
json_text() {
  tr '\015' '\012' | tr -c '\011\012\040-\176' '?' | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/	/\\t/g' -e 's/$/\\n/' | tr -d '\n'
}

step_json() {
  seconds $S_START
  sj_start=$SECONDS_TEXT
  seconds $S_WALL
  sj_wall=$SECONDS_TEXT
  seconds $S_RETRY
  sj_retry=$SECONDS_TEXT
  seconds $S_CPU
  printf %s "$S_INDEX {\"name\":\"$S_NAME\",\"digest\":\"$S_DIGEST\",\"when\":\"$S_WHEN\",\"outcome\":\"$S_OUTCOME\",\"baked\":$S_BAKED,\"startUptime\":$sj_start,\"wall\":$sj_wall,\"cpu\":$SECONDS_TEXT,\"rxBytes\":$S_RX,\"diskBytes\":$S_DISK,\"exit\":$S_EXIT,\"attempts\":$S_TRIES,\"retrySeconds\":$sj_retry"
  if [ "$S_OUTCOME" = failed ]; then
    printf ',"output":"'
    tail -c 2000 "$STATE/log/$S_NAME.log" | json_text
    printf '"'
  fi
  echo '}'
}

# What the bundle's own measuring finds out about this boot and the steps, now that nobody waits for it any more.
measure() {
  true >"$TMP/measured"
  [ "$TRIGGER" != bake ] && case $FIRST$RAN$FAILED in false00) false ;; esac || return 0
  [ -n "$BUNDLE" ] && me_file=$STATE/bundles/$BUNDLE && [ -r "$me_file/measure" ] || return 0
  $TIMEOUT 120 sh "$me_file/measure" report "$TMP" "$me_file" "$STATE/log" $FIRST "$READY" "$PHASES" 2>>"$LOGFILE"
}

#: agent stage0
find_host() {
  read -r HOSTNAME </proc/sys/kernel/hostname
  is_name "$HOSTNAME" || HOSTNAME=unnamed
  fh_machine=
  read -r fh_machine 2>/dev/null <"$ETC/machine-id"
  digest_of_text "$fh_machine"
  MACHINE_DIGEST=$DIGEST
  HOST=$HOSTNAME-${DIGEST%"${DIGEST#????????}"}
}

#: agent
write_report() {
  [ -n "${HOST:-}" ] || find_host
  wr_date=$(date -u '+%Y-%m-%d %s')
  wr_epoch=${wr_date#* } wr_date=${wr_date% *}
  find_facts
  read -r _ wr_memory _ </proc/meminfo
  wr_tags=
  IFS=,
  for wr_tag in $TAGS; do
    ! is_name "$wr_tag" || wr_tags="$wr_tags${wr_tags:+,}\"$wr_tag\""
  done
  unset IFS
  set +f
  wr_keys=$(cat "$ETC"/ssh/ssh_host_*_key.pub 2>/dev/null)
  set -f
  DIGEST=
  [ -z "$wr_keys" ] || digest_of_text "$wr_keys"
  wr_keys=$DIGEST
  digest_of_text "$HOSTNAME"
  wr_outcome=ok wr_error=
  if [ -n "$ERROR" ]; then
    wr_outcome=failed
    wr_error=$(printf %s "$ERROR" | json_text)
  fi
  clock
  seconds $START
  wr_start=$SECONDS_TEXT
  seconds "$READY"
  wr_ready=$SECONDS_TEXT
  seconds "$FETCHED"
  find_promise
  measure
  # One report, one line: Hive-like readers want it so.
  {
    cat <<END
{"v":1,"run":"$RUN_ID","host":"$HOST","hostname":"$HOSTNAME","instance":"$INSTANCE",
"recipe":"$RECIPE","channel":"$CHANNEL","serial":${C_SERIAL:-0},"bundle":"$BUNDLE","agentVersion":"$VERSION","image":"$IMAGE",
"trigger":"$TRIGGER","reboot":"$REBOOT","purpose":"$PURPOSE","rollout":"$ROLLOUT","tags":[$wr_tags],"first":$FIRST,"cold":$COLD,"startedAt":$((wr_epoch - (NOW - START) / 100)),
"startUptime":$wr_start,"readyUptime":$wr_ready,"fetchSeconds":$SECONDS_TEXT,"outcome":"$wr_outcome","error":"${wr_error%\\n}",
"os":{"id":"$OS","version":"$OS_VERSION","arch":"$ARCH","kernel":"$KERNEL"},"cpus":$(nproc),"memoryKiB":$wr_memory,
"tools":{"fetch":"$FETCH","verify":"$VERIFY","lock":"$LOCK"},
"identity":{"machineId":"$MACHINE_DIGEST","sshHostKeys":"$wr_keys","hostname":"$DIGEST"},$PROMISE
END
    cat "$TMP/measured"
    echo '"steps":['
    cat "$TMP/steps"
    echo ']}'
  } | tr -d '\n' >"$STATE/report.json"
  echo >>"$STATE/report.json"
  write_status "$wr_epoch"
  if [ "$TRIGGER" = bake ]; then
    event "report $(cat "$STATE/report.json")"
    return 0
  fi
  write_metrics "$wr_epoch"
  bound_log
  request PUT "reports/$RECIPE/dt=$wr_date/$HOST-$RUN_ID.json" "$TMP/answer" "$STATE/report.json" '' 65536
  case $CODE in
  2??)
    say 'report sent'
    wr_after=$REPORT_AFTER
    ;;
  *)
    say "the store answered $CODE for the report: it is kept in $STATE/report.json"
    wr_after=3600
    ;;
  esac
  echo $((NOW + wr_after * 100)) >"$RUN/report-due"
}

# When this host will be heard of again, in PROMISE, part of a report: its schedule, and REPORT_AFTER, the seconds after which a
# scheduled converge sends a report even where it finds nothing to do. Less than a day, so that a daily schedule has one each
# time; other hosts take other times.
find_promise() {
  PROMISE='' REPORT_AFTER=$((64800 + 0x${MACHINE_DIGEST%"${MACHINE_DIGEST#????}"} % 14400))
  is_scheduled && [ "$AUTH" != presigned ] || return 0
  fp_cron='' fp_splay=0 fp_zone=+0000
  while read -r fp_word fp_value; do
    case $fp_word in
    schedule) fp_cron=$fp_value ;;
    splay) fp_splay=$fp_value ;;
    esac
  done 2>/dev/null <"$STATE/schedule"
  # Cron goes by the zone of the host.
  if [ -n "$fp_cron" ]; then fp_zone=$(date +%z); fi
  case $fp_zone in [+-][0-9][0-9][0-9][0-9]) ;; *) fp_zone=+0000 ;; esac
  PROMISE="
\"schedule\":{\"everyMinutes\":$EVERY,\"cron\":\"$fp_cron\",\"splaySeconds\":$fp_splay,\"zone\":\"$fp_zone\",\"reportSeconds\":$REPORT_AFTER},"
}

# What anyone on the host may know of the last converge.
write_status() { # UNIX_SECONDS
  # Older agents made it for root alone.
  [ "$TRIGGER" != boot ] || chmod 711 "$STATE"
  umask 022
  {
    echo "$OUTCOME bundle=${BUNDLE:-none} finished=$1"
    cat "$TMP/status"
    echo "channel $RECIPE/$CHANNEL expires=${C_EXPIRES:-0} rollout=${ROLLOUT:--}"
    echo "agent version=$VERSION image=${IMAGE:--}"
    [ -z "$ERROR" ] || printf 'error %s\n' "$ERROR"
  } >"$STATE/status.new" && mv "$STATE/status.new" "$STATE/status" || note_failure
  umask 077
}

# Where the status cannot be kept, it would go on saying that all is well.
note_failure() {
  printf '%s\nerror %s\n' "$OUTCOME" "$ERROR" 2>/dev/null >"$RUN/failed"
}

# What node_exporter's textfile collector reads, where there is one or agent.conf names a file.
write_metrics() { # UNIX_SECONDS
  metrics_file || return 0
  wm_labels="recipe=\"$RECIPE\",channel=\"$CHANNEL\"" wm_ok=1 wm_ran=0 wm_stamped=0 wm_failed=0 wm_blocked=0 wm_other=0
  [ -z "$ERROR" ] || wm_ok=0
  while read -r _ _ wm_outcome _; do
    case $wm_outcome in
    ran) wm_ran=$((wm_ran + 1)) ;;
    stamped) wm_stamped=$((wm_stamped + 1)) ;;
    failed) wm_failed=$((wm_failed + 1)) ;;
    blocked) wm_blocked=$((wm_blocked + 1)) ;;
    *) wm_other=$((wm_other + 1)) ;;
    esac
  done <"$TMP/status"
  clock
  seconds $((NOW - START))
  replace_metrics "$METRICS" <<END
# HELP parbake_converge_timestamp_seconds When the last converge that had work to do ended.
# TYPE parbake_converge_timestamp_seconds gauge
parbake_converge_timestamp_seconds{$wm_labels} $1
# HELP parbake_converge_success 1 where the last converge was all well.
# TYPE parbake_converge_success gauge
parbake_converge_success{$wm_labels} $wm_ok
# HELP parbake_converge_duration_seconds How long the last converge took.
# TYPE parbake_converge_duration_seconds gauge
parbake_converge_duration_seconds{$wm_labels} $SECONDS_TEXT
# HELP parbake_steps Steps of the last converge by outcome.
# TYPE parbake_steps gauge
parbake_steps{$wm_labels,outcome="ran"} $wm_ran
parbake_steps{$wm_labels,outcome="stamped"} $wm_stamped
parbake_steps{$wm_labels,outcome="failed"} $wm_failed
parbake_steps{$wm_labels,outcome="blocked"} $wm_blocked
parbake_steps{$wm_labels,outcome="other"} $wm_other
# HELP parbake_channel_serial Serial of the channel that this host has.
# TYPE parbake_channel_serial gauge
parbake_channel_serial{$wm_labels} ${C_SERIAL:-0}
# HELP parbake_channel_expiry_timestamp_seconds When the channel expires; 0 for never.
# TYPE parbake_channel_expiry_timestamp_seconds gauge
parbake_channel_expiry_timestamp_seconds{$wm_labels} ${C_EXPIRES:-0}
END
  [ "$UNCHANGED" = yes ] && [ -n "$ERROR" ] || write_check "$1"
}

# That the store was asked and had nothing new: a file of its own, so that the others keep what they say.
write_check() { # UNIX_SECONDS
  replace_metrics "${METRICS%.prom}-check.prom" <<END
# HELP parbake_check_timestamp_seconds When this host last saw a channel that it believes.
# TYPE parbake_check_timestamp_seconds gauge
parbake_check_timestamp_seconds{recipe="$RECIPE",channel="$CHANNEL"} $1
END
}

# The file for metrics, in METRICS; false where there shall be none.
metrics_file() {
  [ "$TRIGGER" != bake ] || return 1
  [ -n "$METRICS" ] || [ ! -d "$COLLECTOR" ] || METRICS=$COLLECTOR/parbake.prom
  case $METRICS in /*.prom) ;; *) return 1 ;; esac
}

replace_metrics() { # FILE, text on standard input
  (umask 022 && cat >"$1.new" && mv "$1.new" "$1") || say "metrics cannot be written to $1"
}

# One mebibyte at most, and as much of what came before.
bound_log() {
  bl_bytes=$(wc -c <"$LOGFILE") 2>/dev/null && [ "$bl_bytes" -gt 1048576 ] || return 0
  mv -f "$LOGFILE" "$LOGFILE.1"
}

# --------------------------------------------------------------------------------------------------------------- converge

#: agent stage0
prepare() {
  # Anyone may read the status that lies in it, by its name.
  [ -d "$STATE" ] || { mkdir -p "${STATE%/*}" && mkdir -m 711 "$STATE"; } || fail "the folder $STATE cannot be made" || return
  for pr_dir in "$RUN/stamps" "$STATE/stamps" "$STATE/log" "$STATE/bundles" "$TMP"; do
    [ -d "$pr_dir" ] || mkdir -p "$pr_dir" || fail "the folder $pr_dir cannot be made" || return
  done
  # A disk that is full or read-only shows only when something is written, and would else be put down to the store.
  { printf %8192s '' >"$TMP/room" && true >"$TMP/room"; } 2>/dev/null || fail "$TMP cannot be written: is the disk full or read-only?" || return
  find_tools
}

#: agent
find_instance() {
  INSTANCE=
  read -r INSTANCE 2>/dev/null <"$INSTANCE_FILE"
  is_name "$INSTANCE" || INSTANCE=unknown
  COLD=false FIRST=true IMAGE=
  [ -d "$STATE/instances/$INSTANCE" ] || COLD=true
  [ ! -e "$RUN/converged" ] || FIRST=false
  read -r IMAGE 2>/dev/null <"$STATE/image"
  is_name "$IMAGE" || IMAGE=
}

# True where the index names a step that must run now.
anything_due() {
  while IFS=' ' read -r ad_kind ad_index _ ad_digest ad_when _; do
    [ "$ad_kind" = step ] || continue
    stamp_of "$ad_when" "$ad_digest"
    [ -n "$STAMP" ] && [ -e "$STAMP" ] || { ! applies "$STATE/bundles/$BUNDLE/steps/$ad_index/if" && [ -z "$CONDITION" ]; } || return 0
  done <"$STATE/bundles/$BUNDLE/index"
  return 1
}

# True where this host has sent nothing for so long that it could not be told from one that is gone. By the uptime, which costs
# no program to ask for, so each boot begins anew; and so does its converge with a report. Through a presigned URL it would only
# overwrite the one of the first boot.
report_due() {
  [ "$AUTH" != presigned ] || return 1
  rd_at=0
  read -r rd_at 2>/dev/null <"$RUN/report-due"
  is_number "$rd_at" || rd_at=0
  [ $NOW -ge "$rd_at" ]
}

# The unit starts before cloud-init's config stage, for fetching needs nothing of it. Steps do: locale, time zone, sources of
# packages. A tuned image may say that its steps do not.
await_config() {
  [ "$TRIGGER" = boot ] && [ ! -e "$STATE/steps-early" ] || return 0
  aw_left=1500
  while [ -r "$CLOUD_STATUS" ] && ! config_is_over && [ $aw_left -gt 0 ]; do
    aw_left=$((aw_left - 1))
    sleep 0.2
  done
}

# The file is JSON with one value to a line, its keys sorted.
config_is_over() {
  ci_stage=
  while read -r ci_name ci_value; do
    case $ci_name:$ci_value in
    '"modules-'*) ci_stage=$ci_name ;;
    '"finished"::null'*) ;;
    '"finished":'*) [ "$ci_stage" != '"modules-config":' ] || return 0 ;;
    esac
  done <"$CLOUD_STATUS"
  return 1
}

has_boot_unit() {
  [ -e "$ETC/systemd/system/parbake-boot.service" ] || [ -e "$ETC/runlevels/default/parbake-boot" ]
}

converge() {
  PHASES=
  phase prepare
  START=$NOW READY=$NOW FETCHED=0 RAN=0 STAMPED=0 FAILED=0 PHASE=runtime STAMP_MARK=runtime TRIES=2 WAIT=3600
  BUNDLE='' C_SERIAL='' RUN_ID=none RECIPE=unknown REBOOT='' ROLLOUT='' TAGS=''
  case $TRIGGER in
  boot) TRIES=6 ;;
  cron) WAIT=0 ;;
  bake) PHASE=bake STAMP_MARK=baked ;;
  esac
  # Just after a boot the unit is to converge first: cron must not take its place while cloud-init is still at work.
  if [ "$TRIGGER" = cron ] && [ $NOW -lt 60000 ] && [ ! -e "$RUN/attempted" ] && has_boot_unit; then return 0; fi
  if is_paused; then
    case $TRIGGER in
    boot) say "paused, so nothing runs: $PAUSED" ;;
    manual) say "scheduled converges are paused: $PAUSED" ;;
    esac
    [ "$TRIGGER" = manual ] || return 0
  fi
  cv_status=1
  prepare && cv_status=2 && read_conf || {
    outcome
    note_failure
    return $cv_status
  }
  [ ! -e "$RUN/failed" ] || rm -f "$RUN/failed"
  take_lock $WAIT || return 75
  trap release EXIT
  trap 'trap - EXIT; release; exit 130' INT TERM
  # The second starter of a boot (unit in a baked image, runcmd) finds the work done.
  if [ "$TRIGGER" = boot ] && [ -e "$RUN/converged" ]; then return 0; fi
  true >"$TMP/steps"
  true >"$TMP/status"
  find_instance
  read -r RUN_ID </proc/sys/kernel/random/uuid
  # What stage-0 did before is part of this start, and so are the lists of packages that it fetched.
  if read -r cv_start cv_end cv_manager 2>/dev/null <"$RUN/client"; then
    PHASES="client $cv_start agent $cv_end $PHASES"
    echo "$RUN_ID" >"$RUN/lists.$cv_manager"
    rm -f "$RUN/client"
  fi
  if pull_channel && pull_bundle && keep_channel; then
    phase wait
    FETCHED=$((NOW - START))
    if [ $UNCHANGED = yes ] && [ "$TRIGGER" = cron ] && [ ! -e "$STATE/trial" ] && ! anything_due && ! report_due; then
      true >"$STATE/checked"
      ! metrics_file || write_check "$(date +%s)"
      return 0
    fi
    await_config
    run_steps
  else
    # Unreachable or unbelievable: what was verified earlier still holds, so boot steps and unfinished work go on.
    cv_error=$ERROR
    phase wait
    FETCHED=$((NOW - START)) READY=$NOW
    if [ "$TRIGGER" != bake ] && [ -r "$KEPT" ] && read_channel "$KEPT" && not_expired && [ -r "$STATE/bundles/$BUNDLE/index" ]; then
      say "going on with the last good bundle, serial $C_SERIAL"
      await_config
      run_steps
    fi
    ERROR=$cv_error UNCHANGED=yes
  fi
  outcome
  cv_status=$?
  # Before the report, which says when the next one is to be expected.
  [ "$TRIGGER" = bake ] || update_schedule
  write_report
  if [ -z "$REBOOT" ] && [ -e "$STATE/trial" ] && [ "$TRIGGER" != bake ]; then update_agent $cv_status; fi
  [ -z "$REBOOT" ] || reboot_host
  return $cv_status
}

# The step that asked has its stamp, so the next boot goes on behind it.
reboot_host() {
  say "rebooting, as step $REBOOT asked"
  for rh_tool in reboot 'shutdown -r now' 'systemctl reboot'; do
    ! have ${rh_tool%% *} || ! $rh_tool || return 0
  done 2>>"$LOGFILE"
  say 'the reboot failed: the next converge goes on without it'
}

#: agent stage0
# What this converge came to, on the console at boot. False unless all is well.
outcome() {
  true >"$RUN/attempted"
  seconds "$READY"
  OUTCOME="recipe=${RECIPE:-unknown} run=$RUN_ID serial=${C_SERIAL:-0} ran=$RAN stamped=$STAMPED"
  if [ -z "$ERROR" ]; then
    if [ -n "${REBOOT:-}" ]; then
      OUTCOME="rebooting $OUTCOME step=$REBOOT"
      say "$OUTCOME"
      return 0
    fi
    true >"$RUN/converged"
    OUTCOME="ready $OUTCOME uptime=$SECONDS_TEXT"
    say "$OUTCOME"
    return 0
  fi
  OUTCOME="failed $OUTCOME failed=$FAILED uptime=$SECONDS_TEXT"
  say "$OUTCOME: $ERROR"
  return 1
}

# -------------------------------------------------------------------------------------------------------------- schedule

# At boot by a unit, so that `boot` steps run without waiting for cron; in a baked image it starts the converge before
# cloud-init's last stages do. Later by cron, else by a timer. The minute depends on the host, so a fleet spreads.
install_schedule() { # PROGRAM
  find_host
  # Neither cron nor a calendar timer counts past the hour: from there on whole hours, up to a day.
  is_minutes=$EVERY is_hours=$((EVERY / 60))
  if [ "$is_minutes" -lt 1 ]; then is_minutes=1; fi
  if [ "$is_minutes" -gt 60 ]; then is_minutes=60; fi
  is_offset=$((0x${MACHINE_DIGEST%"${MACHINE_DIGEST#????}"} % is_minutes))
  is_cron="$is_offset-59/$is_minutes * * * *" is_timer="OnCalendar=*:$is_offset/$is_minutes" is_splay=0
  if [ $is_hours -gt 0 ]; then is_cron="$is_offset */$is_hours * * *" is_timer="OnCalendar=0/$is_hours:$is_offset"; fi
  if [ $is_hours -gt 23 ]; then is_cron="$is_offset 0 * * *" is_timer="OnCalendar=0:$is_offset"; fi
  is_title="every $EVERY minutes"
#: agent
  # Stage-0 knows no recipe yet.
  if [ -s "$STATE/schedule" ]; then
    is_timer=
    while read -r is_word is_value; do
      case $is_word in
      schedule) is_cron=$is_value is_title="at $is_value" ;;
      calendar) is_timer=$is_timer${is_timer:+$LF}OnCalendar=$is_value ;;
      splay) is_splay=$is_value ;;
      esac
    done <"$STATE/schedule"
  fi
#: agent stage0
  # All hosts have the same hour then, so each has a pause of its own before.
  is_pause='' is_before=''
#: agent
  if [ "$is_splay" -gt 0 ]; then
    is_splay=$((0x${MACHINE_DIGEST%"${MACHINE_DIGEST#????}"} % is_splay))
    is_pause="sleep $is_splay; " is_before="ExecStartPre=/bin/sh -c 'sleep $is_splay'$LF"
  fi
#: agent stage0
  umask 022
  if [ -d "$ETC/systemd/system" ]; then
    replace "$ETC/systemd/system/parbake-boot.service" "[Unit]
Description=parbake: converge
Wants=network-online.target
After=network-online.target cloud-init.service cloud-init-network.service
ConditionPathExists=$CONF

[Service]
ExecStart=$1 run --trigger boot"
    mkdir -p "$ETC/systemd/system/multi-user.target.wants"
    [ -e "$ETC/systemd/system/multi-user.target.wants/parbake-boot.service" ] ||
      ln -s ../parbake-boot.service "$ETC/systemd/system/multi-user.target.wants/parbake-boot.service"
  elif [ -d "$ETC/runlevels/default" ]; then
    replace "$ETC/init.d/parbake-boot" "#!/sbin/openrc-run
description='parbake: converge'

depend() {
  need localmount
  use net
  after cloud-init cloud-init-network
}

start() {
  ebegin 'Starting parbake'
  start-stop-daemon --start --background --exec $1 -- run --trigger boot
  eend \$?
}"
    chmod 755 "$ETC/init.d/parbake-boot"
    [ -e "$ETC/runlevels/default/parbake-boot" ] || ln -s ../../init.d/parbake-boot "$ETC/runlevels/default/parbake-boot"
  fi
  # The folder alone says little: other packages bring it too.
  if has_crontabs; then
    edit_crontab "$is_cron ${is_pause}test -x $1 && $1 run --trigger cron # parbake" ||
      say "$CRONTAB cannot be written: nothing will converge later"
    # The table is of no use where nobody reads it.
    ! have rc-update || { rc-update -q add crond default && rc-service -q crond start; } >>"$LOGFILE" 2>&1
  elif [ -d "$ETC/cron.d" ] && { have cron || have crond; }; then
    replace "$ETC/cron.d/parbake" "# parbake converges $is_title
$is_cron root ${is_pause}test -x $1 && $1 run --trigger cron"
  elif [ -d "$ETC/systemd/system" ]; then
    replace "$ETC/systemd/system/parbake.service" "[Unit]
Description=parbake: converge

[Service]
Type=oneshot
${is_before}ExecStart=$1 run --trigger cron"
    replace "$ETC/systemd/system/parbake.timer" "[Unit]
Description=parbake: converge

[Timer]
$is_timer
Persistent=true

[Install]
WantedBy=timers.target"
    systemctl daemon-reload && systemctl enable --now parbake.timer
  else
    say 'neither cron nor systemd is here: nothing will converge later'
  fi
  umask 077
}

# Busybox's crond has no cron.d: it reads root's own table, in which others have their lines too. So do some where that folder
# is missing.
has_crontabs() {
  CRONTAB=$ETC/crontabs/root
  [ -d "$ETC/crontabs" ] && have crond || return 1
  [ -d "$ETC/cron.d" ] || return 0
  case $(readlink -f "$(command -v crond)") in */busybox*) ;; *) return 1 ;; esac
}

# Replaces the agent's line in root's table, which ends in a comment that tells it from all others; without LINE takes it out.
edit_crontab() { # [LINE]
  (
    umask 077
    {
      [ ! -e "$CRONTAB" ] || sed '/ # parbake$/d' "$CRONTAB" || exit
      [ $# -eq 0 ] || printf '%s\n' "$1"
    } >"$CRONTAB.parbake-new" && mv "$CRONTAB.parbake-new" "$CRONTAB"
  )
}

#: agent
# The recipe may ask for other times than came with the user-data: an interval, or `schedule` with the five fields of cron,
# `calendar` with the same for systemd, `splay` with the seconds over which hosts spread.
update_schedule() {
  is_scheduled && [ -r "$STATE/bundles/$BUNDLE/index" ] || return 0
  us_every=$EVERY us_new='' us_old=''
  while IFS= read -r us_line; do
    us_value=${us_line#* }
    case $us_line in
    'every '*) ! is_number "$us_value" || us_every=$us_value ;;
    'splay '*) ! is_number "$us_value" || us_new=$us_new$us_line$LF ;;
    'schedule '*) case $us_value in *[!0-9*,/\ -]*) ;; *) us_new=$us_new$us_line$LF ;; esac ;;
    'calendar '*) case $us_value in *[!0-9A-Za-z*,:\ -]*) ;; *) us_new=$us_new$us_line$LF ;; esac ;;
    esac
  done <"$STATE/bundles/$BUNDLE/index"
  while IFS= read -r us_line; do us_old=$us_old$us_line$LF; done 2>/dev/null <"$STATE/schedule"
  [ "$us_every" != "$EVERY" ] || [ "$us_new" != "$us_old" ] || return 0
  EVERY=$us_every
  echo "$EVERY" >"$STATE/every"
  printf %s "$us_new" >"$STATE/schedule"
  install_schedule "$SELF"
}

# True where this host converges by itself.
is_scheduled() {
  [ ! -e "$ETC/cron.d/parbake" ] && [ ! -e "$ETC/systemd/system/parbake.timer" ] || return 0
  while read -r ih_line; do
    case $ih_line in *' # parbake') return 0 ;; esac
  done 2>/dev/null <"$ETC/crontabs/root"
  return 1
}

#: agent stage0
replace() { # FILE TEXT
  printf '%s\n' "$2" >"$1.parbake-new" && mv "$1.parbake-new" "$1"
}

#: agent
uninstall() {
  rm -f "$ETC/cron.d/parbake" "$ETC/systemd/system/parbake-boot.service" \
    "$ETC/systemd/system/multi-user.target.wants/parbake-boot.service" "$ETC/init.d/parbake-boot" "$ETC/runlevels/default/parbake-boot"
  CRONTAB=$ETC/crontabs/root
  ! grep -q ' # parbake$' "$CRONTAB" 2>/dev/null || edit_crontab
  if [ -e "$ETC/systemd/system/parbake.timer" ]; then
    systemctl disable --now parbake.timer
    rm -f "$ETC/systemd/system/parbake.timer" "$ETC/systemd/system/parbake.service"
    systemctl daemon-reload
  fi
  METRICS=''
  [ ! -r "$CONF" ] || read_conf
  ! metrics_file || rm -f "$METRICS" "${METRICS%.prom}-check.prom"
  rm -rf "$STATE" "$RUN"
  rm -f "$CONF" "$LOGFILE" "$LOGFILE.1" "$SELF" "$SELF.previous" "$SELF.new" "$STAGE0"
  rmdir "${CONF%/*}" "${STAGE0%/*}" 2>/dev/null
  echo 'parbake: removed; what the steps did stays' >&2
}

# Works for anyone who may enter the folder of the state; what only root may read is not in it.
status() {
  [ ! -r "$RUN/failed" ] || cat "$RUN/failed"
  cat "$STATE/status" 2>/dev/null || {
    echo 'no converge has finished on this host yet'
    return 1
  }
  [ ! -e "$STATE/checked" ] || echo "checked $(date -r "$STATE/checked" +%s)"
  ! is_paused || echo "paused $PAUSED"
}

# True where scheduled converges shall not run now; PAUSED says until when and why.
is_paused() {
  [ -s "$STATE/paused" ] || return 1
  read -r ip_until PAUSED <"$STATE/paused"
  is_number "$ip_until" || ip_until=0
  [ "$ip_until" -eq 0 ] || [ "$(date +%s)" -lt "$ip_until" ] || return 1
  if [ "$ip_until" -gt 0 ]; then PAUSED="until $ip_until: $PAUSED"; fi
}

pause() { # [--for NUMBER[smhd]] [REASON]
  pa_until=0
  if [ "${1:-}" = --for ]; then
    pa_number=${2:-} pa_unit=60
    case $pa_number in
    *s) pa_unit=1 ;;
    *h) pa_unit=3600 ;;
    *d) pa_unit=86400 ;;
    esac
    pa_number=${pa_number%[smhd]}
    is_number "$pa_number" && [ "$pa_number" -gt 0 ] || usage || return
    pa_until=$(($(date +%s) + pa_number * pa_unit))
    shift 2
  fi
  prepare || return 1
  umask 022
  replace "$STATE/paused" "$pa_until ${*:-no reason given}"
  pa_status=$?
  umask 077
  [ $pa_status -eq 0 ] && is_paused && say "paused: $PAUSED" || fail "$STATE cannot be written: are you root?" || return
}

resume() {
  rm -f "$STATE/paused" && say 'scheduled converges go on' || fail "$STATE cannot be written: are you root?" || return
}

show_log() { # [STEP]
  sl_file=$LOGFILE
  if [ $# -gt 0 ]; then
    is_name "$1" || usage || return
    sl_file=$STATE/log/$1.log
  fi
  [ -r "$sl_file" ] || fail "$sl_file is not there, or you are not root" || return
  cat "$sl_file"
}

# What the next converge would do. Changes nothing but what lies in /run.
diff() {
  TRIGGER=diff LOGFILE=/dev/null TRIES=2 PHASES='' TMP=$RUN/diff
  prepare && read_conf || return 2
  find_instance
  df_bundle=none df_serial=none df_all=' ' df_count=0
  ! [ -r "$KEPT" ] || ! read_channel "$KEPT" || df_bundle=$BUNDLE df_serial=$C_SERIAL
  df_old=$STATE/bundles/$df_bundle/index
  pull_channel || return 1
  df_new=$STATE/bundles/$BUNDLE
  if [ ! -r "$df_new/index" ]; then
    fetch_bundle || return 1
    df_new=$TMP/tree
  fi
  echo "channel $RECIPE/$CHANNEL serial=$C_SERIAL now=$df_serial"
  echo "bundle $BUNDLE now=$df_bundle"
  digest_of "$SELF" && [ "$DIGEST" = "$C_AGENT" ] || echo "agent $C_AGENT now=$DIGEST"
  while IFS= read -r df_line; do
    set -- $df_line
    [ "${1:-}" = step ] || continue
    read_step "$@" || fail "bundle $BUNDLE has a malformed index" || return
    df_all="$df_all$S_NAME "
    stamp_of "$S_WHEN" "$S_DIGEST"
    [ -z "$STAMP" ] || [ ! -e "$STAMP" ] || continue
    WHY=$S_WHEN
    if ! applies "$df_new/steps/$S_INDEX/if"; then
      WHY=not-applicable
    else
      df_count=$((df_count + 1))
      [ "$S_WHEN" != change ] || step_change
    fi
    echo "step $S_NAME $WHY"
  done <"$df_new/index"
  while read -r df_kind _ df_name _; do
    case $df_kind$df_all in step*" $df_name "*) ;; step*) echo "step $df_name removed" ;; esac
  done 2>/dev/null <"$df_old"
  echo "due $df_count"
  rm -rf "$TMP"
}

# Why a step of the next bundle is due, in WHY: its digest is another than before, or there was none, or it did not get done.
step_change() {
  WHY=new
  while read -r _ _ sc_name sc_digest _; do
    [ "$sc_name" = "$S_NAME" ] || continue
    WHY="changed from $sc_digest"
    [ "$sc_digest" != "$S_DIGEST" ] || WHY=unfinished
  done 2>/dev/null <"$df_old"
}

usage() {
  echo 'usage: parbake-agent boot | run [--trigger cron|manual] | status | log [STEP] | diff | pause [--for 2h] [REASON] | resume | uninstall | version' >&2
  return 2
}

main() {
  m_command=${1:-}
  [ $# -eq 0 ] || shift
  BAKE_STEPS='' EVENTS=''
  case $m_command in
  pause)
    pause "$@"
    return
    ;;
  log)
    [ $# -gt 1 ] || {
      show_log "$@"
      return
    }
    ;;
  esac
  while [ $# -gt 1 ]; do
    case $1 in
    --trigger) TRIGGER=$2 ;;
    --steps) BAKE_STEPS=$2 ;;
    --events) EVENTS=$2 ;;
    *) break ;;
    esac
    shift 2
  done
  [ $# -eq 0 ] || m_command=
  case $TRIGGER in boot | cron | manual) ;; *) m_command= ;; esac
  case $m_command in
  boot)
    TRIGGER=boot
    prepare && read_conf && install_schedule "$SELF"
    converge
    ;;
  run) converge ;;
  bake)
    TRIGGER=bake
    # The image's hosts find their settings elsewhere than the bake did.
    prepare && read_conf && (CONF=$ETC/parbake/agent.conf && install_schedule "$SELF")
    converge
    ;;
  status) status ;;
  diff) diff ;;
  resume) resume ;;
  uninstall) uninstall ;;
  version) echo "$VERSION" ;;
  *) usage ;;
  esac
}

main "$@"
exit $?

#: stage0
# Fetches the agent. Its schedule starts this file until the agent's own takes the place of it, so that a host whose store
# cannot be reached at its first boot, or that is stopped in the middle of it, comes up later.
get_agent() {
  PHASES='' RUN_ID=none RECIPE=unknown C_SERIAL='' RAN=0 STAMPED=0 FAILED=0 TRIES=2
  [ "$TRIGGER" != boot ] || TRIES=6
  phase prepare
  READY=$NOW
  prepare && read_conf || {
    outcome
    return 2
  }
  # An interval of hours is no time to wait for the first converge.
  [ "$EVERY" -le 5 ] || EVERY=5
  install_schedule "$STAGE0"
  take_lock 3600 || return 75
  trap release EXIT
  trap 'trap - EXIT; release; exit 130' INT TERM
  # Another one may have been first.
  if [ ! -x "$SELF" ]; then
    if ! { mkdir -p "${SELF%/*}" && pull_channel && have_agent; }; then
      clock
      READY=$NOW
      outcome
      return 1
    fi
    # The agent need not ask again.
    [ $UNCHANGED = yes ] || { mv "$TMP/channel" "$RUN/channel" && printf '%s\n' "$C_ETAG" >"$RUN/channel.etag"; }
  fi
  release
}

have_agent() {
  fetch_agent && mv "$SELF.new" "$SELF" || fail "the agent $C_AGENT could not be had (HTTP $CODE): trying again every $EVERY minutes"
}

# The agent reads the same channel again, and sees to these.
take_rollout() { true; }
learn_keys() { true; }
#: stage0-client
await_config() { true; }
#: stage0

[ $# -gt 0 ] || set -- boot
case $* in
boot | *' boot') TRIGGER=boot ;;
*' cron') TRIGGER=cron ;;
esac
if [ ! -x "$SELF" ]; then
  get_agent || exit
  set -- boot
fi
exec "$SELF" "$@"
