import type { Problem, SourceLocation } from '../errors.ts'
import { suggestion } from '../util/nearest.ts'
import type { YamlDocument, YamlPath } from '../util/yaml.ts'

/** A step as it is written, and where. */
export interface WrittenStep {
  readonly document: YamlDocument
  /** Its index in the file. */
  readonly index: number
  readonly raw: unknown
}

/** One step as far as its place among the others matters. */
export interface OrderNode {
  /** Its index among all steps, those of extended recipes included. */
  readonly index: number
  readonly step: WrittenStep
  readonly name: string
  /** Names as written, or undefined where the step needs all earlier ones. */
  readonly declared: readonly string[] | undefined
}

export interface OrderedNode extends OrderNode {
  readonly needs: readonly string[]
}

/** The nodes of a parsed recipe; steps without a usable name are left out. */
export function orderNodes(steps: readonly WrittenStep[]): OrderNode[] {
  return steps.flatMap((step, index) => {
    const { raw } = step
    if (typeof raw !== 'object' || raw === null) return []
    const { name, needs } = raw as Record<string, unknown>
    if (typeof name !== 'string') return []
    const declared = Array.isArray(needs) ? needs.filter((need): need is string => typeof need === 'string') : undefined
    return [{ index, step, name, declared }]
  })
}

/**
 * The order in which steps run: each after what it needs, else as in the file. Reports duplicate names, unknown needs and
 * cycles; the order is meaningless then.
 */
export function resolveOrder(nodes: readonly OrderNode[]): {
  readonly order: readonly OrderedNode[]
  readonly problems: readonly Problem[]
} {
  const problems: Problem[] = []
  const byName = new Map<string, OrderNode>()
  for (const node of nodes) {
    const first = byName.get(node.name)
    if (first === undefined) {
      byName.set(node.name, node)
    } else {
      const where = locate(first, 'name')
      const location = locate(node, 'name')
      const file = where.file === location.file ? '' : ` of ${where.file}`
      problems.push({
        message: `there are two steps named '${node.name}'`,
        location,
        hint: `the first is in line ${where.line ?? 0}${file}`,
      })
    }
  }
  const unique = [...byName.values()]
  const resolved = unique.map((node): OrderedNode => {
    if (node.declared === undefined) {
      return { ...node, needs: unique.filter((other) => other.index < node.index).map((other) => other.name) }
    }
    const known = new Set<string>()
    for (const [position, need] of node.declared.entries()) {
      const location = locate(node, 'needs', position)
      if (need === node.name) {
        problems.push({ message: `step '${node.name}' needs itself`, location })
      } else if (byName.has(need)) {
        known.add(need)
      } else {
        const others = unique.map((other) => other.name).filter((name) => name !== node.name)
        const hint = suggestion(need, others)
        problems.push({
          message: `step '${node.name}' needs '${need}', which does not exist`,
          location,
          ...(hint === undefined ? {} : { hint }),
        })
      }
    }
    return { ...node, needs: unique.filter((other) => known.has(other.name)).map((other) => other.name) }
  })
  const order = sort(resolved)
  const cycle = order.length < resolved.length ? findCycle(resolved, order) : []
  if (cycle[0] !== undefined) problems.push(cycleProblem(cycle, cycle[0]))
  return { order, problems }
}

/** Takes the first step of the file that is ready, again and again. */
function sort(nodes: readonly OrderedNode[]): OrderedNode[] {
  const order: OrderedNode[] = []
  const done = new Set<string>()
  for (;;) {
    const next = nodes.find((node) => !done.has(node.name) && node.needs.every((need) => done.has(need)))
    if (next === undefined) return order
    done.add(next.name)
    order.push(next)
  }
}

/** Steps of one cycle, each needing the next and the last needing the first; begins with the earliest in the file. */
function findCycle(nodes: readonly OrderedNode[], order: readonly OrderedNode[]): OrderedNode[] {
  const placed = new Set(order.map((node) => node.name))
  const stuck = new Map(nodes.filter((node) => !placed.has(node.name)).map((node) => [node.name, node]))
  const trail: OrderedNode[] = []
  let node = [...stuck.values()][0]
  while (node !== undefined && !trail.includes(node)) {
    trail.push(node)
    const next: string | undefined = node.needs.find((need) => stuck.has(need))
    node = next === undefined ? undefined : stuck.get(next)
  }
  const cycle = node === undefined ? [] : trail.slice(trail.indexOf(node))
  const first = cycle.toSorted((a, b) => a.index - b.index)[0]
  const start = first === undefined ? 0 : cycle.indexOf(first)
  return [...cycle.slice(start), ...cycle.slice(0, start)]
}

function cycleProblem(cycle: readonly OrderedNode[], first: OrderedNode): Problem {
  const names = cycle.map((node) => node.name)
  const implicit = cycle.find((node) => node.declared === undefined)
  return {
    message: `the steps need each other in a cycle: ${[...names, names[0]].join(' -> ')}`,
    location: locate(first, 'needs'),
    hint:
      implicit === undefined
        ? 'remove one of these needs'
        : `'${implicit.name}' has no needs, so it needs every step before it: give it its own list`,
  }
}

function locate({ step }: OrderNode, ...path: YamlPath): SourceLocation {
  return step.document.locate(['steps', step.index, ...path])
}
