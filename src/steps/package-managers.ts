import { installFile, ownFolder, prologue } from './shell.ts'

/** Package managers by the command that they are, in the order in which they are looked for. */
export const managers = ['apt-get', 'dnf', 'zypper', 'apk'] as const

export type Manager = (typeof managers)[number]

/** What one entry of a list of packages is called, `name` or `name=version`; undefined: unknown to the recipe. */
export type PackageNames = Readonly<Partial<Record<Manager, readonly string[] | undefined>>>

export interface PackageWork {
  readonly install: readonly PackageNames[]
  readonly remove: readonly PackageNames[]
  /** A command that makes all of it needless where it is there. */
  readonly unless?: string
  /** Install what packages recommend too, as far as the host's settings go. */
  readonly recommended: boolean
  /** Fetch the lists before, where this converge has not done so. */
  readonly update: boolean
  /** Shell text that puts sources of packages in place by `add_source FILE DESTINATION`; '' for none. */
  readonly repositories: string
}

/** A distribution's own manager comes first: others may be there as packages. */
const findManager = `# shellcheck disable=SC2034  # not every step reads all of it
ID='' ID_LIKE='' VERSION_CODENAME='' native=''
# shellcheck disable=SC1091
if [ -r /etc/os-release ]; then . /etc/os-release; fi
case " $ID $ID_LIKE " in
*' debian '* | *' ubuntu '*) native=apt-get ;;
*' fedora '* | *' rhel '* | *' centos '* | *' amzn '*) native=dnf ;;
*suse* | *' sles '*) native=zypper ;;
*' alpine '*) native=apk ;;
esac
manager=''
for candidate in $native ${managers.join(' ')}; do
  if [ -z "$manager" ] && have "$candidate"; then manager=$candidate; fi
done
if [ -z "$manager" ]; then fail "this step handles packages, but this host has none of ${managers.join(', ')}"; fi
`

/**
 * Locks of package managers do not all wait by themselves, and mirrors fail now and then. What was fetched in an earlier step
 * may be too old for what this one wants.
 */
const manage = `export DEBIAN_FRONTEND=noninteractive ZYPP_LOCK_TIMEOUT=300
call() {
  case $manager in
  apt-get)
    apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o APT::Update::Error-Mode=any \\
      -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
    ;;
  dnf) dnf -q -y --setopt=install_weak_deps=False "$@" ;;
  zypper) zypper -q --non-interactive "$@" ;;
  apk) apk -q --no-progress --wait 300 "$@" ;;
  esac
}
fetch_lists() {
  case $manager in
  dnf) manage makecache --refresh ;;
  zypper) manage refresh ;;
  *) manage update ;;
  esac
  mkdir -p /run/parbake
  echo "\${PARBAKE_RUN_ID:-}" >"$stamp"
}
# In this converge; where nobody says which one it is, within ten minutes.
lists_are_fresh() {
  if [ ! -e "$stamp" ]; then return 1; fi
  if [ -n "\${PARBAKE_RUN_ID:-}" ]; then
    [ "$(cat "$stamp")" = "$PARBAKE_RUN_ID" ]
  else
    [ -n "$(find "$stamp" -mmin -10)" ]
  fi
}
stamp=/run/parbake/lists.$manager most_tries=4
said=${ownFolder}/said
mkdir -p ${ownFolder}
manage() { # VERB ARGUMENT...
  tries=1 waited=0
  trap 'cat "$said"; exit 1' HUP INT TERM
  while :; do
    status=0
    # Not through a pipe, which what a package starts would hold open.
    call "$@" >"$said" 2>&1 || status=$?
    cat "$said"
    if [ "$status" -eq 0 ]; then return 0; fi
    if [ "$waited" -lt 60 ] && grep -qi 'could not get lock\\|unable to lock\\|is locked by' "$said"; then
      waited=$((waited + 1))
      sleep 5
      continue
    fi
    if [ "$tries" -ge "$most_tries" ]; then fail "$manager $1 failed $tries times"; fi
    sleep "$((tries * 3))"
    tries=$((tries + 1))
    case $update:$1:$tries in
    yes:install:2 | yes:add:2) (most_tries=1 && fetch_lists) || : ;;
    esac
  done
}
`

/** The whole script of a packages step. */
export function renderPackages({ install, remove, unless, recommended, update, repositories }: PackageWork): string {
  const places =
    repositories === ''
      ? ''
      : `${installFile}add_source() { # FILE DESTINATION
  cmp -s "$1" "$2" 2>/dev/null || rm -f "$stamp"
  install_file "$1" "$2" root:root 0644
}
${repositories}`
  const fetch = install.length > 0 && update ? 'if ! lists_are_fresh; then fetch_lists; fi\n' : ''
  return [
    prologue,
    unless === undefined ? '' : `if have ${unless}; then exit 0; fi\n`,
    findManager,
    `update=${update ? 'yes' : 'no'}\n`,
    manage,
    places,
    remove.length === 0 ? '' : `${pick(remove, (name) => name.replace(/=.*/, ''))}${removeAll}`,
    fetch,
    install.length === 0 ? '' : `${pick(install)}${installAll(install, recommended)}`,
  ].join('')
}

/** Sets the arguments to the names for the host's manager. */
function pick(entries: readonly PackageNames[], shown = (name: string) => name): string {
  const cases = managers.map((manager): [Manager, string] => {
    const unnamed = entries.find((entry) => entry[manager] === undefined)
    if (unnamed !== undefined) {
      const known = [...new Set(Object.values(unnamed).flatMap((names) => names ?? []))].join(', ')
      return [manager, `fail "the recipe does not say what ${known || 'a package'} is called for $manager"`]
    }
    const names = entries.flatMap((entry) => entry[manager] ?? []).map((name) => asTaken(manager, shown(name)))
    return [manager, `set -- ${names.join(' ')}`.trimEnd()]
  })
  const [first] = cases
  if (first !== undefined && cases.every(([, line]) => line === first[1])) return `${first[1]}\n`
  return `case $manager in\n${cases.map(([manager, line]) => `${manager}) ${line} ;;\n`).join('')}esac\n`
}

function asTaken(manager: Manager, name: string): string {
  return manager === 'dnf' ? name.replace('=', '-') : name
}

/** A pin may be older than what is there. */
function installAll(entries: readonly PackageNames[], recommended: boolean): string {
  const pinned = (manager: Manager) => entries.some((entry) => entry[manager]?.some((name) => name.includes('=')))
  return `if [ $# -gt 0 ]; then
  case $manager in
  apt-get) manage install${recommended ? '' : ' --no-install-recommends'}${pinned('apt-get') ? ' --allow-downgrades' : ''} "$@" ;;
  dnf) manage install${recommended ? ' --setopt=install_weak_deps=True' : ''} "$@" ;;
  zypper) manage install${recommended ? '' : ' --no-recommends'}${pinned('zypper') ? ' --oldpackage' : ''} "$@" ;;
  apk) manage add "$@" ;;
  esac
fi
`
}

/** Managers differ in what they say to names of packages that are not there. */
const removeAll = `is_installed() {
  case $manager in
  apt-get)
    # shellcheck disable=SC2016  # dpkg-query's own form
    case $(dpkg-query -W -f '\${db:Status-Abbrev}' "$1" 2>/dev/null) in ?i*) ;; *) return 1 ;; esac
    ;;
  apk) apk info -q -e "$1" >/dev/null 2>&1 ;;
  *) rpm -q "$1" >/dev/null 2>&1 ;;
  esac
}
for name in "$@"; do
  shift
  if is_installed "$name"; then set -- "$@" "$name"; fi
done
if [ $# -gt 0 ]; then
  case $manager in
  apk) manage del "$@" ;;
  *) manage remove "$@" ;;
  esac
fi
`
