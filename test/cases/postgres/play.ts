import { setTimeout as pause } from 'node:timers/promises'
import { defined } from '../../../src/lib/defined.ts'
import type { Case, Run, Tree } from '../loader.ts'
import { vote, viewOf, type HoldView, statusText } from '../observation.ts'
import { fail, pending } from '../outcome.ts'
import { bearerOf, people, userOf } from '../principals.ts'
import type { Recorded } from '../world.ts'
import { inTheEnd } from '../../support/until.ts'
import { hex, message, nameOf, opening } from './messages.ts'
import type { PgWorld } from './pg-world.ts'
import { connectRaw, errorsIn, heard, logIn, type RawClient } from './raw-client.ts'

/* Plays the items of a case to the product, and keeps what came of it. */

/** One message or one batch of a client, and its answer. */
export interface PgExchange {
  readonly ref: string
  readonly as: string
  readonly client: RawClient
  /** Where in what the client hears its answer begins. */
  readonly from: number
  /** How many ReadyForQuery end it, since the session began. */
  readonly until: number
  /** Statements in it, as they were sent. */
  readonly texts: readonly string[]
  readonly before: number
  readonly at: number
  readonly holds: string[]
  wasHeld: boolean
  /** Where its answer ended. */
  end?: number
}

export interface PgObservation {
  readonly theCase: Case
  readonly run: Run
  readonly place: PgWorld
  readonly exchanges: PgExchange[]
  readonly sessions: Map<string, RawClient>
  readonly views: Map<string, HoldView>
  readonly before: { readonly events: number; readonly ran: number; readonly texts: number; readonly written: number; readonly startups: number }
  readonly gaps: string[]
  /** For sentences: what a deed found out. */
  readonly found: Map<string, unknown>
  ms: number
}

export const observePg = async (theCase: Case, run: Run, place: PgWorld): Promise<PgObservation> => ({
  theCase, run, place,
  exchanges: [], sessions: new Map(), views: new Map(), gaps: [], found: new Map(),
  before: { events: place.world.events().length, ran: place.relay.ran().length, texts: place.relay.texts().length, written: await lastWritten(place), startups: place.relay.startups.length },
  ms: 0,
})

export const lastWritten = async ({ database }: PgWorld): Promise<number> => Number((await database.query('select coalesce(max(at), 0)::int as n from written'))[0]?.['n'] ?? 0)

/** What really changed in the database during this run. */
export const written = async ({ place, before }: { readonly place: PgWorld; readonly before: Pick<PgObservation['before'], 'written'> }): Promise<readonly { readonly what: string; readonly which: string }[]> =>
  (await place.database.query('select what, which from written where at > $1 order by at', [before.written])) as unknown as readonly { readonly what: string; readonly which: string }[]

const tokenOf = ({ place }: Pick<PgObservation, 'place'>, as: string): string | undefined => (as === 'none' ? undefined : bearerOf(as, place.world.directory, place.world.now()))

export const openSession = async (seen: PgObservation, as: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<RawClient> => {
  const client = await connectRaw(seen.place.port)
  await logIn(client, { user: as, database: 'app', parameters, token: tokenOf(seen, as) })
  return client
}

const session = async (seen: PgObservation, conn: string, as: string): Promise<RawClient> => {
  const known = seen.sessions.get(conn)
  if (known !== undefined) return known
  const client = await openSession(seen, as)
  if (client.began === 0) fail(`${as} could not log in: ${JSON.stringify(errorsIn(client.said)[0] ?? (client.closed ? 'closed' : 'no answer'))}`)
  seen.sessions.set(conn, client)
  return client
}

export interface Play {
  readonly bytes: Buffer
  readonly texts: readonly string[]
  /** ReadyForQuery that end it. */
  readonly readies: number
  /** The list begins with a start-up of its own. */
  readonly own: boolean
}

const endsWithReady = new Set(['Query', 'Sync', 'FunctionCall'])

/** `{{pid:c1}}` and so on. */
const filled = (seen: PgObservation, text: string): string =>
  text.replace(/\{\{(pid|key):([^}]+)\}\}/g, (_whole, kind: string, conn: string) => {
    const key = seen.sessions.get(conn)?.key ?? pending(`no session is called ${conn}`)
    return kind === 'pid' ? String(key.pid) : key.secret
  }).replace(/\{\{repeat:(.*?):(\d+)\}\}/gs, (_whole, part: string, times: string) => part.repeat(Number(times)))

const filledTree = (seen: PgObservation, source: Tree): Tree => JSON.parse(JSON.stringify(source), (_key, value: unknown) => (typeof value === 'string' ? filled(seen, value) : value)) as Tree

export const playOf = (seen: PgObservation, item: Tree, how: 'simple' | 'prepared'): Play => {
  if (typeof item['pg'] === 'string') {
    const sql = filled(seen, item['pg'])
    if (how === 'simple') return { bytes: message({ Query: sql }), texts: [sql], readies: 1, own: false }
    return { bytes: Buffer.concat([{ Parse: { name: '', sql } }, { Bind: {} }, { Describe: { portal: '' } }, { Execute: {} }, { Sync: {} }].map(message)), texts: [sql], readies: 1, own: false }
  }
  if (typeof item['pg_params'] === 'object') {
    const { sql, params, types, formats } = item['pg_params'] as Tree
    return { bytes: Buffer.concat([{ Parse: { name: '', sql, types } }, { Bind: { params, formats } }, { Execute: {} }, { Sync: {} }].map(message)), texts: [String(sql)], readies: 1, own: false }
  }
  if (typeof item['pg_bytes'] === 'string') {
    const content = Buffer.concat([Buffer.from(item['pg_bytes'], 'latin1'), Buffer.from([0])])
    const length = Buffer.alloc(4)
    length.writeUInt32BE(content.length + 4)
    return { bytes: Buffer.concat([Buffer.from('Q'), length, content]), texts: [item['pg_bytes']], readies: 1, own: false }
  }
  if (typeof item['pg_hex'] === 'string') return { bytes: hex(item['pg_hex']), texts: [], readies: 1, own: seen.theCase.area === 'framing' || (item['options'] as Tree | undefined)?.['before_startup'] === true }
  if (Array.isArray(item['pg_messages'])) {
    const all = (item['pg_messages'] as readonly Tree[]).map((one) => filledTree(seen, one))
    const texts = all.flatMap((one) => Object.values(one).flatMap((fields) => (typeof fields === 'string' ? [fields] : typeof (fields as Tree)['sql'] === 'string' ? [String((fields as Tree)['sql'])] : [])))
    return { bytes: Buffer.concat(all.map(message)), texts, readies: all.filter((one) => endsWithReady.has(nameOf(one))).length, own: opening.has(nameOf(all[0] ?? {})) }
  }
  return pending('an item of that kind')
}

const readies = (client: RawClient): number => heard(client).filter(({ type }) => type === 'Z').length

export interface SendOptions {
  readonly ref: string
  readonly as: string
  readonly conn?: string
  /** Written in these pieces. */
  readonly pieces?: readonly Buffer[]
}

export const sendPlay = async (seen: PgObservation, play: Play, options: SendOptions): Promise<PgExchange> => {
  const { ref, as, conn = `own-${seen.exchanges.length}` } = options
  const client = play.own ? await connectRaw(seen.place.port) : await session(seen, conn, as)
  if (play.own) seen.sessions.set(conn, client)
  const waiting = seen.exchanges.filter((other) => other.client === client).reduce((most, other) => Math.max(most, other.until), readies(client))
  const exchange: PgExchange = { ref, as, client, from: client.said.length, until: waiting + (play.own && play.readies === 0 ? 1 : play.readies), texts: play.texts, before: seen.place.world.events().length, at: performance.now(), holds: [], wasHeld: false }
  seen.exchanges.push(exchange)
  for (const piece of options.pieces ?? [play.bytes]) client.write(piece)
  return exchange
}

/** Holds of this exchange that nobody has taken account of yet. */
export const newHold = (seen: PgObservation, exchange: PgExchange): string | undefined => {
  const claimed = new Set(seen.exchanges.flatMap(({ holds }) => holds))
  const subject = people[exchange.as] === undefined ? undefined : userOf(exchange.as)
  const event = seen.place.world.events().slice(exchange.before).find((one): one is Recorded & { type: 'held' | 'attached' } => (one.type === 'held' || one.type === 'attached') && (subject === undefined || one.caller.subject === subject) && !claimed.has(one.hold))
  if (event === undefined) return undefined
  exchange.holds.push(event.hold)
  exchange.wasHeld = true
  return event.hold
}

const isOver = (exchange: PgExchange): boolean => exchange.client.closed || readies(exchange.client) >= exchange.until

/** Answered, closed, or waiting for an approval. Gives back the hold it waits for. */
export const settle = async (seen: PgObservation, exchange: PgExchange, withinMs = inTheEnd): Promise<string | undefined> => {
  for (const end = performance.now() + withinMs; ; await pause(4)) {
    if (isOver(exchange)) {
      newHold(seen, exchange)
      exchange.end ??= exchange.client.said.length
      return undefined
    }
    const hold = newHold(seen, exchange)
    if (hold !== undefined) {
      const view = await viewOf(seen.place.world, hold)
      if (view !== undefined) seen.views.set(exchange.ref, view)
      return hold
    }
    if (performance.now() > end) return undefined
  }
}

const approvers = ['appr-b', 'appr-a', 'root-a'] as const

export const decide = async (seen: PgObservation, hold: string, verdict: 'approve' | 'deny', by: readonly string[] = approvers, reason?: string): Promise<void> => {
  let reply: Awaited<ReturnType<typeof vote>> = 'silent'
  for (const who of by) {
    reply = await vote(seen.place.world, who, hold, verdict, defined({ reason }))
    if (statusText(reply) === '200') return
  }
  fail(`nobody could ${verdict} the hold: ${statusText(reply)} ${typeof reply === 'object' ? reply.body.toString().slice(0, 200) : ''}`)
}

/** Texts of the client that the server was asked to run or to read. */
export const reached = (seen: PgObservation, texts: readonly string[] = seen.exchanges.flatMap((exchange) => exchange.texts)): readonly string[] =>
  seen.place.relay.texts().slice(seen.before.texts).filter((text) => texts.includes(text))

/** Half a second in which what is held must stay unanswered and unseen, then a no; until it is answered. */
export const refuseUntilOver = async (seen: PgObservation, exchange: PgExchange, first: string): Promise<void> => {
  for (let hold: string | undefined = first; hold !== undefined; ) {
    const left = exchange.at + 500 - performance.now()
    if (left > 0) await pause(left)
    if (isOver(exchange)) fail('an answer came while it was held')
    const changed = await written(seen)
    if (changed.length > 0) fail(`the database changed while it was held: ${changed[0]?.what} on ${changed[0]?.which}`)
    await decide(seen, hold, 'deny')
    hold = await settle(seen, exchange)
  }
}

/** Whether the server would take it as one prepared statement; asked of the server itself. What it cannot read at all counts as one. */
export const isSingle = async ({ place }: PgObservation, sql: string): Promise<boolean> => {
  const { server, name } = place.database
  const client = await connectRaw(`${server.socket}/.s.PGSQL.${server.port}`)
  try {
    if (!(await logIn(client, { user: 'postgres', database: name, token: undefined }))) return fail('the server itself is away')
    client.write(Buffer.concat([message({ Parse: { name: '', sql } }), message({ Sync: {} })]))
    await client.ready(1, 5_000)
    return !errorsIn(heard(client)).some(({ M = '' }) => M.includes('multiple commands'))
  } finally {
    client.end()
  }
}
