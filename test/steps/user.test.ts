import { describe, expect, it } from 'vitest'
import { renderType } from './support.ts'
import { canScratch, runInScratch, shells } from './scratch.ts'

const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8n one@example'
const other = 'from="10.0.0.0/8" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKx2 two@example'

describe.skipIf(!canScratch)('user', () => {
  it.each(shells.filter((shell) => shell !== 'busybox'))('makes and changes a user under %s', async (shell) => {
    const full = {
      user: 'app',
      uid: 4321,
      group: 'apps',
      gid: 4322,
      groups: ['adm'],
      home: '/srv/app',
      shell: '/bin/sh',
    }
    const [made, shown, again, changed, after] = await runInScratch(
      [
        await renderType('user', { ...full, authorizedKeys: [key] }),
        `getent passwd app; id app; getent shadow app | cut -d: -f2; stat -c '%U %G %a %n' /srv/app/.ssh /srv/app/.ssh/*
cat /srv/app/.ssh/authorized_keys; echo 'by hand' >>/srv/app/.ssh/authorized_keys; usermod -p SECRET app`,
        await renderType('user', { ...full, authorizedKeys: [key] }),
        await renderType('user', { user: 'app', groups: ['cdrom'], home: '/home', shell: '/bin/bash', locked: true }),
        'getent passwd app; id -Gn app; getent shadow app | cut -d: -f2; cat /srv/app/.ssh/authorized_keys',
      ],
      { shell },
    )
    expect([made, again, changed].map((outcome) => [outcome?.exitCode, outcome?.stderr])).toEqual([
      [0, ''],
      [0, ''],
      [0, ''],
    ])
    expect(shown?.stdout.split('\n')).toEqual([
      'app:x:4321:4322::/srv/app:/bin/sh',
      'uid=4321(app) gid=4322(apps) groups=4322(apps),4(adm)',
      '*',
      'app apps 700 /srv/app/.ssh',
      'app apps 600 /srv/app/.ssh/authorized_keys',
      '# parbake: begin',
      key,
      '# parbake: end',
    ])
    expect(after?.stdout.split('\n')).toEqual([
      'app:x:4321:4322::/home:/bin/bash',
      'apps adm cdrom',
      '*',
      'by hand',
      '# parbake: begin',
      key,
      '# parbake: end',
    ])
  })

  it.each(shells.filter((shell) => shell !== 'busybox'))(
    'says who that is and what sudo allows under %s',
    async (shell) => {
      const look = `getent passwd app | cut -d: -f5; cat /etc/sudoers.d/parbake-app; stat -c '%U %a' /etc/sudoers.d/parbake-app
[ -e /home/app ] || echo homeless`
      const outcomes = await runInScratch(
        [
          'mkdir -p /etc/sudoers.d',
          await renderType('user', {
            user: 'app',
            comment: "Ada's app",
            createHome: false,
            sudo: ['ALL=(ALL) NOPASSWD:ALL'],
          }),
          look,
          await renderType('user', { user: 'app', comment: 'another', sudo: ['ALL=(root) /bin/ls'] }),
          look,
          `type visudo >/dev/null || printf '#!/bin/sh\\nexit 1\\n' | install -m 755 /dev/stdin /usr/bin/visudo`,
          await renderType('user', { user: 'app', sudo: ['nonsense ='] }),
          look,
          await renderType('user', { user: 'app', sudo: [] }),
          'ls /etc/sudoers.d | grep -c parbake || :',
        ],
        { shell },
      )
      const [, made, first, changed, second, , refused, kept, , after] = outcomes
      expect([made?.exitCode, made?.stderr]).toEqual([0, ''])
      expect(first?.stdout).toBe("Ada's app\napp ALL=(ALL) NOPASSWD:ALL\nroot 440\nhomeless")
      expect([changed?.exitCode, second?.stdout]).toEqual([0, 'another\napp ALL=(root) /bin/ls\nroot 440\nhomeless'])
      expect([refused?.exitCode, refused?.stderr]).toEqual([
        1,
        expect.stringContaining('sudo does not understand its rules for app'),
      ])
      expect(kept?.stdout).toBe(second?.stdout)
      expect(after?.stdout).toBe('0')
    },
  )

  it('keeps the keys of others, and takes back its own', async () => {
    const [, , , shown] = await runInScratch([
      'useradd -m app; mkdir /home/app/.ssh; printf mine >/home/app/.ssh/authorized_keys; chown -R app: /home/app/.ssh',
      await renderType('user', { user: 'app', authorizedKeys: [key, other] }),
      await renderType('user', { user: 'app', authorizedKeys: [other] }),
      'cat /home/app/.ssh/authorized_keys',
    ])
    expect(shown?.stdout.split('\n')).toEqual(['mine', '# parbake: begin', other, '# parbake: end'])
  })

  it('follows no link of the user with the rights of root', async () => {
    const [, refused, shown] = await runInScratch([
      'useradd -m app; mkdir -p /root/.ssh; echo safe >/root/.ssh/authorized_keys; ln -s /root/.ssh /home/app/.ssh',
      await renderType('user', { user: 'app', authorizedKeys: [key] }),
      'cat /root/.ssh/authorized_keys',
    ])
    expect([refused?.exitCode, shown?.stdout]).toEqual([1, 'safe'])
    expect(refused?.stderr).toContain('parbake: cannot write the SSH keys of app: does its home folder exist?')
  })

  it('makes system users without a home, and removes users', async () => {
    const [made, shown, removed, again, gone] = await runInScratch([
      await renderType('user', { user: 'daemon1', system: true }),
      `getent passwd daemon1 | cut -d: -f7; [ "$(id -u daemon1)" -lt 1000 ] && [ ! -e /home/daemon1 ] && echo system`,
      await renderType('user', { user: 'daemon1', absent: true }),
      await renderType('user', { user: 'daemon1', absent: true }),
      'id daemon1 2>/dev/null || echo gone',
    ])
    expect([made?.exitCode, removed?.exitCode, again?.exitCode]).toEqual([0, 0, 0])
    expect(shown?.stdout.split('\n')[1]).toBe('system')
    expect(gone?.stdout).toBe('gone')
  })

  it.each([
    [{ uid: 77 }, 'app has the number 4321, not 77: files belong to numbers, so change it by hand'],
    [{ groups: ['nowhere'] }, 'there is no group nowhere: make it in a step that this one needs'],
  ])('%j is refused', async (spec, message) => {
    const [, refused] = await runInScratch(['useradd -u 4321 app', await renderType('user', { user: 'app', ...spec })])
    expect([refused?.exitCode, refused?.stderr]).toEqual([1, `parbake: ${message}`])
  })

  it('does with the tools of busybox what they can', async () => {
    const fake = (name: string, effect: string) =>
      `printf '%s\\n' '#!/bin/sh' 'echo ${name} "$@" >>/calls' '${effect}' >/fake/${name}; chmod +x /fake/${name}`
    const [, made, cannot, calls] = await runInScratch(
      [
        [
          'mkdir /fake',
          fake('adduser', 'echo "app:x:100:101::/srv/app:/bin/sh" >>/etc/passwd'),
          fake('addgroup', 'case $1 in app) ;; *) echo "apps:x:101:" >>/etc/group ;; esac'),
          fake('chpasswd', 'cat >>/calls'),
        ].join('\n'),
        await renderType('user', {
          ...{ user: 'app', system: true, group: 'apps', home: '/srv/app', shell: '/bin/sh', groups: ['adm'] },
        }),
        await renderType('user', { user: 'app', shell: '/bin/ash' }),
        'cat /calls',
      ],
      { shell: 'busybox', env: { PATH: '/fake:/bb' } },
    )
    expect([made?.exitCode, made?.stderr]).toEqual([0, ''])
    expect([cannot?.exitCode, cannot?.stderr]).toEqual([
      1,
      'parbake: cannot change the shell of app: usermod is missing on this host',
    ])
    expect(calls?.stdout.split('\n')).toEqual([
      'addgroup -S apps',
      'adduser -D -S -G apps -h /srv/app -s /bin/sh app',
      'chpasswd -e',
      'app:*',
      'addgroup app adm',
    ])
  })
})
