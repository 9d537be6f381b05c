import type { DatabaseSync } from 'node:sqlite'
import { outcomes, type Say, type Tally, type Touch } from '../../../audit/lineage/deed.ts'
import { nodeId, type LineageNode } from '../../../audit/lineage/node.ts'
import { hourMs, lineageFields, type Citation, type FoundTraces, type LineageField, type Trace, type TraceQuestion } from '../../../audit/lineage/trace.ts'
import { timeOfKey } from '../../../audit/search/keys.ts'
import { valueTerm } from '../../../audit/search/question.ts'
import { wholeWord } from '../../../audit/search/words.ts'

interface TraceRow extends Record<Tally, number> {
  readonly n: number
  readonly who: number
  readonly chain: number
  readonly session: number
  readonly action: number
  readonly data: number
  readonly voters: number
  readonly first: number
  readonly last: number
}

type Condition = readonly [sql: string, ...values: (string | number)[]]

const wordsOfName = (name: string): string => {
  const { words, how } = valueTerm(name)
  return how === 'whole' ? `"${wholeWord(words)}"` : `"${words.join(' ')}"${how === 'beginning' ? ' *' : ''}`
}

const named = '(select rowid from named where named match ?)'
const within: Readonly<Record<LineageField, string>> = {
  who: `who in ${named}`,
  for: `chain in (select part from members where access = 'for' and node in ${named})`,
  on: `data in (select part from members where access not in ('for', 'by') and node in ${named})`,
  what: `action in ${named}`,
  service: `action in (select n from nodes where kind = 'action' and n in ${named})`,
  approver: `voters <> 0 and voters in (select part from members where access = 'by' and node in ${named})`,
}

/** Where nodes of each sort can stand; `list` is asked for as often as it is named. */
const places: Readonly<Record<string, readonly ((list: string) => string)[]>> = {
  who: [(list) => `who in ${list}`, (list) => `chain in (select part from members where access = 'for' and node in ${list})`, (list) => `voters <> 0 and voters in (select part from members where access = 'by' and node in ${list})`],
  session: [(list) => `session in ${list}`],
  action: [(list) => `action in ${list}`],
  data: [(list) => `data in (select part from members where node in ${list})`],
}

/** One of these nodes, in any part. */
const anywhereOf = (nodes: readonly string[]): Condition => {
  const parts = [...Map.groupBy(nodes, (id) => id.split('-', 1)[0] ?? '')].flatMap(([sort, ids]) => (places[sort] ?? []).map((write) => [`(${write(`(select n from nodes where id in (${ids.map(() => '?').join(', ')}))`)})`, ids] as const))
  return [parts.length === 0 ? 'false' : `(${parts.map(([sql]) => sql).join(' or ')})`, ...parts.flatMap(([, ids]) => ids)]
}

const conditionsOf = ({ fields, nodes, from, to }: TraceQuestion): readonly Condition[] => {
  const asked = lineageFields.flatMap((field): Condition[] => (fields[field] === undefined ? [] : [[within[field], wordsOfName(fields[field])]]))
  const anywhere = nodes === undefined ? [] : [anywhereOf(nodes)]
  const time: Condition[] = [...(from === undefined ? [] : [['hour >= ?', Math.floor(from / hourMs)] as const]), ...(to === undefined ? [] : [['hour < ?', Math.ceil(to / hourMs)] as const])]
  return [...asked, ...anywhere, ...time]
}

export const findTraces = (database: DatabaseSync, question: TraceQuestion, limit: number): FoundTraces => {
  if (question.nodes?.length === 0) return { traces: [], counted: 'all' }
  const conditions = conditionsOf(question)
  const rows = database.prepare(`select n, who, chain, session, action, data, voters, first, last, ${outcomes.join(', ')} from traces ${conditions.length === 0 ? '' : `where ${conditions.map(([sql]) => sql).join(' and ')}`} order by last desc limit ?`).all(...conditions.flatMap(([, ...values]) => values), limit + 1) as unknown as TraceRow[]
  const look = makeLook(database)
  return { traces: rows.slice(0, limit).flatMap((row) => look(row) ?? []), counted: rows.length > limit ? 'more' : 'all' }
}

/** What the numbers of a row stand for; most of it comes again in the next. */
const makeLook = (database: DatabaseSync) => {
  const select = {
    node: database.prepare('select id, kind, name, at from nodes where n = ?'),
    members: database.prepare('select node, access, confidence, columns from members where part = ? order by place'),
    says: database.prepare('select node, say, count, last from says where trace = ? order by last desc'),
    record: database.prepare("select s.replica || '/' || s.epoch || '/' || e.seq as id from entries e join segments s on s.n = e.segment where e.key = ?"),
  }
  const nodes = new Map<number, LineageNode | undefined>()
  const nodeOf = (n: number): LineageNode | undefined => {
    if (!nodes.has(n)) nodes.set(n, select.node.get(n) as LineageNode | undefined)
    return nodes.get(n)
  }
  const sets = new Map<number, readonly Touch[]>()
  const setOf = (part: number): readonly Touch[] => {
    const known = sets.get(part)
    if (known !== undefined) return known
    const found = (select.members.all(part) as unknown as { node: number; access: string; confidence: string; columns: string }[]).flatMap(({ node, access, confidence, columns }) => {
      const one = nodeOf(node)
      return one === undefined ? [] : [{ node: one, access, confidence, columns: JSON.parse(columns) as string[] } as Touch]
    })
    sets.set(part, found)
    return found
  }
  const cited = (key: number): Citation => ({ id: (select.record.get(key) as { id: string } | undefined)?.id ?? '', time: timeOfKey(key) })

  return (row: TraceRow): Trace | undefined => {
    const [who, action] = [nodeOf(row.who), nodeOf(row.action)]
    if (who === undefined || action === undefined) return undefined
    return {
      who, action,
      session: row.session === 0 ? undefined : nodeOf(row.session),
      chain: setOf(row.chain).map(({ node }) => node),
      touches: setOf(row.data),
      by: setOf(row.voters).map(({ node }) => node),
      tallies: Object.fromEntries(outcomes.map((name) => [name, row[name]])) as Record<Tally, number>,
      says: (select.says.all(row.n) as unknown as { node: number; say: Say; count: number; last: number }[]).flatMap(({ node, say, count, last }) => {
        const by = nodeOf(node)
        return by === undefined ? [] : [{ by, say, count, last: cited(last) }]
      }),
      first: cited(row.first),
      last: cited(row.last),
    }
  }
}

export const findNodes = (database: DatabaseSync, name: string, limit: number): readonly LineageNode[] => {
  const [sql, value] = nodeId.test(name) ? ['n in (select n from nodes where id = ?)', name] : [`n in ${named}`, wordsOfName(name)]
  return database.prepare(`select id, kind, name, at from nodes where ${sql} order by n desc limit ?`).all(value, limit) as unknown as LineageNode[]
}
