import { describe, expect, test } from 'vitest'
import { UserError } from '../../src/errors.ts'
import { parseInventory } from '../../src/verify/inventory.ts'
import { commonLines, fileLine, inventory, inventoryText } from './support.ts'

describe('parseInventory', () => {
  test('reads files with owners by number and name', () => {
    const { items } = inventory(
      'user\tweb\t998\t997\t/srv\t/usr/sbin/nologin\t',
      'group\tweb\t997\t',
      fileLine('/srv/a', { mode: 0o4755, uid: 998, gid: 997, size: 7, held: 'ff', attributes: { 'user.a': '00' } }),
      fileLine('/srv/link', { type: 'l', mode: 0o777, held: 'a' }),
      fileLine('/srv/null', { type: 'c', held: '1:3', uid: 5 }),
    )
    expect(items.file.get('/srv/a')).toEqual({
      type: 'file',
      mode: '4755',
      owner: '998 web',
      group: '997 web',
      content: '7 bytes, sha256 ff',
      attributes: 'user.a=00',
    })
    expect(items.file.get('/srv/link')).toMatchObject({ type: 'link', content: 'a' })
    expect(items.file.get('/srv/null')).toMatchObject({
      type: 'character device',
      content: '1:3',
      owner: '5 (no name)',
    })
  })

  test.each([
    ['a tab', '/a\tb'],
    ['a line break', '/a\nend\nb'],
    ['a backslash and quotes', '/a\\n"b\''],
    ['bytes that are no UTF-8', '/a\udcffb'],
  ])('keeps a name with %s', (_what, path) => {
    expect([...inventory(fileLine(path)).items.file.keys()]).toEqual([path])
  })

  test('reads packages with marks, and what is not quite installed', () => {
    const { items } = inventory(
      'package\tbash:amd64\t5.2-1\tinstalled',
      'package\tlibc6:amd64\t2.36\tinstalled',
      'package\told:all\t1\tconfig-files',
      'manual\tbash',
      'manual\tlibc6:i386',
    )
    expect(Object.fromEntries(items.package)).toEqual({
      'bash:amd64': { version: '5.2-1', mark: 'manual' },
      'libc6:amd64': { version: '2.36', mark: 'auto' },
      'old:all': { version: '1 (config-files)', mark: 'auto' },
    })
  })

  test('joins users with whether they have a password', () => {
    const { items } = inventory('user\tbare\t7\t7\t/\t/bin/sh\t', 'group\tadm\t4\tzoe,adam')
    expect(items.user.get('root')).toMatchObject({ id: '0:0', password: 'locked' })
    expect(items.user.get('bare')).toMatchObject({ password: 'unknown' })
    expect(items.group.get('adm')).toEqual({ id: '4', members: 'adam,zoe' })
  })

  test('joins unit files with what runs', () => {
    const { items } = inventory(
      'unit-file\tnginx.service\tenabled',
      'unit\tnginx.service\tactive\trunning',
      'unit-file\ta.timer\tenabled',
      'unit\ta.timer\tactive\telapsed',
      'unit\tbad.service\tfailed\tfailed',
      'unit-file\toff.service\tdisabled',
    )
    expect(Object.fromEntries(items.unit)).toEqual({
      'nginx.service': { enabled: 'enabled', state: 'active (running)' },
      'a.timer': { enabled: 'enabled', state: 'active' },
      'bad.service': { enabled: 'absent', state: 'failed' },
      'off.service': { enabled: 'disabled', state: 'inactive' },
    })
  })

  test('names the processes of a port once', () => {
    const { items } = inventory(
      'port\ttcp\t0.0.0.0\t80\tusers:(("nginx",pid=2,fd=6),("nginx",pid=1,fd=6))',
      'port\tudp\t[::1]\t323\t',
    )
    expect(Object.fromEntries(items.port)).toEqual({
      'tcp 0.0.0.0:80': { process: 'nginx' },
      'udp [::1]:323': { process: '' },
    })
  })

  test('keeps tabs and lines of kernel settings', () => {
    const { items } = inventory('sysctl\t/proc/sys/a\t1\t2', 'sysctl\t/proc/sys/b\tx', 'sysctl\t/proc/sys/b\ty')
    expect(items.sysctl.get('/proc/sys/a')).toEqual({ value: '1\t2' })
    expect(items.sysctl.get('/proc/sys/b')).toEqual({ value: 'x\ny' })
  })

  test.each([
    ['is empty', ''],
    ['is cut off', `inventory\t1\n${commonLines.join('\n')}\n`],
    ['is cut off inside its last word', 'inventory\t1\nend'],
    ['is of another version', 'inventory\t2\nend\n'],
    ['has an unknown word', inventoryText('what\tis\tthis')],
    ['has half a file', inventoryText('file\t["f",420,0')],
    ['has too short a file', inventoryText('file\t["f",420]')],
    ['has a record without a name', inventoryText('user')],
  ])('refuses what %s', (_what, text) => {
    expect(() => parseInventory(text, 'test')).toThrow(UserError)
    expect(() => parseInventory(text, 'test')).toThrow(/the inventory of test is damaged/)
  })
})
