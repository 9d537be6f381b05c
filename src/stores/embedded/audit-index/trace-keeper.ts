import type { DatabaseSync } from 'node:sqlite'
import { outcomes, type Deed, type Step, type Tally } from '../../../audit/lineage/deed.ts'
import type { LineageNode } from '../../../audit/lineage/node.ts'
import { hourMs } from '../../../audit/lineage/trace.ts'
import { valueText } from '../../../audit/search/found-text.ts'

/** Where a record stands that adds to a trace. */
interface Spot {
  readonly segment: number
  readonly key: number
  readonly time: number
}

/** Counts deeds for the map. What is counted stands in memory until `flush`, within the transaction that reads the log on. */
export interface TraceKeeper {
  take(deed: Deed, step: Step, spot: Spot): void
  flush(): void
  clear(): void
}

interface Row {
  readonly segment: number
  readonly hour: number
  readonly parts: readonly number[]
  readonly tallies: Record<Tally, number>
  readonly says: Map<string, { readonly node: number; readonly say: string; count: number; last: number }>
  first: number
  last: number
}

const mostKnown = 20_000
const mostPending = 5_000

export const makeTraceKeeper = (database: DatabaseSync): TraceKeeper => {
  const sql = statementsOf(database)
  const nodes = new Map<string, number>()
  const sets = new Map<string, number>()
  const pending = new Map<string, Row>()

  const remember = (known: Map<string, number>, key: string, n: number): number => {
    if (known.size >= mostKnown) known.clear()
    known.set(key, n)
    return n
  }

  const nodeOf = (node: LineageNode): number => {
    const known = nodes.get(node.id)
    if (known !== undefined) return known
    const found = sql.node.get(node.id) as { n: number } | undefined
    if (found !== undefined) return remember(nodes, node.id, found.n)
    const n = Number(sql.addNode.run(node.id, node.kind, node.name, node.at).lastInsertRowid)
    sql.addName.run(n, [node.id, node.name, node.at, ...(node.also ?? [])].map(valueText).join(''))
    return remember(nodes, node.id, n)
  }

  const setOf = (members: readonly { readonly node: number; readonly access: string; readonly confidence: string; readonly columns: readonly string[] }[]): number => {
    if (members.length === 0) return 0
    const key = JSON.stringify(members.map(({ node, access, confidence, columns }) => [node, access, confidence, ...columns]))
    const known = sets.get(key)
    if (known !== undefined) return known
    const found = sql.set.get(key) as { n: number } | undefined
    if (found !== undefined) return remember(sets, key, found.n)
    const n = Number(sql.addSet.run(key).lastInsertRowid)
    for (const [place, { node, access, confidence, columns }] of members.entries()) sql.addMember.run(n, place, node, access, confidence, JSON.stringify(columns))
    return remember(sets, key, n)
  }

  /** Deeds are made once for each record that names an action; those behind it carry the same one. */
  const partsOf = (deed: Deed): readonly number[] => {
    const chain = setOf(deed.chain.map((node) => ({ node: nodeOf(node), access: 'for', confidence: 'named', columns: [] })))
    const data = setOf(deed.touches.map(({ node, access, confidence, columns }) => ({ node: nodeOf(node), access, confidence, columns })))
    return [nodeOf(deed.who), chain, deed.session === undefined ? 0 : nodeOf(deed.session), nodeOf(deed.action), data, setOf(deed.by.map((node) => ({ node: nodeOf(node), access: 'by', confidence: 'named', columns: [] })))]
  }

  const take: TraceKeeper['take'] = (deed, { tallies, says }, { segment, key, time }) => {
    if (tallies.length === 0 && says.length === 0) return
    const hour = Math.floor(time / hourMs)
    const parts = partsOf(deed)
    const name = `${segment} ${hour} ${parts.join(' ')}`
    let row = pending.get(name)
    if (row === undefined) {
      if (pending.size >= mostPending) flush()
      row = { segment, hour, parts, tallies: { ran: 0, executed: 0, failed: 0, unknown: 0, held: 0, refused: 0 }, says: new Map(), first: key, last: key }
      pending.set(name, row)
    }
    row.first = Math.min(row.first, key)
    row.last = Math.max(row.last, key)
    for (const tally of tallies) row.tallies[tally]++
    for (const { by, say } of says) {
      const node = nodeOf(by)
      const one = row.says.get(`${node} ${say}`) ?? { node, say, count: 0, last: key }
      one.count++
      one.last = Math.max(one.last, key)
      row.says.set(`${node} ${say}`, one)
    }
  }

  const flush = (): void => {
    for (const { segment, hour, parts, tallies, says, first, last } of pending.values()) {
      const { n } = sql.count.get(segment, hour, ...parts, first, last, ...outcomes.map((name) => tallies[name])) as { n: number }
      for (const { node, say, count, last: at } of says.values()) sql.say.run(n, node, say, count, at)
    }
    pending.clear()
  }

  return {
    take,
    flush,
    clear: () => {
      for (const known of [nodes, sets, pending]) known.clear()
    },
  }
}

const statementsOf = (database: DatabaseSync) => ({
  node: database.prepare('select n from nodes where id = ?'),
  addNode: database.prepare('insert into nodes (id, kind, name, at) values (?, ?, ?, ?)'),
  addName: database.prepare('insert into named (rowid, words) values (?, ?)'),
  set: database.prepare('select n from sets where key = ?'),
  addSet: database.prepare('insert into sets (key) values (?)'),
  addMember: database.prepare('insert into members (part, place, node, access, confidence, columns) values (?, ?, ?, ?, ?, ?)'),
  count: database.prepare(`insert into traces (segment, hour, who, chain, session, action, data, voters, first, last, ${outcomes.join(', ')}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?${', ?'.repeat(outcomes.length)})
    on conflict (who, hour, segment, chain, session, action, data, voters) do update set first = min(first, excluded.first), last = max(last, excluded.last), ${outcomes.map((name) => `${name} = ${name} + excluded.${name}`).join(', ')} returning n`),
  say: database.prepare('insert into says (trace, node, say, count, last) values (?, ?, ?, ?, ?) on conflict (trace, node, say) do update set count = count + excluded.count, last = max(last, excluded.last)'),
})
