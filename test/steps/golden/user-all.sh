#!/bin/sh
set -eu
fail() {
  echo "parbake: $*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
# One line of /etc/passwd or /etc/group, or of what stands beside them, in FOUND.
find_account() { # passwd|group NAME
  if have getent; then FOUND=$(getent "$1" "$2" || :); else FOUND=$(grep "^$2:" "/etc/$1" || :); fi
  [ -n "$FOUND" ]
}
name=app
if ! find_account group apps; then
  if have groupadd; then
    groupadd -r -g 401 apps
  else
    addgroup -S -g 401 apps
  fi
fi
find_account group adm || fail "there is no group adm: make it in a step that this one needs"
find_account group www || fail "there is no group www: make it in a step that this one needs"
if ! find_account passwd "$name"; then
  if have useradd; then
    useradd -r -u 400 -g apps -d '/srv/app' -m -s '/bin/sh' "$name"
    usermod -p '*' "$name"
  else
    adduser -D -S -u 400 -G apps -h '/srv/app' -s '/bin/sh' "$name"
    echo "$name:*" | chpasswd -e
  fi
  find_account passwd "$name" || fail "there is no user $name although it was made"
fi
if have usermod; then usermod -p '*' "$name"; else echo "$name:*" | chpasswd -e; fi
IFS=: read -r _ _ uid gid _ home shell <<END
$FOUND
END
if [ "$uid" != 400 ]; then
  fail "$name has the number $uid, not 400: files belong to numbers, so change it by hand"
fi
find_account group apps
wanted=${FOUND#*:*:}
if [ "$gid" != "${wanted%%:*}" ]; then
  have usermod || fail "cannot change the group of $name: usermod is missing on this host"
  usermod -g apps "$name"
fi
if [ "$home" != '/srv/app' ]; then
  have usermod || fail "cannot change the home of $name: usermod is missing on this host"
  usermod -d '/srv/app' "$name"
fi
if [ "$shell" != '/bin/sh' ]; then
  have usermod || fail "cannot change the shell of $name: usermod is missing on this host"
  usermod -s '/bin/sh' "$name"
fi
case " $(id -Gn "$name") " in
*' adm '*) ;;
*) if have usermod; then usermod -a -G adm "$name"; else addgroup "$name" adm; fi ;;
esac
case " $(id -Gn "$name") " in
*' www '*) ;;
*) if have usermod; then usermod -a -G www "$name"; else addgroup "$name" www; fi ;;
esac
# shellcheck disable=SC2016  # the inner shell has its own HOME
su -s /bin/sh "$name" -c '
set -eu
umask 077
mkdir -p "$HOME/.ssh"
cd "$HOME/.ssh"
{
  if [ -e authorized_keys ]; then
    { cat authorized_keys; echo; } | sed -e "/^# parbake: begin$/,/^# parbake: end$/d" -e "/^$/d"
  fi
  echo "# parbake: begin"
  cat
  echo "# parbake: end"
} >authorized_keys.parbake
if cmp -s authorized_keys.parbake authorized_keys 2>/dev/null; then
  rm authorized_keys.parbake
else
  mv -f authorized_keys.parbake authorized_keys
fi' <.parbake/keys || fail "cannot write the SSH keys of $name: does its home folder exist?"
