import { describe, expect, test } from 'vitest'
import { fullOnly } from '../vm/support.ts'
import { canScratch, runInScratch } from './scratch.ts'
import { renderType } from './support.ts'

/** The real dnf and zypper, which Debian has as packages, on a repository made and signed on the spot. */

const prepare = (manager: string, id: string) => `
export DEBIAN_FRONTEND=noninteractive
quietly() { "$@" >/tmp/said 2>&1 || { cat /tmp/said >&2; exit 1; }; }
quietly apt-get update
quietly apt-get install -y --no-install-recommends ${manager} createrepo-c rpm gnupg
# Debian's rpm has its database elsewhere than zypper.
mkdir -p /var/lib/rpm; echo '%_dbpath /var/lib/rpm' >/root/.rpmmacros
quietly gpg --batch --passphrase '' --quick-gen-key 'Test <test@example>' rsa2048 default never
package() {
  cat >/srv/package.spec <<END
Name: $1
Version: $2
Release: 1
Summary: for a test
License: MIT
BuildArch: noarch
%description
For a test.
%install
mkdir -p %{buildroot}/usr/share/$1
echo $2 >%{buildroot}/usr/share/$1/version
%files
/usr/share/$1/version
END
  quietly rpmbuild --define '_topdir /srv/rpm' -bb /srv/package.spec
}
package step-test 1.0; package step-test 2.0; package step-other 1.0
mkdir /srv/repo; cp /srv/rpm/RPMS/noarch/*.rpm /srv/repo
quietly rpmsign --define '__gpg /usr/bin/gpg' --define '_gpg_name Test' --addsign /srv/repo/*.rpm
quietly createrepo_c /srv/repo
quietly gpg --batch --detach-sign --armor /srv/repo/repodata/repomd.xml
gpg --armor --export >/srv/key.asc
rm -f /etc/os-release; echo 'ID=${id}' >/etc/os-release
`

describe.skipIf(!fullOnly || !canScratch)('packages', () => {
  test.each([
    ['dnf', 'fedora'],
    ['zypper', 'sles'],
  ])('by the real %s: a repository with its key, a pin, a removal', async (manager, id) => {
    const repository = { name: 'test', [manager]: { url: 'http://127.0.0.1:8777/', key: 'key.asc' } }
    const pinned = { install: ['step-test=1.0', 'step-other'], repositories: [repository] }
    const add = await renderType('packages', pinned)
    // The key is made there, and each part has processes of its own.
    const serve = `cp /srv/key.asc .parbake/test.${manager}.key
(cd /srv/repo && exec python3 -m http.server --bind 127.0.0.1 8777 >/dev/null 2>&1) &
sleep 3
`
    const remove = await renderType('packages', { remove: ['step-test', 'never-there'], update: false })
    const look = 'cat /usr/share/step-test/version 2>/dev/null || echo none; cat /usr/share/step-other/version'
    const [ready, added, there, removed, after] = await runInScratch([
      prepare(manager, id),
      { ...add, script: add.script.replace('set -eu\n', `set -eu\n${serve}`) },
      look,
      remove,
      look,
    ])
    expect([ready?.exitCode, ready?.stderr]).toEqual([0, ''])
    expect([added?.exitCode, added?.stderr, there?.stdout]).toEqual([0, '', '1.0\n1.0'])
    expect([removed?.exitCode, removed?.stderr, after?.stdout]).toEqual([0, '', 'none\n1.0'])
  })
})
