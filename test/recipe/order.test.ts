import { expect, it } from 'vitest'
import { orderNodes, resolveOrder } from '../../src/recipe/order.ts'
import { parseYaml } from '../../src/util/yaml.ts'

/** `a:b,c` needs b and c, `a:` nothing, `a` all before it; gives `name(needs)` in order. */
function order(text: string): string {
  const steps = text.split(' ').map((item) => {
    const [name = '', needs] = item.split(':')
    return { name, ...(needs === undefined ? {} : { needs: needs === '' ? [] : needs.split(',') }) }
  })
  const document = parseYaml('', 'f')
  const result = resolveOrder(orderNodes(steps.map((raw, index) => ({ document, index, raw }))))
  expect(result.problems).toEqual([])
  return result.order.map(({ name, needs }) => `${name}(${needs.join(',')})`).join(' ')
}

it.each([
  ['a b c', 'a() b(a) c(a,b)'],
  ['a: b: c:', 'a() b() c()'],
  ['a:c b: c:', 'b() c() a(c)'],
  ['a:c b:a c: d:', 'c() a(c) b(a) d()'],
  ['a: b c:a d', 'a() b(a) c(a) d(a,b,c)'],
  ['a: b: c:b,a,b', 'a() b() c(a,b)'],
  ['d:c c:b b:a a:', 'a() b(a) c(b) d(c)'],
])('%s', (text, expected) => {
  expect(order(text)).toBe(expected)
})
