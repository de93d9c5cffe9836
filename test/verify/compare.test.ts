import { describe, expect, test } from 'vitest'
import { compare, countCompared } from '../../src/verify/compare.ts'
import { fileLine, inventory } from './support.ts'

/** [what differs, line on the base's host, line on the image's host, kind, aspect] */
const cases: readonly (readonly [string, string, string, string, string])[] = [
  ['a mode', fileLine('/a'), fileLine('/a', { mode: 0o600 }), 'file', 'mode'],
  ['a setuid bit', fileLine('/a', { mode: 0o755 }), fileLine('/a', { mode: 0o4755 }), 'file', 'mode'],
  ['an owner', fileLine('/a'), fileLine('/a', { uid: 3 }), 'file', 'owner'],
  ['a group', fileLine('/a'), fileLine('/a', { gid: 3 }), 'file', 'group'],
  ['a content of the same size', fileLine('/a'), fileLine('/a', { held: 'bb' }), 'file', 'content'],
  ['a link', fileLine('/a', { type: 'l' }), fileLine('/a', { type: 'l', held: 'x' }), 'file', 'content'],
  [
    'a capability',
    fileLine('/a'),
    fileLine('/a', { attributes: { 'security.capability': '01' } }),
    'file',
    'attributes',
  ],
  ['a version', 'package\tx:all\t1\tinstalled', 'package\tx:all\t2\tinstalled', 'package', 'version'],
  ['a removed package', 'package\tx:all\t1\tinstalled', 'package\tx:all\t1\tconfig-files', 'package', 'version'],
  ['a user id', 'user\tu\t7\t7\t/\t/\t', 'user\tu\t8\t7\t/\t/\t', 'user', 'id'],
  ['a group id', 'group\tg\t7\t', 'group\tg\t8\t', 'group', 'id'],
  ['members', 'group\tg\t7\ta', 'group\tg\t7\ta,b', 'group', 'members'],
  ['an enabled unit', 'unit-file\tu.service\tenabled', 'unit-file\tu.service\tdisabled', 'unit', 'enabled'],
  ['a running unit', 'unit\tu.service\tactive\trunning', 'unit\tu.service\tfailed\tfailed', 'unit', 'state'],
  ['a daemon that ended', 'unit\tu.service\tactive\trunning', 'unit\tu.service\tactive\texited', 'unit', 'state'],
  ['who listens', 'port\ttcp\t*\t80\t("a",pid=1', 'port\ttcp\t*\t80\t("b",pid=1', 'port', 'process'],
  ['a kernel setting', 'sysctl\t/a\t1', 'sysctl\t/a\t2', 'sysctl', 'value'],
]

describe('compare', () => {
  test.each(cases)('finds %s', (_what, base, image, kind, aspect) => {
    expect(compare(inventory(base), inventory(image)).map((found) => [found.kind, found.aspect])).toEqual([
      [kind, aspect],
    ])
    expect(compare(inventory(base), inventory(base))).toEqual([])
  })

  test.each([
    ['file', fileLine('/a'), '/a', 'file'],
    ['package', 'package\tx:all\t1\tinstalled', 'x:all', '1'],
    ['user', 'user\tu\t7\t7\t/\t/\t', 'u', 'present'],
    ['group', 'group\tg\t7\t', 'g', 'present'],
    ['port', 'port\ttcp\t*\t80\t("a",pid=1', 'tcp *:80', 'a'],
    ['sysctl', 'sysctl\t/a\t1', '/a', '1'],
    ['module', 'module\tvfat', 'vfat', 'present'],
  ])('finds a %s that only one has', (kind, line, name, shown) => {
    const shared = { kind, name, aspect: 'existence' }
    expect(compare(inventory(line), inventory())).toEqual([{ ...shared, base: shown, image: undefined }])
    expect(compare(inventory(), inventory(line))).toEqual([{ ...shared, base: undefined, image: shown }])
  })

  test('of a file that became a folder tells nothing but that', () => {
    const found = compare(inventory(fileLine('/a')), inventory(fileLine('/a', { type: 'd', mode: 0o755, held: '' })))
    expect(found).toEqual([{ kind: 'file', name: '/a', aspect: 'type', base: 'file', image: 'folder' }])
  })

  test('tells all that differs about one file', () => {
    const found = compare(inventory(fileLine('/a')), inventory(fileLine('/a', { mode: 0, uid: 1, held: 'b' })))
    expect(found.map(({ aspect }) => aspect)).toEqual(['mode', 'owner', 'content'])
  })

  test('takes a unit that is neither installed nor running for none', () => {
    expect(compare(inventory('unit\tghost.service\tinactive\tdead'), inventory())).toEqual([])
  })

  test('sees that the same name stands for another number', () => {
    const web = (uid: number) => [`user\tweb\t${uid}\t0\t/\t/\t`, fileLine('/a', { uid })]
    const found = compare(inventory(...web(998)), inventory(...web(997)))
    expect(found.map(({ kind, aspect, base, image }) => [kind, aspect, base, image])).toEqual([
      ['file', 'owner', '998 web', '997 web'],
      ['user', 'id', '998:0', '997:0'],
    ])
  })

  test('leaves out what one of them could not be asked for, and counts it as nothing', () => {
    const port = 'port\ttcp\t*\t80\t("a",pid=1'
    expect(compare(inventory(port), inventory('lack\tports'))).toEqual([])
    expect(countCompared(inventory(port), inventory('lack\tports')).port).toBe(0)
    expect(countCompared(inventory(port), inventory()).port).toBe(1)
  })
})
