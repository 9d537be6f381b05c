import { setTimeout as pause } from 'node:timers/promises'
import { read } from './reading.ts'
import { isTree, list, type Tree } from '../loader.ts'
import { eventTest } from '../names.ts'
import { eventsOf } from '../observation.ts'
import { fail, Failed, pending } from '../outcome.ts'
import type { Recorded } from '../world.ts'
import { errorsIn, statusesIn } from './raw-client.ts'
import { reached, written, type PgExchange, type PgObservation } from './play.ts'
import { checkStates } from './pg-beside.ts'
import { checkPgThat } from './pg-that.ts'
import { classOf, tableOf, tolerated } from './pg-names.ts'

/* `expect` of the PostgreSQL cases, key by key. */

const rank: Readonly<Record<string, number>> = { allow: 0, hold: 1, deny: 2, reject: 3 }

type Check = (seen: PgObservation, wanted: unknown) => void | Promise<void>

const demand = (holds: boolean, why: string): void => void (holds || fail(why))

const eventually = async (check: () => void | Promise<void>, withinMs = 2_500): Promise<void> => {
  for (const end = performance.now() + withinMs; ; await pause(20)) {
    try {
      return await check()
    } catch (error) {
      if (!(error instanceof Failed) || performance.now() > end) throw error
    }
  }
}

export const answerOf = (exchange: PgExchange) => exchange.client.said.slice(exchange.client.began === 0 ? 0 : exchange.from, exchange.end)

const exchangeOf = (seen: PgObservation, ref?: string): PgExchange =>
  (ref === undefined ? seen.exchanges.at(-1) : seen.exchanges.find((exchange) => exchange.ref === ref)) ?? fail(`nothing was sent as ${ref ?? 'the message'}`)

const malformed: ReadonlySet<string> = new Set(['08P01'])

const decisionOf = (seen: PgObservation, ref?: string): string => {
  const exchange = exchangeOf(seen, ref)
  if (exchange.wasHeld) return 'hold'
  const errors = errorsIn(answerOf(exchange))
  if (errors.length > 0) return malformed.has(errors[0]?.['C'] ?? '') ? 'reject' : reached(seen, exchange.texts).length > 0 && errors[0]?.['C'] !== '42501' ? 'allow' : 'deny'
  if (exchange.client.closed) return 'reject'
  if (exchange.end === undefined) return fail('no answer came')
  return 'allow'
}

const compare = (got: string, wanted: unknown): void => {
  const names = list(wanted).map(String)
  const least = Math.min(...names.map((name) => rank[name] ?? pending(`no decision ${name}`)))
  if (names.includes(got) || (least >= 2 && (rank[got] ?? 0) > least)) return
  fail(`decided ${got}, not ${names.join(' or ')}`)
}

const decision: Check = (seen, wanted) => {
  if (!isTree(wanted)) return compare(decisionOf(seen), wanted)
  for (const [ref, one] of Object.entries(wanted)) compare(decisionOf(seen, ref), one)
}

const atLeast: Check = (seen, wanted) => {
  const got = decisionOf(seen)
  demand((rank[got] ?? 0) >= (rank[String(wanted)] ?? 9), `decided ${got}, less strict than ${String(wanted)}`)
}

/** What all clients of the run heard; the answers of one that sent twice may lie in one another. */
const all = (seen: PgObservation) => [...new Set(seen.exchanges.map(({ client }) => client))].flatMap((client) => client.said.slice(client.began))

/** The sessions of a run have one answer each; most runs have one session. */
const pg: Check = (seen, wanted) => {
  if (!isTree(wanted)) return pending('that answer')
  const said = all(seen)
  const errors = errorsIn(said)
  const statuses = statusesIn(said)
  const last = seen.exchanges.at(-1)
  for (const [key, value] of Object.entries(wanted)) {
    if (key === 'sqlstate') {
      const codes = errors.map(({ C = '' }) => C)
      const allowed = list(Array.isArray(value) ? value : [value])
      const none = value === null || (Array.isArray(value) && value.includes(null))
      if (codes.length === 0) demand(none || (seen.exchanges.at(-1)?.client.closed === true && wanted['closed'] === true), `no error came, expected ${String(value)}`)
      else demand(codes.some((code) => allowed.includes(code) || tolerated(allowed).includes(code)), `answered ${codes.join()} (${errors[0]?.['M']?.slice(0, 160)}), not ${value === null ? 'without error' : list(value).join(' or ')}`)
    } else if (key === 'ready') {
      // A session that never began has no ReadyForQuery; where a closed connection is welcome there is none either.
      const startup = seen.exchanges.some(({ client }) => client.began === 0)
      const got = startup ? said.filter(({ type }) => type === 'Z').length : statuses.length
      if (last?.client.closed === true && errors.some(({ S }) => S === 'FATAL')) continue
      demand(list(value).includes(got), `${got} ReadyForQuery came, not ${String(value)}`)
    } else if (key === 'errors') demand(errors.length === value, `${errors.length} errors came, not ${String(value)}`)
    else if (key === 'closed') demand(last?.client.closed === value, `the connection is ${last?.client.closed === true ? 'closed' : 'open'}`)
    else if (key === 'status_after') {
      for (const [index, one] of list(value).entries()) demand(list(one).includes(statuses[index]), `status ${index + 1} is ${statuses[index]}, not ${list(one).join(' or ')}`)
    } else if (key === 'status_after_last') demand(statuses.at(-1) === value, `the last status is ${statuses.at(-1)}, not ${String(value)}`)
    else pending(`no check yet for pg ${key}`)
  }
}

const changes = async (seen: PgObservation, what: string): Promise<number> => (await written(seen)).filter((one) => one.what === what).length

const upstreamChecks: Readonly<Record<string, Check>> = {
  count: (seen, wanted) => demand(list(wanted).includes(new Set(ran(seen)).size), `the server ran ${ran(seen).length} of it, not ${String(wanted)}`),
  at_most: (seen, wanted) => demand(ran(seen).length <= Number(wanted), `the server ran ${ran(seen).length} of it`),
  deletes: async (seen, wanted) => demand(list(wanted).includes(await changes(seen, 'delete')), `${await changes(seen, 'delete')} rows were deleted, not ${String(wanted)}`),
  updates: async (seen, wanted) => {
    const rows = await changes(seen, 'update')
    // The server runs no portal of an UPDATE twice: it answers 55000, and everything up to Sync is undone.
    if (rows === 0 && errorsIn(all(seen)).some(({ C }) => C === '55000')) return
    // One completion may change every row of the fixture.
    const completions = new Set(ran(seen)).size
    demand(list(wanted).includes(rows) || (wanted === 1 && rows === 2 && completions === 1), `${rows} rows were updated, not ${String(wanted)}`)
  },
  rows_changed: async (seen, wanted) => {
    const { length } = await written({ place: seen.place, before: { written: Number(seen.found.get('written past the proxy') ?? seen.before.written) } })
    demand(length === wanted, `${length} rows were changed, not ${String(wanted)}`)
  },
  sql: (seen, wanted) => demand(JSON.stringify(ran(seen)) === JSON.stringify(wanted), `the server ran ${JSON.stringify(ran(seen))}`),
  params: (seen, wanted) => {
    const texts = new Set(seen.exchanges.flatMap(({ texts: sent }) => sent))
    const got = seen.place.relay.ran().slice(seen.before.ran).filter(({ sql }) => texts.has(sql)).map(({ parameters }) => parameters)
    demand(JSON.stringify(got) === JSON.stringify(wanted), `the server got the parameters ${JSON.stringify(got)}`)
  },
  sql_lacks: (seen, wanted) => {
    for (const text of list(wanted)) demand(!seen.place.relay.texts().slice(seen.before.texts).some((one) => one.includes(String(text))), `the server was sent ${String(text)}`)
  },
  rows_of_t: async (seen, wanted) => {
    const rows = (await seen.place.database.query('select count(*)::int as n from t'))[0]?.['n']
    demand(rows === wanted, `t has ${String(rows)} rows, not ${String(wanted)}`)
  },
  startup: (seen, wanted) => {
    for (const parameters of startups(seen)) {
      for (const [name, value] of Object.entries(wanted as Tree)) {
        const expected = name === 'database' && value === 'app' ? seen.place.database.name : value
        demand(parameters[name] === expected, `the server got ${name} ${parameters[name]}`)
      }
    }
  },
  startup_lacks: (seen, wanted) => {
    for (const parameters of startups(seen)) for (const name of list(wanted)) demand(!Object.hasOwn(parameters, String(name)), `the server got the start-up parameter ${String(name)}`)
  },
}

const startups = (seen: PgObservation) => seen.place.relay.startups.slice(seen.before.startups)

/** Texts of the client that the server was asked to run, in their order. */
const ran = (seen: PgObservation): readonly string[] => {
  const texts = new Set(seen.exchanges.flatMap(({ texts: sent }) => sent))
  return seen.place.relay.ran().slice(seen.before.ran).filter(({ sql }) => texts.has(sql)).map(({ sql }) => sql)
}

const upstream: Check = async (seen, wanted) => {
  await pause(15) // what would come wrongly gets a moment to come
  if (wanted === 'none') {
    const texts = reached(seen)
    demand(texts.length === 0, `the server was sent ${texts[0]?.slice(0, 100)}`)
    const changed = await written(seen)
    return demand(changed.length === 0, `the database changed: ${changed.map(({ what, which }) => `${what} ${which}`).join()}`)
  }
  if (!isTree(wanted)) return pending('that upstream expectation')
  for (const [key, value] of Object.entries(wanted)) {
    const check = Object.hasOwn(upstreamChecks, key) ? upstreamChecks[key] : undefined
    if (check === undefined) pending(`no check yet for upstream ${key}`)
    else await check(seen, value)
  }
}

type Decided = Recorded & { readonly action: { readonly verb: string; readonly verbs?: readonly string[]; readonly resources: readonly { readonly kind: string; readonly name: string }[] } }

const decidedIn = (seen: PgObservation): readonly Decided[] =>
  eventsOf({ world: seen.place.world, before: { events: seen.before.events } as never }).filter((event): event is Decided => ['decided', 'held', 'started', 'refused'].includes(event.type) && 'action' in event)

/** What the record says that the action does. */
const statement: Check = async (seen, wanted) => {
  const allowed = list(wanted).map(String)
  await eventually(async () => {
    const decided = decidedIn(seen).findLast(({ action }) => !['sql.transaction', 'sql.set'].includes(action.verb))
    // What nobody can approve is on record as unknown, whatever it was read as.
    const verbs = decided === undefined || decided.action.verb === 'sql.unknown' ? ['sql.unknown', ...(await recordedNowhere(seen))] : (decided.action.verbs ?? [decided.action.verb])
    const got = verbs.map(classOf)
    demand(got.some((one) => allowed.includes(one)), `understood as ${verbs.join()}, not as ${allowed.join(' or ')}`)
  })
}

/** Refused before there was an action: what the reading says. */
const recordedNowhere = async (seen: PgObservation): Promise<readonly string[]> => {
  const text = exchangeOf(seen).texts.at(-1) ?? fail('there is no text')
  return (await read(text)).statements.flatMap(({ kinds }) => kinds.map((kind) => `sql.${kind}`))
}

const parts: Check = async (seen, wanted) => {
  const text = exchangeOf(seen).texts.at(-1) ?? fail('there is no text')
  const got = await read(text)
  if (got.problem !== undefined) return // it was refused as a whole
  demand(got.statements.length === wanted, `${got.statements.length} statements were found, not ${String(wanted)}`)
}

const tablesIn = (decided: Decided): readonly string[] => decided.action.resources.filter(({ kind }) => kind === 'table').map(({ name }) => name)

const tables: Check = (seen, wanted) => {
  const decided = decidedIn(seen).at(-1) ?? fail('nothing is on record')
  const names = tablesIn(decided)
  for (const name of list(wanted)) demand(names.includes(tableOf(String(name))), `the tables are ${names.join() || 'none'}, without ${String(name)}`)
}

const shownChecks: Readonly<Record<string, (view: Tree, wanted: unknown, seen: PgObservation, ref: string) => void>> = {
  part: () => {},
  previous: (view, wanted) => {
    const { denied } = (view['history'] ?? {}) as Tree
    for (const one of list(wanted)) demand(one === 'rejected' && isTree(denied), `the approver is told of before: ${JSON.stringify(view['history'])}`)
  },
  of: (view, wanted) => demand(textOf(view).split(';').length >= Number(wanted), `the approver is shown ${textOf(view)}`),
  statement: (view, wanted) => demand(classOf(String((view['action'] as Tree)['verb'])) === wanted, `the approver is shown ${String((view['action'] as Tree)['verb'])}`),
  tables: (view, wanted) => {
    const resources = list((view['action'] as Tree)['resources']) as readonly { readonly kind: string; readonly name: string }[]
    for (const name of list(wanted)) demand(resources.some((one) => one.kind === 'table' && one.name === tableOf(String(name))), `the approver is shown the tables ${resources.map((one) => one.name).join()}`)
  },
  estimated_rows: (view, wanted) => {
    const { exactRows, estimatedRows } = ((view['action'] as Tree)['impact'] ?? {}) as Tree
    demand((exactRows ?? estimatedRows) === wanted, `the approver is told ${String(exactRows ?? estimatedRows)} rows`)
  },
  params: (view, wanted) => {
    for (const value of list(wanted)) demand(textOf(view).includes(String(value)), `the approver is not shown the parameter ${String(value)}: ${textOf(view)}`)
  },
  flags: (view, wanted) => {
    for (const flag of list(wanted)) demand(flagged(view, String(flag)), `the approver is not told ${String(flag)}: ${JSON.stringify((view['action'] as Tree)['impact'])}`)
  },
  flags_absent: (view, wanted) => {
    for (const flag of list(wanted)) demand(!flagged(view, String(flag)), `the approver is told ${String(flag)}`)
  },
}

const textOf = (view: Tree): string => String((view['action'] as Tree)['text'])

const flagged = (view: Tree, flag: string): boolean => {
  const impact = ((view['action'] as Tree)['impact'] ?? {}) as Tree
  if (flag === 'unbounded' || flag === 'unbounded-or-unknown') return impact['unfiltered'] === true
  // A transaction that has taken no locks yet is no danger, and is not shown as one.
  if (flag === 'transaction-open') return impact['keepsLocks'] === true
  return pending(`no flag is called ${flag} here`)
}

const shownKeys: ReadonlySet<string> = new Set(Object.keys(shownChecks))

const shown: Check = (seen, wanted) => {
  if (!isTree(wanted)) return pending('that view')
  const byRef = Object.keys(wanted).every((key) => !shownKeys.has(key))
  for (const [ref, one] of byRef ? Object.entries(wanted) : ([[seen.exchanges.at(-1)?.ref ?? '', wanted]] as const)) {
    const view = seen.views.get(ref)
    if (view === undefined) continue // it was refused, which is stricter
    for (const [key, value] of Object.entries(one as Tree)) (shownChecks[key] ?? pending(`no check yet for shown ${key}`))(view as unknown as Tree, value, seen, ref)
  }
}

/** What was refused because of its hold is on record as that: its decision was to hold it. */
const afterHold: Readonly<Record<string, readonly string[]>> = {
  'decision.deny': ['hold-denied'],
  // A wait that ends before the hold does leaves the hold to whoever asks again.
  'hold.expired': ['hold-pending', 'hold-expired'],
}

const is = (name: string, event: Recorded): boolean => eventTest(name)(event) || (event.type === 'refused' && event.hold !== undefined && (afterHold[name] ?? []).includes(event.code))

const audit: Check = (seen, wanted) =>
  eventually(() => {
    const events = seen.place.world.events().slice(seen.before.events)
    let from = 0
    for (const name of list(wanted)) {
      const at = events.findIndex((event, index) => index >= from && is(String(name), event))
      if (at < 0) return fail(`no record ${String(name)} in its place (there are: ${events.map(({ type }) => type).join(', ').slice(0, 200)})`)
      from = at + 1
    }
  })

const auditCount: Check = async (seen, wanted) => {
  for (const [name, one] of Object.entries(wanted as Tree))
    await eventually(() => {
      const number = seen.place.world.events().slice(seen.before.events).filter(eventTest(name)).length
      demand(list(one).includes(number), `${number} records ${name}, not ${String(one)}`)
    })
}

/** What a deed was answered over HTTP. */
const http: Check = (seen, wanted) => {
  if (!isTree(wanted)) return pending('that status')
  for (const [name, status] of Object.entries(wanted)) demand(list(status).map(String).includes(String(seen.found.get(name))), `${name} was answered ${String(seen.found.get(name))}, not ${String(status)}`)
}

const checks: Readonly<Record<string, Check>> = {
  http,
  audit_count: auditCount,
  decision,
  at_least: atLeast,
  pg,
  upstream,
  statement,
  parts,
  tables,
  shown,
  audit,
  state: checkStates,
  approvable: (seen) => demand(seen.exchanges.every(({ wasHeld }) => !wasHeld), 'somebody could approve it'),
  closed: (seen, wanted) => {
    if (!isTree(wanted)) return demand(seen.exchanges.at(-1)?.client.closed === wanted, 'the connection is open')
    for (const [ref, one] of Object.entries(wanted)) demand(exchangeOf(seen, ref).client.closed === one, `${ref} is open`)
  },
  within_ms: (seen, wanted) => demand(seen.ms <= Number(wanted), `took ${Math.round(seen.ms)} ms, more than ${String(wanted)}`),
  that: async (seen, wanted) => {
    for (const sentence of list(wanted)) await checkPgThat(String(sentence), seen)
  },
}

/** Everything that is expected of a run. A failure is looked for before a gap. */
export const checkPg = async (seen: PgObservation): Promise<void> => {
  let gap: unknown
  const entries = Object.entries(seen.run.expect).toSorted(([a], [b]) => Number(a === 'that') - Number(b === 'that'))
  for (const [key, wanted] of entries) {
    const check = Object.hasOwn(checks, key) ? checks[key] : undefined
    try {
      if (check === undefined) pending(`no check yet for: ${key}`)
      else await check(seen, wanted)
    } catch (error) {
      if (error instanceof Failed) throw error
      gap ??= error
    }
  }
  if (gap !== undefined) throw gap
}
