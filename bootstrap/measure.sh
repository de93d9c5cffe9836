#!/bin/sh
# What slowed this boot down, and why. Comes with the bundle, and is run by the agent once the host is ready, so that nobody
# waits for it. What it cannot find out it leaves out; nothing that goes wrong here fails a converge.
#
# Usage: measure report FOLDER BUNDLE LOGS FIRST READY PHASES
#          FOLDER/steps: the steps of the report, one to a line; completed in place
#          FOLDER/measured: gets further members of the report
#          FIRST: true at the first converge of a boot; READY: uptime in hundredths; PHASES: 'name uptime …', in hundredths
#        measure trace FILE SCRIPT      runs a step; FILE gets 'uptime line word' for each command of a shell script
#
# Needs what the agent needs, and awk. Here a fork costs nothing that anybody waits for.
#
# shellcheck disable=SC2016  # $ in single quotes is meant for awk and for the traced shell
set -uf

UPTIME=${PARBAKE_UPTIME:-/proc/uptime}
CLOUD_STATUS=${PARBAKE_CLOUD_STATUS:-/run/cloud-init/status.json}
CLOUD_LOG=${PARBAKE_CLOUD_LOG:-/var/log/cloud-init.log}
INSTANCE_DATA=${PARBAKE_INSTANCE_DATA:-/run/cloud-init/instance-data.json}
CONTAINER=${PARBAKE_CONTAINER:-/run/systemd/container}
CGROUP=${PARBAKE_CGROUP:-/proc/self/cgroup}

# Numbers with milliseconds; text as the inside of a JSON string, in printable ASCII.
AWK_LIB='
function sec(x) { return sprintf("%.3f", x < 0 ? 0 : x) }
function text(s) { gsub(/[^ -~]/, "?", s); gsub(/"/, "\047", s); gsub(/\\/, "&&", s); return s }
function out(s) { list = list (list == "" ? "" : ",") s }
'

# ----------------------------------------------------------------------------------------------------------------- phases

phases() {
  awk -v "all=$PHASES" "$AWK_LIB"'
BEGIN {
  n = split(all, part, " ")
  for (i = 1; i + 3 <= n; i += 2)
    out("{\"name\":\"" part[i] "\",\"start\":" sec(part[i + 1] / 100) ",\"wall\":" sec((part[i + 3] - part[i + 1]) / 100) "}")
  print "\"phases\":[" list "],"
}' </dev/null
}

# ------------------------------------------------------------------------------------------------------------------- boot

# In a container the kernel and its clock are those of the host.
boot() {
  [ ! -e "$CONTAINER" ] || return 0
  b_manager=$(systemctl show -p FirmwareTimestampMonotonic -p LoaderTimestampMonotonic -p InitRDTimestampMonotonic \
    -p UserspaceTimestampMonotonic -p UnitsLoadFinishTimestampMonotonic 2>/dev/null)
  b_split=$(kernel_split) && [ -n "$b_split" ] || return 1
  b_units=$(critical_chain) || b_units=
  b_cloud=$(cloud_init) || b_cloud=
  printf '%s\n' "\"boot\":{\"clock\":\"uptime\",$b_split,\"units\":[$b_units],\"cloudInit\":[$b_cloud]},"
}

# The kernel says when it starts the first process of the initrd or, without one, init; systemd says when it was started.
kernel_split() {
  { dmesg 2>/dev/null && printf '%s\n' "$b_manager"; } | awk "$AWK_LIB"'
/^\[ *[0-9.]+\].* Run \/.* as init process/ && !run { line = $0; sub(/^\[ */, "", line); run = line + 0; initrd = / Run \/init / }
/^[A-Za-z]+TimestampMonotonic=[0-9]+$/ { split($0, part, /TimestampMonotonic=/); at[part[1]] = part[2] / 1000000 }
END {
  user = at["Userspace"]
  if (at["InitRD"] > 0) { run = at["InitRD"]; initrd = 1 }
  if (!user) user = run
  if (!user) exit
  if (!run || run > user || !initrd) run = user
  printf "\"kernelSeconds\":%s,\"initrdSeconds\":%s", sec(run), sec(user - run)
  if (at["Firmware"] > 0) printf ",\"firmwareSeconds\":%s", sec(at["Firmware"] - at["Loader"])
  if (at["Loader"] > 0) printf ",\"loaderSeconds\":%s", sec(at["Loader"])
}'
}

# From the unit that runs the agent backwards, each time to the one that was up last of those that it had to come after.
# systemctl takes its time over each unit, so devices, timers and slices, which nothing on this way starts with, are left out.
critical_chain() {
  cc_unit=$(sed -n 's|^0::.*/\([^/]*\.service\)$|\1|p; s|^1:name=systemd:.*/\([^/]*\.service\)$|\1|p' "$CGROUP" 2>/dev/null)
  case $cc_unit in
  '') return 0 ;;
  # From 24.3 on cloud-init is one process in a unit of its own; the stages' units wait for it, one after the other.
  cloud-init-main.service) cc_unit=cloud-final.service ;;
  esac
  {
    printf '%s\n\n' "$b_manager"
    systemctl show -p Id -p After -p InactiveExitTimestampMonotonic -p ActiveEnterTimestampMonotonic \
      '*.service' '*.target' '*.mount' '*.socket' '*.path' '*.swap' 2>/dev/null
  } | awk -v "unit=$cc_unit" -v "ready=$READY" "$AWK_LIB"'
function span(name, start, end) { return "{\"name\":\"" text(name) "\",\"start\":" sec(start) ",\"end\":" sec(end) "}" }
function keep() {
  if ("Id" in value) {
    after[value["Id"]] = value["After"]
    begun[value["Id"]] = value["InactiveExitTimestampMonotonic"] / 1000000
    up[value["Id"]] = value["ActiveEnterTimestampMonotonic"] / 1000000
  } else if ("UserspaceTimestampMonotonic" in value) {
    user = value["UserspaceTimestampMonotonic"] / 1000000
    loaded = value["UnitsLoadFinishTimestampMonotonic"] / 1000000
  }
  split("", value)
}
/^$/ { keep(); next }
{ eq = index($0, "="); value[substr($0, 1, eq - 1)] = substr($0, eq + 1) }
END {
  keep()
  ready /= 100
  while (unit != "" && begun[unit] > 0 && !(unit in seen) && ++count <= 100) {
    seen[unit] = 1
    # One that is still starting is the one that the agent runs in.
    end = up[unit] >= begun[unit] ? up[unit] : ready
    if (begun[unit] < ready) chain = span(unit, begun[unit], end < ready ? end : ready) (chain == "" ? "" : ",") chain
    n = split(after[unit], earlier, " ")
    best = ""
    for (i = 1; i <= n; i++) {
      other = earlier[i]
      if (up[other] > 0 && up[other] <= begun[unit] && (best == "" || up[other] > up[best])) best = other
    }
    unit = best
  }
  if (loaded > user && user > 0) chain = span("systemd", user, loaded) (chain == "" ? "" : ",") chain
  print chain
}'
}

# The log has a record for each boot; the last one counts, for cloud-init ran in this boot. Its lines have wall-clock time. How
# far that is from uptime is known for now, and roughly, to the second, for the start of each stage: where the two do not fit,
# the clock was set in between. Lines that are torn or strange are passed over.
cloud_init() {
  [ -r "$CLOUD_STATUS" ] || return 0
  read -r ci_before _ <"$UPTIME"
  ci_now=$(date +%s.%N)
  read -r ci_after _ <"$UPTIME"
  ci_all=$(tail -c 2000000 "$CLOUD_LOG" 2>/dev/null |
    awk -v "ready=$READY" -v "before=$ci_before" -v "now=$ci_now" -v "after=$ci_after" "$AWK_LIB"'
function epoch(y, m, d, time, t) {
  split(time, t, /[:,.]/)
  y -= m <= 2
  m = (m + 9) % 12
  return (365 * y + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * m + 2) / 5) + d - 719469) * 86400 + t[1] * 3600 + t[2] * 60 + t[3] + t[4] / 1000
}
function wall(part) { split($1, part, "-"); return epoch(part[1], part[2], part[3], $2) }
function begin(event, start) { place[event] = ++count; name[count] = event; from[count] = start; to[count] = ""; outcome[count] = "" }
function finish(event, end, result) {
  if (!(event in place)) return
  to[place[event]] = end
  outcome[place[event]] = result
  delete place[event]
}
# A clock with full seconds only is half a second late, on average.
BEGIN { ready /= 100; zero = now + (now == int(now) ? 0.5 : 0) - (before + after) / 2; fits = 0 }
# After a power cut the next boot writes on where the last line broke off.
{
  while (match(substr($0, 2), /[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9][,.][0-9][0-9][0-9] - [a-z_]+\.py\[/))
    $0 = substr($0, RSTART + 1)
}
/^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9][,.][0-9][0-9][0-9] - / {
  if (/: Cloud-init v\. .* running .[a-z:-]+. at [A-Z][a-z][a-z], [0-9]+ [A-Z][a-z][a-z] [0-9]+ [0-9:]+ \+0000\. Up [0-9.]+ seconds/) {
    match($0, / running .[a-z:-]+. at /)
    split(substr($0, RSTART, RLENGTH), part, " ")
    stage = substr(part[2], 2, length(part[2]) - 2)
    gsub(/:/, "-", stage)
    if (stage == "init") stage = "init-network"
    split(substr($0, RSTART + RLENGTH), part, " ")
    said = epoch(part[4], (index("JanFebMarAprMayJunJulAugSepOctNovDec", part[3]) + 2) / 3, part[2], part[5])
    up = $0
    sub(/.* Up /, "", up)
    up += 0
    # Uptime never goes back: this is another boot, of which the start was not seen.
    if (stage == "init-local" || up < last_up) { count = 0; split("", place) }
    last_up = up
    # Lines may be in local time; zones differ from UTC by quarters of an hour.
    zone = int((wall() - said) / 900 + (wall() > said ? 0.5 : -0.5)) * 900
    offset = zone + (said - up > zero - 3 && said - up < zero + 3 ? zero : said - up + 0.5)
    known = 1
    begin(stage, up)
  } else if (known && match($0, /: start: [a-z-]+\/[A-Za-z0-9_.\/-]+: /)) {
    begin(substr($0, RSTART + 9, RLENGTH - 11), wall() - offset)
  } else if (known && match($0, /: finish: [a-z-]+(\/[A-Za-z0-9_.\/-]+)?: [A-Z]+: /)) {
    split(substr($0, RSTART + 10, RLENGTH - 12), part, /: /)
    finish(part[1], wall() - offset, part[2])
  }
  if (known) seen[stage] = wall() - offset
}
END {
  for (i = 1; i <= count; i++) {
    parent = name[i]
    sub(/\/.*/, "", parent)
    if (to[i] == "") {
      # In the last stage, what has not ended is still at work; in an earlier one it was cut off.
      outcome[i] = parent == stage ? "running" : "unfinished"
      to[i] = parent == stage ? ready : seen[parent]
    }
    if (from[i] < 0 || from[i] > ready || to[i] < from[i]) continue
    out("{\"name\":\"" text(name[i]) "\",\"start\":" sec(from[i]) ",\"end\":" sec(to[i] < ready ? to[i] : ready) ",\"result\":\"" outcome[i] "\"}")
  }
  print list
}')
  [ -n "$ci_all" ] || ci_all=$(cloud_stages) || return 1
  printf %s "$ci_all"
}

# Without a log there are the stages at least, by the wall clock as it is now.
cloud_stages() {
  awk -v "up=$ci_after" -v "now=$ci_now" -v "ready=$READY" "$AWK_LIB"'
/^ *"(init|init-local|modules-config|modules-final)": *\{/ { stage = $1; gsub(/[":{]/, "", stage) }
/^ *"(start|finished)": *[0-9.]+,?$/ && stage != "" { key = $1; gsub(/[":]/, "", key); at[stage, key] = $2 + 0 }
END {
  ready /= 100
  zero = now - up
  n = split("init-local init modules-config modules-final", order, " ")
  for (i = 1; i <= n; i++) {
    start = at[order[i], "start"] - zero
    end = at[order[i], "finished"] - zero
    running = !at[order[i], "finished"] || end > ready
    if (start < 0 || start > ready || (!running && end < start)) continue
    out("{\"name\":\"" (order[i] == "init" ? "init-network" : order[i]) "\",\"start\":" sec(start) ",\"end\":" sec(running ? ready : end) ",\"result\":\"" (running ? "running" : "SUCCESS") "\"}")
  }
  print list
}' "$CLOUD_STATUS"
}

# ------------------------------------------------------------------------------------------------------------------ place

# What cloud-init has read from the metadata service already. The file is JSON with one value to a line, one blank to a level.
place() {
  awk "$AWK_LIB"'
function string() {
  value = $0
  if (!sub(/^ *"[^"]*": "/, "", value) || !sub(/",?$/, "", value)) return ""
  return value ~ /^[A-Za-z0-9][A-Za-z0-9._-]*$/ && length(value) <= 100 ? value : ""
}
/^ "[A-Za-z0-9_]+": \{/ { section = $1 }
/^ \}/ { section = "" }
section == "\"v1\":" && /^  "region": "/ { region = string() }
section == "\"ds\":" && /^ +"(instance-type|instance_type|vmSize)": "/ && type == "" { type = string() }
END {
  if (type != "") print "\"instanceType\":\"" type "\","
  if (region != "") print "\"region\":\"" region "\","
}' "$INSTANCE_DATA" 2>/dev/null
}

# ------------------------------------------------------------------------------------------------------------------ steps

# apt says once a second that it waits for a lock. For those that a package manager does not wait for, the script of a packages
# step (src/steps/package-managers.ts) pauses for 5 seconds each time. Of shell steps that were traced, the lines that took longest.
steps() {
  awk -v "bundle=$BUNDLE" -v "logs=$LOGS" "$AWK_LIB"'
function lock(log_file, script, line, waited, tries, ours) {
  while ((getline line <log_file) > 0) {
    if (line ~ /^Waiting for cache lock: /) waited++
    if (line ~ /^E: Could not get lock |^ERROR: Unable to lock |is locked by /) tries++
  }
  close(log_file)
  if (tries) {
    while ((getline line <script) > 0) if (index(line, "fail \"$manager $1 failed $tries times\"")) ours = 1
    close(script)
  }
  return waited + (ours ? 5 * tries : 0)
}
# A line that may hold a secret shows its first word only. Variables are not expanded here; but people write secrets down.
function masked(line, word, n, i, piece) {
  sub(/^[ \t]+/, "", line)
  sub(/[ \t\r]+$/, "", line)
  n = split(line, piece, /[^A-Za-z0-9+=_]+/)
  for (i = 1; i <= n; i++) if (length(piece[i]) >= 20 && piece[i] ~ /[0-9]/ && piece[i] ~ /[A-Za-z]/) return first_word(line)
  if (tolower(line) ~ /pass|pwd|secret|token|key|cred|auth|bearer|cookie|signature|:\/\/[^\/ ]*@|(^|[ \t])(-u|--user)[ =]/) return first_word(line)
  return length(line) > 100 ? substr(line, 1, 97) "..." : line
}
function first_word(line) {
  sub(/[ \t].*/, "", line)
  sub(/=.*/, "=", line)
  return substr(line, 1, 40) " ***"
}
# Some shells count the lines of a function from its own start.
function line_of(number, word, source, lines, i, at) {
  if (word == "" || index(source[number], word)) return number
  for (i = 1; i <= lines; i++)
    if (source[i] ~ /^[ \t]*(function[ \t]+)?[A-Za-z_][A-Za-z0-9_]*[ \t]*\(\)/) {
      at = i + number - 1
      if (at <= lines && index(source[at], word)) return at
    }
  return number
}
function trace(file, script, end, line, lines, source, part, at, since, n, i, best, all) {
  # The first line is that which starts the script.
  if ((getline line <file) <= 0) return ""
  while ((getline source[lines + 1] <script) > 0) lines++
  close(script)
  split("", spent)
  do {
    split(line, part, " ")
    if (at > 0 && part[1] >= since) spent[at] += part[1] - since
    since = part[1]
    at = part[3] == "." && !at ? 0 : line_of(part[2] + 0, part[3], source, lines)
  } while ((getline line <file) > 0)
  close(file)
  if (at > 0 && end > since) spent[at] += end - since
  for (n = 0; n < 10; n++) {
    best = 0
    for (i = 1; i <= lines; i++) if (spent[i] >= 0.05 && (!best || spent[i] > spent[best])) best = i
    if (!best) break
    all = all (n ? "," : "") "{\"line\":" best ",\"command\":\"" text(masked(source[best])) "\",\"seconds\":" sec(spent[best]) "}"
    delete spent[best]
  }
  return all == "" ? "" : ",\"trace\":[" all "]"
}
function number(key, rest) {
  rest = $0
  return sub(".*\"" key "\":", "", rest) ? rest + 0 : 0
}
/"attempts":[1-9]/ && match($0, /"name":"[^"]*"/) {
  name = substr($0, RSTART + 8, RLENGTH - 9)
  script = ""
  while ((getline line <(bundle "/index")) > 0) {
    split(line, part, " ")
    if (part[1] == "step" && part[3] == name) script = bundle "/steps/" part[2] "/run"
  }
  close(bundle "/index")
  waited = lock(logs "/" name ".log", script)
  # The output of a failed step comes last, and may look like anything.
  more = (waited ? ",\"lockSeconds\":" waited : "") trace(logs "/" name ".trace", script, number("startUptime") + number("wall"))
  match($0, /"attempts":[0-9]+/)
  $0 = substr($0, 1, RSTART + RLENGTH - 1) more substr($0, RSTART + RLENGTH)
}
{ print }' "$FOLDER/steps" >"$FOLDER/steps.new" && mv "$FOLDER/steps.new" "$FOLDER/steps"
}

report() {
  umask 077
  export LC_ALL=C
  rm -f "$1/measured.new"
  FOLDER=$1 BUNDLE=$2 LOGS=$3 FIRST=$4 READY=$5 PHASES=$6
  steps
  set +f
  rm -f "$LOGS"/*.trace
  set -f
  # Half of an answer would spoil the report.
  for re_part in phases boot place; do
    [ "$re_part:$FIRST" != boot:false ] || continue
    re_text=$($re_part) && printf '%s\n' "$re_text" >>"$FOLDER/measured.new"
  done
  mv "$FOLDER/measured.new" "$FOLDER/measured"
}

# ------------------------------------------------------------------------------------------------------------------ trace

# Runs the step in the environment that the agent made for it, and adds nothing but descriptor 8 to it.
# Only the number of a line and the first word are kept: the rest has its variables expanded, secrets among them.
trace() {
  tr_file=$1 tr_script=$2 tr_interpreter='' tr_argument=''
  [ "${PARBAKE_PHASE:-}" != bake ] || exec "$tr_script"
  read -r tr_line <"$tr_script"
  case $tr_line in '#!'*) ;; *) exec "$tr_script" ;; esac
  IFS=' 	' read -r tr_interpreter tr_argument <<END
${tr_line#??}
END
  tr_shell=${tr_interpreter##*/}
  if [ "$tr_shell" = env ]; then
    tr_shell=${tr_argument#-S }
    tr_shell=${tr_shell%%[ 	]*}
    tr_shell=${tr_shell##*/}
  fi
  [ "$tr_shell" != busybox ] || tr_shell=$tr_argument
  case $tr_shell in sh | bash | dash | ash | ksh | mksh) ;; *) exec "$tr_script" ;; esac
  # What the shell got by #! comes first, as the kernel does it.
  if [ -n "$tr_argument" ]; then set -- "$tr_interpreter" "$tr_argument"; else set -- "$tr_interpreter"; fi
  # Where there is no LINENO, as in most builds of dash, an error message in PS4 tells the line; an older dash dies of it.
  "$@" -c 'set +e; [ -z "${LINENO-}" ] || exit 7; PS4='\''+${parbake_line?} '\''; set -x; :; set +x; exit 7' 2>/dev/null
  if [ $? != 7 ] || ! rm -f "$tr_file.pipe" || ! mkfifo -m 600 "$tr_file.pipe"; then exec "$tr_script"; fi
  (umask 077 && read_trace) <"$tr_file.pipe" &
  exec 8>"$tr_file.pipe"
  rm -f "$tr_file.pipe"
  exec "$@" -c '
if [ -n "${BASH_VERSION-}" ]; then echo parbake: trace only >&8; BASH_XTRACEFD=8; else exec 2>&8 8>&-; fi
if [ -n "${LINENO-}" ]; then PS4='\''+parbake:$LINENO '\''; else PS4='\''+${parbake_line?} '\''; fi
set -x
. "$0"' "$tr_script"
}

# Where the trace comes mixed with what the step writes to standard error, that goes on to where it was meant to go.
read_trace() {
  rt_mixed=yes rt_line='' rt_number='' rt_count=0
  while IFS= read -r rt_line || [ -n "$rt_line" ]; do
    rt_rest=${rt_line#"${rt_line%%[!+]*}"}
    case $rt_line:$rt_rest in
    *': parbake_line: '*)
      rt_number=${rt_line#*: }
      rt_number=${rt_number%%:*}
      continue
      ;;
    +*':${parbake_line?} '*) rt_rest="parbake:$rt_number ${rt_rest#* }" ;;
    +*:parbake:[0-9]*' '*) ;;
    'parbake: trace only:'*)
      rt_mixed=
      continue
      ;;
    *)
      [ -z "$rt_mixed" ] || printf '%s\n' "$rt_line" >&2
      continue
      ;;
    esac
    rt_count=$((rt_count + 1))
    [ $rt_count -le 20000 ] || continue
    read -r rt_now _ <"$UPTIME"
    rt_number=${rt_rest#*:}
    rt_word=${rt_number#* }
    printf '%s\n' "$rt_now ${rt_number%% *} ${rt_word%%[ =]*}"
  done >"$tr_file"
}

case ${1:-} in
report | trace) "$@" ;;
*)
  echo 'usage: measure report FOLDER BUNDLE LOGS FIRST READY PHASES | trace FILE SCRIPT' >&2
  exit 2
  ;;
esac
