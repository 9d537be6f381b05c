import { hasRun, type Lineage, type LineageDeed } from '../../../audit/lineage/lineage.ts'
import type { Say } from '../../../audit/lineage/deed.ts'
import type { LineageNode, NodeKind } from '../../../audit/lineage/node.ts'

/* Where everything stands on the map: who is asked for on the left, then who acts, in which session, what is done, and on the right what it is done to. */

export const columns = ['for', 'who', 'session', 'action', 'data'] as const
export type Column = (typeof columns)[number]

export interface Spot {
  readonly key: string
  readonly column: Column
  readonly kind: NodeKind | 'more'
  readonly name: string
  readonly at: string
  /** The node it leads to; what stands for several leads nowhere. */
  readonly node: string | undefined
  readonly votes: readonly { readonly by: LineageNode; readonly say: Say; readonly count: number }[]
}

export type LineKind = 'for' | 'in' | 'asks' | 'reads' | 'writes' | 'calls' | 'flow'

export interface Line {
  readonly from: Spot
  readonly to: Spot
  readonly kind: LineKind
  readonly count: number
  readonly ran: boolean
  readonly least: boolean
}

export interface Drawing {
  /** What stands in each column that has something, from above. */
  readonly spots: ReadonlyMap<Column, readonly Spot[]>
  readonly lines: readonly Line[]
}

const mostInColumn = 12
/** More sessions of one account are drawn as one. */
const mostSessionsEach = 4
const mostFlows = 10

export const drawingOf = ({ nodes, deeds, flows }: Pick<Lineage, 'nodes' | 'deeds' | 'flows'>): Drawing => {
  const known = new Map(nodes.map((node) => [node.id, node]))
  const places = makePlaces(known, deeds)
  const lines = new Map<string, Line>()
  const join = (from: Spot | undefined, to: Spot | undefined, kind: LineKind, count: number, ran: boolean, least = false): void => {
    if (from === undefined || to === undefined) return
    const key = `${from.key} ${to.key} ${kind}`
    const before = lines.get(key)
    lines.set(key, { from, to, kind, count: count + (before?.count ?? 0), ran: ran || before?.ran === true, least: least || before?.least === true })
  }
  for (const deed of deeds) {
    const { who, chain, sessions, action, touches, tallies } = deed
    const [count, ran] = [Math.max(1, tallies.ran), hasRun(tallies)]
    const [actor, act] = [places.spot('who', who), places.spot('action', action)]
    for (const person of chain) join(places.spot('for', person), actor, 'for', count, ran)
    const own = [...new Set(sessions.map((session) => places.session(who, session)))].filter((spot) => spot !== undefined)
    for (const session of own) {
      join(actor, session, 'in', count, ran)
      join(session, act, 'asks', count, ran)
    }
    if (own.length === 0) join(actor, act, 'asks', count, ran)
    for (const { node, access, confidence } of touches) {
      const data = places.spot('data', node)
      if (access === 'reads') join(data, act, access, count, ran, confidence === 'least')
      else join(act, data, access, count, ran, confidence === 'least')
    }
  }
  const drawn = new Set<string>()
  for (const { from, to } of flows) {
    const [source, target] = [places.known('data', from), places.known('data', to)]
    if (source === undefined || target === undefined || source === target || drawn.size >= mostFlows || drawn.has(`${source.key} ${target.key}`)) continue
    drawn.add(`${source.key} ${target.key}`)
    join(source, target, 'flow', 1, true)
  }
  return { spots: places.ordered([...lines.values()]), lines: [...lines.values()] }
}

const makePlaces = (known: ReadonlyMap<string, LineageNode>, deeds: readonly LineageDeed[]) => {
  const found = new Map<Column, Map<string, Spot>>(columns.map((column) => [column, new Map()]))
  const votes = new Map<string, Map<string, Spot['votes'][number]>>()
  for (const { action, says } of deeds) {
    for (const { by, say, count } of says) {
      const node = known.get(by)
      if (node === undefined) continue
      const own = votes.get(action) ?? new Map<string, Spot['votes'][number]>()
      own.set(`${by} ${say}`, { by: node, say, count: count + (own.get(`${by} ${say}`)?.count ?? 0) })
      votes.set(action, own)
    }
  }
  const sessionsOf = new Map<string, Set<string>>()
  for (const { who, sessions } of deeds) for (const session of sessions) sessionsOf.set(who, (sessionsOf.get(who) ?? new Set()).add(session))

  const place = (column: Column, key: string, make: () => Spot): Spot => {
    const own = found.get(column)!
    const before = own.get(key)
    if (before !== undefined) return before
    if (own.size >= mostInColumn) {
      const rest = own.get('more') ?? { key: `${column} more`, column, kind: 'more' as const, name: 'and more', at: 'in the list below', node: undefined, votes: [] }
      own.set('more', rest)
      return rest
    }
    const made = make()
    own.set(key, made)
    return made
  }
  const spot = (column: Column, id: string): Spot | undefined => {
    const node = known.get(id)
    return node && place(column, id, () => ({ key: `${column} ${id}`, column, kind: node.kind, name: node.name, at: node.at, node: id, votes: [...(votes.get(id)?.values() ?? [])].slice(0, 4) }))
  }
  const session = (who: string, id: string): Spot | undefined => {
    const many = sessionsOf.get(who)?.size ?? 0
    if (many <= mostSessionsEach) return spot('session', id)
    return place('session', `all ${who}`, () => ({ key: `session all ${who}`, column: 'session', kind: 'session', name: `${many} sessions`, at: known.get(who)?.name ?? '', node: undefined, votes: [] }))
  }

  /** Each column from above in the order of what its lines come from, so that few of them cross. */
  const ordered = (lines: readonly Line[]): Drawing['spots'] => {
    const rank = new Map<Spot, number>()
    const orders = new Map<Column, readonly Spot[]>()
    for (const column of columns) {
      const own = [...found.get(column)!.values()]
      if (own.length === 0) continue
      const weight = new Map(own.map((one, at) => {
        const before = lines.flatMap(({ from, to }) => (from === one ? rank.get(to) : to === one ? rank.get(from) : undefined) ?? [])
        return [one, one.kind === 'more' ? Number.POSITIVE_INFINITY : before.length === 0 ? at / own.length : before.reduce((a, b) => a + b, 0) / before.length]
      }))
      const order = own.toSorted((a, b) => weight.get(a)! - weight.get(b)!)
      for (const [at, one] of order.entries()) rank.set(one, (at + 0.5) / order.length)
      orders.set(column, order)
    }
    return orders
  }

  return { spot, session, ordered, known: (column: Column, id: string): Spot | undefined => found.get(column)?.get(id) }
}
