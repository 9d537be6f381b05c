import { outcomes, type Confidence, type Say, type Tally, type Touch } from './deed.ts'
import type { LineageNode } from './node.ts'
import { mostTraces, type Citation, type FoundTraces, type Trace, type TraceQuestion, type TraceSearch } from './trace.ts'

/** `for`: a person ─▶ whoever acts for them · `in`: who ─▶ session · `asks`: session ─▶ action · `reads`: data ─▶ action · `writes`, `calls`: action ─▶ data · the others: who voted ─▶ action. */
export type EdgeKind = 'for' | 'in' | 'asks' | Touch['access'] | Say

export interface LineageEdge {
  readonly from: string
  readonly to: string
  readonly kind: EdgeKind
  readonly count: number
  /** False where it was asked and never ran. */
  readonly ran: boolean
  readonly confidence: Confidence
  readonly columns?: readonly string[]
  readonly first: string
  readonly last: string
  /** Some of the records that say so, the newest first. */
  readonly records: readonly string[]
}

/** One kind of action by one account: what the map is drawn from. */
export interface LineageDeed {
  readonly who: string
  readonly chain: readonly string[]
  readonly sessions: readonly string[]
  readonly action: string
  readonly touches: readonly { readonly node: string; readonly access: Touch['access']; readonly confidence: Confidence; readonly columns: readonly string[] }[]
  readonly tallies: Readonly<Record<Tally, number>>
  readonly says: readonly { readonly by: string; readonly say: Say; readonly count: number; readonly record: string }[]
  readonly first: string
  readonly last: string
  readonly records: readonly string[]
}

/** What a session read before it wrote elsewhere. Nobody has seen it flow: it may have. */
export interface LineageFlow {
  readonly from: string
  readonly to: string
  readonly through: string
  readonly confidence: 'inferred: session'
  /** Of the reading, and of the writing. */
  readonly records: readonly [string, string]
}

export interface Lineage {
  readonly nodes: readonly LineageNode[]
  /** The newest first. */
  readonly deeds: readonly LineageDeed[]
  readonly edges: readonly LineageEdge[]
  readonly flows: readonly LineageFlow[]
  /** What is asked for: nodes by their id, or what was found on which something was done. */
  readonly focus: readonly string[]
  readonly counted: 'all' | 'more'
}

const mostDeeds = 400
const mostFlows = 200
const mostRecords = 3
const mostSessions = 20
const mostFocus = 50

export const hasRun = ({ ran, executed, failed, unknown }: Readonly<Record<Tally, number>>): boolean => ran + executed + failed + unknown > 0
const timeText = ({ time }: Citation): string => new Date(time).toISOString()

/** Answers from the index. Where data is asked for, the sessions that touched it are asked for as well: what they did elsewhere is where it may have gone. */
export const lineageOf = async (search: TraceSearch, question: TraceQuestion, most = mostTraces): Promise<Lineage> => {
  const { from, to } = question
  const found = await search.traces(question, most)
  const focus = new Set([...(question.nodes ?? []), ...(question.fields.on === undefined ? [] : (await search.nodes(question.fields.on, mostFocus)).map(({ id }) => id))])
  const touched = [...focus].some((id) => id.startsWith('data-'))
  const sessions = [...new Set(found.traces.flatMap(({ session }) => session?.id ?? []))].slice(0, mostFocus)
  const around = touched && sessions.length > 0 ? await search.traces({ fields: {}, nodes: sessions, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }, most) : found
  const flows = flowsIn(around.traces).filter((flow) => !touched || focus.has(flow.from.id) || focus.has(flow.to.id)).slice(0, mostFlows)
  return { ...drawn(found, flows), focus: [...focus] }
}

const drawn = ({ traces, counted }: FoundTraces, flows: readonly Flow[]): Omit<Lineage, 'focus'> => {
  const nodes = new Map<string, LineageNode>()
  const keep = (node: LineageNode): string => {
    nodes.set(node.id, node)
    return node.id
  }
  const kinds = [...Map.groupBy(traces, ({ who, chain, action }) => [who, ...chain, action].map(({ id }) => id).join(' ')).values()].slice(0, mostDeeds)
  const shown = kinds.flat()
  const deeds = kinds.map((same) => deedFrom(same, keep))
  const edges = new Map<string, LineageEdge>()
  for (const trace of shown) for (const edge of edgesOf(trace)) edges.set(`${edge.from} ${edge.to} ${edge.kind}`, merged(edges.get(`${edge.from} ${edge.to} ${edge.kind}`), edge))
  for (const { session } of shown) if (session !== undefined) keep(session)
  for (const flow of flows) for (const node of [flow.from, flow.to, flow.through]) keep(node)
  return { nodes: [...nodes.values()], deeds, edges: [...edges.values()], flows: flows.map(({ from, to, through, records }) => ({ from: from.id, to: to.id, through: through.id, confidence: 'inferred: session' as const, records })), counted: shown.length < traces.length ? 'more' : counted }
}

/** The newest comes first in `same`. */
const deedFrom = (same: readonly Trace[], keep: (node: LineageNode) => string): LineageDeed => {
  const [one] = same as readonly [Trace]
  const touches = new Map<string, LineageDeed['touches'][number]>()
  for (const { node, access, confidence, columns } of same.flatMap((trace) => trace.touches)) {
    const known = touches.get(`${node.id} ${access}`)
    touches.set(`${node.id} ${access}`, { node: keep(node), access, confidence: known?.confidence === 'least' ? 'least' : confidence, columns: [...new Set([...(known?.columns ?? []), ...columns])] })
  }
  const says = new Map<string, LineageDeed['says'][number]>()
  for (const { by, say, count, last } of same.flatMap((trace) => trace.says)) {
    const known = says.get(`${by.id} ${say}`)
    says.set(`${by.id} ${say}`, { by: keep(by), say, count: count + (known?.count ?? 0), record: known?.record ?? last.id })
  }
  return {
    who: keep(one.who), chain: one.chain.map(keep), action: keep(one.action),
    sessions: [...new Set(same.flatMap(({ session }) => (session === undefined ? [] : keep(session))))].slice(0, mostSessions),
    touches: [...touches.values()],
    tallies: Object.fromEntries(outcomes.map((name) => [name, same.reduce((sum, { tallies }) => sum + tallies[name], 0)])) as Record<Tally, number>,
    says: [...says.values()],
    first: timeText(same.map(({ first }) => first).reduce((a, b) => (b.time < a.time ? b : a))),
    last: timeText(one.last),
    records: recordsOf(same.flatMap(({ first, last }) => [last, first])),
  }
}

const recordsOf = (citations: readonly Citation[]): readonly string[] => [...new Set(citations.toSorted((a, b) => b.time - a.time).map(({ id }) => id))].slice(0, mostRecords)

const edgesOf = ({ who, chain, session, action, touches, says, tallies, first, last }: Trace): readonly LineageEdge[] => {
  const [count, ran] = [Math.max(tallies.ran, tallies.executed + tallies.failed + tallies.unknown, tallies.held + tallies.refused, 1), hasRun(tallies)]
  const edge = (from: LineageNode, to: LineageNode, kind: EdgeKind, confidence: Confidence = 'named', columns: readonly string[] = []): LineageEdge => ({ from: from.id, to: to.id, kind, count, ran, confidence, ...(columns.length > 0 ? { columns } : {}), first: timeText(first), last: timeText(last), records: recordsOf([last, first]) })
  const asked = session ?? who
  return [
    ...chain.map((person, at) => edge(person, chain[at - 1] ?? who, 'for')),
    ...(session === undefined ? [] : [edge(who, session, 'in')]),
    edge(asked, action, 'asks'),
    ...touches.map(({ node, access, confidence, columns }) => (access === 'reads' ? edge(node, action, access, confidence, columns) : edge(action, node, access, confidence, columns))),
    ...says.map(({ by, say, count: voices, last: at }) => ({ ...edge(by, action, say), count: voices, first: timeText(at), last: timeText(at), records: [at.id] })),
  ]
}

const merged = (known: LineageEdge | undefined, edge: LineageEdge): LineageEdge => {
  if (known === undefined) return edge
  const columns = [...new Set([...(known.columns ?? []), ...(edge.columns ?? [])])]
  return {
    ...known,
    count: known.count + edge.count,
    ran: known.ran || edge.ran,
    confidence: known.confidence === 'least' || edge.confidence === 'least' ? 'least' : 'named',
    ...(columns.length > 0 ? { columns } : {}),
    first: edge.first < known.first ? edge.first : known.first,
    last: edge.last > known.last ? edge.last : known.last,
    records: [...new Set([...known.records, ...edge.records])].slice(0, mostRecords),
  }
}

interface Flow {
  readonly from: LineageNode
  readonly to: LineageNode
  readonly through: LineageNode
  readonly records: readonly [string, string]
}

/** Reads carry what they found into the session, writes out of it: whatever was read first may stand in what was written last. */
const flowsIn = (traces: readonly Trace[]): readonly Flow[] => {
  const flows = new Map<string, Flow>()
  for (const own of Map.groupBy(traces.filter(({ session, tallies }) => session !== undefined && hasRun(tallies)), ({ session }) => session!.id).values()) {
    const reads = own.flatMap((trace) => trace.touches.filter(({ access }) => access === 'reads').map(({ node }) => ({ node, trace })))
    const writes = own.flatMap((trace) => trace.touches.filter(({ access }) => access === 'writes').map(({ node }) => ({ node, trace })))
    for (const read of reads) {
      for (const write of writes) {
        if (flows.size >= mostFlows * 10) return [...flows.values()]
        const key = `${read.node.id} ${write.node.id} ${read.trace.session!.id}`
        if (read.node.id !== write.node.id && read.trace.first.time <= write.trace.last.time && !flows.has(key)) flows.set(key, { from: read.node, to: write.node, through: read.trace.session!, records: [read.trace.first.id, write.trace.last.id] })
      }
    }
  }
  return [...flows.values()]
}
