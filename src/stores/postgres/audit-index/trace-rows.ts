import { hash } from 'node:crypto'
import type { ClientBase } from 'pg'
import { outcomes, type Deed, type Say, type Step, type Tally } from '../../../audit/lineage/deed.ts'
import { nodeId, type LineageNode } from '../../../audit/lineage/node.ts'
import { hourMs, type Citation, type FoundTraces, type Trace, type TraceQuestion } from '../../../audit/lineage/trace.ts'
import { lineageQuery, nameQuery, namesVector } from './vector.ts'

/** A deed that one record adds to. */
export interface Counted {
  readonly deed: Deed
  readonly step: Step
  readonly replica: string
  readonly at: Citation
}

type SaidBy = Trace['says'][number]

interface Row {
  readonly replica: string
  readonly hour: number
  readonly key: string
  readonly deed: Deed
  readonly says: Map<string, SaidBy>
  readonly tallies: Record<Tally, number>
  first: Citation
  last: Citation
}

const namesOf = ({ id, name, at, also }: LineageNode): readonly string[] => [id, name, at, ...(also ?? [])]
const nodesOf = ({ who, chain, session, action, touches, by }: Deed): readonly LineageNode[] => [who, ...chain, ...(session === undefined ? [] : [session]), action, ...touches.map(({ node }) => node), ...by]
const keyOf = ({ who, chain, session, action, touches, by }: Deed): string => hash('sha256', JSON.stringify([who.id, chain.map(({ id }) => id), session?.id, action.id, touches.map(({ node, access, confidence, columns }) => [node.id, access, confidence, ...columns]), by.map(({ id }) => id)])).slice(0, 40)

/** Adds what the records say, within the transaction that takes them in. */
export const countDeeds = async (client: ClientBase, schema: string, counted: readonly Counted[], known: Set<string>): Promise<void> => {
  const rows = new Map<string, Row>()
  for (const { deed, step, replica, at } of counted) {
    if (step.tallies.length === 0 && step.says.length === 0) continue
    const [hour, key] = [Math.floor(at.time / hourMs), keyOf(deed)]
    const name = `${replica} ${hour} ${key}`
    const row = rows.get(name) ?? { replica, hour, key, deed, says: new Map<string, SaidBy>(), tallies: { ran: 0, executed: 0, failed: 0, unknown: 0, held: 0, refused: 0 }, first: at, last: at }
    rows.set(name, row)
    if (at.time < row.first.time) row.first = at
    if (at.time >= row.last.time) row.last = at
    for (const tally of step.tallies) row.tallies[tally]++
    for (const { by, say } of step.says) addSay(row.says, { by, say, count: 1, last: at })
  }
  if (rows.size === 0) return
  await keepNodes(client, schema, [...rows.values()], known)
  await keepRows(client, schema, [...rows.values()])
}

const addSay = (says: Map<string, SaidBy>, one: SaidBy): void => {
  const known = says.get(`${one.by.id} ${one.say}`)
  says.set(`${one.by.id} ${one.say}`, known === undefined ? one : { ...one, count: known.count + one.count, last: one.last.time >= known.last.time ? one.last : known.last })
}

/** Nodes that are there come back with most records. Dropped with the tables they stand in, they are told anew after a failure. */
const mostKnown = 20_000

const keepNodes = async (client: ClientBase, schema: string, rows: readonly Row[], known: Set<string>): Promise<void> => {
  const nodes = [...new Map(rows.flatMap(({ deed }) => nodesOf(deed)).map((node) => [node.id, node])).values()].filter(({ id }) => !known.has(id))
  if (nodes.length === 0) return
  const clean = (text: string): string => text.replaceAll('\0', '\uFFFD')
  await client.query(`insert into ${schema}.nodes (id, kind, name, at, words) select id, kind, name, at, words::tsvector from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) as given (id, kind, name, at, words) on conflict (id) do nothing`, [nodes.map(({ id }) => id), nodes.map(({ kind }) => kind), nodes.map(({ name }) => clean(name)), nodes.map(({ at }) => clean(at)), nodes.map((node) => namesVector({ name: namesOf(node) }))])
  if (known.size > mostKnown) known.clear()
  for (const { id } of nodes) known.add(id)
}

const keepRows = async (client: ClientBase, schema: string, rows: readonly Row[]): Promise<void> => {
  const column = <T>(of: (row: Row) => T): readonly T[] => rows.map(of)
  const place = [column(({ replica }) => replica), column(({ hour }) => hour), column(({ key }) => key)]
  const { rows: there } = await client.query<{ replica: string; hour: string; key: string; says: string }>(`select replica, hour, key, says from ${schema}.traces where (replica, hour, key) in (select * from unnest($1::text[], $2::bigint[], $3::text[])) and says <> '[]'`, place)
  const before = new Map(there.map(({ replica, hour, key, says }) => [`${replica} ${hour} ${key}`, JSON.parse(says) as SaidBy[]]))
  const saysOf = ({ replica, hour, key, says }: Row): string => {
    const all = new Map<string, SaidBy>()
    for (const one of [...(before.get(`${replica} ${hour} ${key}`) ?? []), ...says.values()]) addSay(all, one)
    return JSON.stringify([...all.values()])
  }
  const columns = ['replica', 'hour', 'key', 'deed', 'says', 'nodes', 'words', 'first_at', 'first_id', 'last_at', 'last_id', ...outcomes]
  const types = ['text', 'bigint', 'text', 'text', 'text', 'text', 'text', 'bigint', 'text', 'bigint', 'text', ...outcomes.map(() => 'bigint')]
  await client.query(
    `insert into ${schema}.traces as t (${columns.join(', ')}) select ${columns.map((name) => (name === 'nodes' ? "string_to_array(nodes, ' ')" : name === 'words' ? 'words::tsvector' : name)).join(', ')} from unnest(${types.map((type, at) => `$${at + 1}::${type}[]`).join(', ')}) as given (${columns.join(', ')})
     on conflict (replica, hour, key) do update set says = excluded.says, ${outcomes.map((name) => `${name} = t.${name} + excluded.${name}`).join(', ')},
       first_id = case when excluded.first_at < t.first_at then excluded.first_id else t.first_id end, first_at = least(t.first_at, excluded.first_at),
       last_id = case when excluded.last_at >= t.last_at then excluded.last_id else t.last_id end, last_at = greatest(t.last_at, excluded.last_at)`,
    [...place, column(({ deed }) => JSON.stringify(deed)), column(saysOf), column(({ deed }) => [...new Set(nodesOf(deed).map(({ id }) => id))].join(' ')), column(wordsOf), column(({ first }) => first.time), column(({ first }) => first.id), column(({ last }) => last.time), column(({ last }) => last.id), ...outcomes.map((name) => column(({ tallies }) => tallies[name]))],
  )
}

const wordsOf = ({ deed: { who, chain, action, touches, by } }: Row): string => namesVector({ who: namesOf(who), for: chain.flatMap(namesOf), on: touches.flatMap(({ node }) => namesOf(node)), what: namesOf(action), service: [action.at], approver: by.flatMap(namesOf) })

interface TraceRow extends Record<Tally, string> {
  readonly deed: string
  readonly says: string
  readonly first_at: string
  readonly first_id: string
  readonly last_at: string
  readonly last_id: string
}

export const findTraces = async (client: Pick<ClientBase, 'query'>, schema: string, { fields, nodes, from, to }: TraceQuestion, limit: number): Promise<FoundTraces> => {
  const conditions: string[] = []
  const values: unknown[] = []
  const given = (value: unknown): string => `$${values.push(value)}`
  const words = lineageQuery(fields)
  if (words !== '') conditions.push(`words @@ ${given(words)}::tsquery`)
  if (nodes !== undefined) conditions.push(`nodes && ${given(nodes)}::text[]`)
  if (from !== undefined) conditions.push(`hour >= ${given(Math.floor(from / hourMs))}`)
  if (to !== undefined) conditions.push(`hour < ${given(Math.ceil(to / hourMs))}`)
  const { rows } = await client.query<TraceRow>(`select deed, says, first_at, first_id, last_at, last_id, ${outcomes.join(', ')} from ${schema}.traces ${conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`} order by last_at desc, last_id desc limit ${given(limit + 1)}`, values)
  return {
    traces: rows.slice(0, limit).map((row): Trace => ({
      ...(JSON.parse(row.deed) as Deed),
      says: JSON.parse(row.says) as readonly { readonly by: LineageNode; readonly say: Say; readonly count: number; readonly last: Citation }[],
      tallies: Object.fromEntries(outcomes.map((name) => [name, Number(row[name])])) as Record<Tally, number>,
      first: { id: row.first_id, time: Number(row.first_at) },
      last: { id: row.last_id, time: Number(row.last_at) },
    })),
    counted: rows.length > limit ? 'more' : 'all',
  }
}

export const findNodes = async (client: Pick<ClientBase, 'query'>, schema: string, name: string, limit: number): Promise<readonly LineageNode[]> => {
  const [sql, value] = nodeId.test(name) ? ['id = $1', name] : ['words @@ $1::tsquery', nameQuery('name', name)]
  return (await client.query<LineageNode>(`select id, kind, name, at from ${schema}.nodes where ${sql} limit $2`, [value, limit])).rows
}
