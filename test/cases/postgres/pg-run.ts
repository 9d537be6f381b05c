import { setTimeout as pause } from 'node:timers/promises'
import { parse } from 'yaml'
import { inTheEnd, until } from '../../support/until.ts'
import { hasAdvisor, startAdvisor } from '../advisor.ts'
import { certificate } from '../certificate.ts'
import { isTree, kindOf, list, type Case, type Run, type Tree } from '../loader.ts'
import { stopwatch } from '../own-time.ts'
import { fail, Failed, inapplicable, pending } from '../outcome.ts'
import { bearerOf } from '../principals.ts'
import { startSlackFor } from '../slack.ts'
import { shiftOf } from '../translate.ts'
import { NotLoaded } from '../world.ts'
import { startFixture } from './fixture.ts'
import { injected } from './injected.ts'
import { fuzz } from './fuzz.ts'
import { message } from './messages.ts'
import { deadlineOverHttp, sendHttp, waitsOverHttp, watchHealth } from './pg-beside.ts'
import { doPgDeed } from './pg-deeds.ts'
import { checkPg } from './pg-expect.ts'
import { neverItem, notYetItem } from '../names.ts'
import { makeGranted } from './pg-grants.ts'
import { grantState, unmade } from './pg-names.ts'
import { openTwenty, severalState } from './pg-several.ts'
import { startPgWorld, type PgArrangement, type PgWorld } from './pg-world.ts'
import { decide, isSingle, lastWritten, observePg, openSession, playOf, refuseUntilOver, sendPlay, settle, type PgExchange, type PgObservation } from './play.ts'
import { connectRaw, logIn } from './raw-client.ts'
import { startRogue } from './rogue.ts'
import { checkSplits } from './splits.ts'

/* Runs the cases about PostgreSQL: a real client's bytes, a replica, a recording relay, a real server. */

const asOf = (run: Run, item: Tree): string => String(item['as'] ?? run.given['as'] ?? 'req-a')

/** Sent, and decided by nobody but an approver who says no. */
const playOut = async (seen: PgObservation, exchange: PgExchange): Promise<void> => {
  const took = stopwatch()
  const hold = await settle(seen, exchange)
  seen.ms = took()
  if (hold !== undefined) await refuseUntilOver(seen, exchange, hold)
}

const sendStep = async (seen: PgObservation, given: Tree): Promise<void> => {
  const as = asOf(seen.run, given)
  const ref = String(given['ref'] ?? `send-${seen.exchanges.length}`)
  const exchange = await sendPlay(seen, playOf(seen, given, 'simple'), { ref, as, ...(given['conn'] === undefined ? {} : { conn: String(given['conn']) }) })
  // Behind something that waits it is not answered yet: the steps go on.
  const behind = seen.exchanges.some((other) => other !== exchange && other.client === exchange.client && other.end === undefined)
  await settle(seen, exchange, behind ? 600 : inTheEnd)
}

const voteStep = async (seen: PgObservation, given: Tree, verdict: 'approve' | 'deny'): Promise<void> => {
  const ref = String(given['ref'])
  const exchange = seen.exchanges.find((one) => one.ref === ref) ?? pending(`nothing is called ${ref}`)
  const hold = exchange.holds.at(-1) ?? (await settle(seen, exchange, 3_000))
  if (hold === undefined) return exchange.end === undefined ? fail(`${ref} was not held`) : undefined // refused: nothing to decide
  await decide(seen, hold, verdict, [String(given['by'])], typeof given['comment'] === 'string' ? given['comment'] : undefined)
  // Several actions of one batch may wait one after the other: the same person says the same of each.
  for (let next = await settle(seen, exchange, 4_000); next !== undefined; next = await settle(seen, exchange, 4_000)) await decide(seen, next, verdict, [String(given['by'])])
}

/** Nobody can shift the clock of a replica that has its process for itself: its holds wait for a short time. */
const apart = (run: Run): Run => ({ ...run, given: { ...run.given, settings: { ...(isTree(run.given['settings']) && run.given['settings']), hold_max: 'PT15S' } } })

const untilDue = async (seen: PgObservation): Promise<void> => {
  const due = await deadlineOverHttp(seen)
  await until('the hold to be due', () => Date.now() >= due, 20_000)
  seen.found.set('shifted', due)
}

const clockStep = async (seen: PgObservation, given: unknown): Promise<void> => {
  if (seen.place.world.processes !== undefined) return await untilDue(seen)
  if (waitsOverHttp(seen)) {
    seen.place.world.clock.allMs += shiftOf(given)
    return void seen.found.set('shifted', seen.place.world.now())
  }
  // A wait inside a transaction is measured by a clock that nobody can shift: the profile makes it short instead.
  await pause(1_500)
}

/** All at once, each on a session of its own, while somebody asks whether the replica is well. Nobody waits for all of the answers: one after the other they may take long. */
const parallelStep = async (seen: PgObservation, { times, step }: Tree): Promise<void> => {
  const { send } = step as { readonly send?: Tree }
  if (send === undefined) return pending('that parallel step')
  const as = asOf(seen.run, send)
  const play = playOf(seen, send, 'simple')
  const refs = Array.from({ length: Number(times) }, (_, index) => `parallel-${index}`)
  for (const ref of refs) seen.sessions.set(ref, await openSession(seen, as))
  const watch = watchHealth(seen.place.world)
  const all = await Promise.all(refs.map((ref) => sendPlay(seen, play, { ref, as, conn: ref })))
  await Promise.all(all.map((exchange) => settle(seen, exchange, 4_000)))
  seen.found.set('health', await watch.stop())
  if (all.every(({ end }) => end === undefined)) fail('none of them was answered')
  for (const exchange of all) {
    exchange.end ??= exchange.client.said.length
    exchange.client.end()
  }
}

/** The catalog is read with the first session, and again when somebody asks for what is not in it, once a second at most. */
const redefined = async (seen: PgObservation, change: () => Promise<unknown>): Promise<void> => {
  const client = await openSession(seen, 'req-b')
  let asked = 0
  const ask = async (sql: string): Promise<void> => {
    client.write(message({ Query: sql }))
    if (!(await client.ready(++asked, 10_000))) fail(`${sql} was not answered`)
  }
  await ask('SELECT 1')
  await change()
  const before = seen.place.relay.texts().length
  // One reading begins when the one before it has been taken over.
  const readings = (): number => seen.place.relay.texts().slice(before).filter((text) => text.startsWith('BEGIN ISOLATION LEVEL REPEATABLE READ')).length
  await until('the catalog to be read anew', async () => {
    await ask('SELECT 1 FROM not_there')
    return readings() >= 2
  }, 20_000)
  client.end()
}

const runStep = async (seen: PgObservation, step: Tree): Promise<void> => {
  const [name = ''] = Object.keys(step).filter((key) => !['expect', 'note'].includes(key))
  const given = step[name]
  if (name === 'do') return await doPgDeed(seen, String(given))
  if (name === 'clock') return await clockStep(seen, given)
  if (!isTree(given)) return pending(`no step ${name}`)
  if (name === 'db') {
    const change = async (): Promise<unknown> => await seen.place.database.query(String(given['run']))
    await (/^alter/i.test(String(given['run'])) ? redefined(seen, change) : change())
    return void seen.found.set('written past the proxy', await lastWritten(seen.place))
  }
  if (name === 'send') return await ('http' in given ? sendHttp(seen, given) : sendStep(seen, given))
  if (name === 'parallel') return await parallelStep(seen, given)
  if (name === 'approve') return await voteStep(seen, given, 'approve')
  if (name === 'reject') return await voteStep(seen, given, 'deny')
  if (Object.hasOwn(neverItem, name)) inapplicable(neverItem[name] ?? name)
  pending(notYetItem[name] ?? `no step ${name}`)
}

/** The requester comes back with the same statement, where its session ended with the server. */
const comeBack = async (seen: PgObservation, item: Tree): Promise<void> => {
  const [first] = seen.exchanges
  const sent = list(item['steps']).flatMap((step) => (isTree(step) && isTree(step['send']) ? [step['send']] : []))[0]
  if (first === undefined || sent === undefined) fail('nothing was sent')
  else {
    const again = await sendPlay(seen, playOf(seen, sent, 'simple'), { ref: 'again', as: first.as })
    await settle(seen, again)
    again.wasHeld ||= first.wasHeld
  }
}

/** What still waits at the end of the steps gets its no. */
const conclude = async (seen: PgObservation): Promise<void> => {
  for (const exchange of seen.exchanges) {
    if (exchange.end !== undefined) continue
    const hold = (await settle(seen, exchange, 3_000)) ?? exchange.holds.at(-1)
    if (exchange.end === undefined && hold !== undefined) await decide(seen, hold, 'deny')
    await settle(seen, exchange, 3_000)
  }
}

const withTls = async (seen: PgObservation, item: Tree): Promise<void> => {
  // The request for TLS and the messages behind it in one segment, then the handshake that the client pretends to want.
  const client = await connectRaw(seen.place.port)
  client.write(Buffer.concat((item['pg_messages'] as readonly Tree[]).map(message)))
  await client.until(() => client.closed, 5_000)
  seen.exchanges.push({ ref: 'it', as: 'req-a', client, from: 0, until: 1, texts: ['SELECT 1'], before: 0, at: 0, holds: [], wasHeld: false, end: client.said.length })
}

const startup = async (seen: PgObservation, item: Tree): Promise<void> => {
  const [first = {}, second] = item['pg_messages'] as readonly Tree[]
  const { user, database, ...parameters } = first['StartupMessage'] as Tree
  const client = await connectRaw(seen.place.port)
  const as = asOf(seen.run, item)
  const isIn = await logIn(client, { user: String(user), ...(database === undefined ? {} : { database: String(database) }), parameters, token: second === undefined ? bearerOf(as, seen.place.world.directory, seen.place.world.now()) : String(second['PasswordMessage']) })
  if (!isIn) await client.until(() => client.closed, 3_000)
  ;(client as { began: number }).began = 0
  seen.exchanges.push({ ref: 'it', as, client, from: 0, until: 1, texts: [], before: 0, at: 0, holds: [], wasHeld: false, end: client.said.length })
}

const isStartup = ({ pg_messages: messages }: Tree): boolean => Array.isArray(messages) && isTree(messages[0]) && 'StartupMessage' in messages[0] && (messages.length === 1 || (messages.length === 2 && isTree(messages[1]) && 'PasswordMessage' in messages[1]))

const play = async (seen: PgObservation, item: Tree, how: 'simple' | 'prepared'): Promise<void> => {
  if (typeof seen.run.given['upstream'] === 'object') seen.place.relay.answer = (sql) => (sql === item['pg'] ? injected() : undefined)
  const steps = Array.isArray(item['steps']) ? (item['steps'] as readonly Tree[]) : undefined
  if (steps !== undefined) {
    const took = stopwatch()
    for (const step of steps) await runStep(seen, step)
    if (seen.found.has('moved')) await comeBack(seen, item)
    await conclude(seen)
    seen.ms = took()
    return
  }
  if (isTree(item['options']) && item['options']['tls_after_ssl_request'] === true) return await withTls(seen, item)
  if (isStartup(item)) return await startup(seen, item)
  if (typeof item['do'] === 'string') return await doPgDeed(seen, item['do'])
  await playOut(seen, await sendPlay(seen, playOf(seen, item, how), { ref: 'it', as: asOf(seen.run, item) }))
}

const observed = async (theCase: Case, run: Run, place: PgWorld, how: 'simple' | 'prepared'): Promise<void> => {
  if (run.given['state'] === grantState) await makeGranted(await observePg(theCase, run, place))
  const seen = await observePg(theCase, run, place)
  try {
    if (run.given['state'] === severalState) await openTwenty(seen)
    await play(seen, run.item, how)
    await checkPg(seen)
    if (seen.gaps.length > 0) pending(`passes with a gap: ${seen.gaps.join('; ')}`)
  } finally {
    place.relay.answer = undefined
    for (const client of new Set([...seen.exchanges.map((exchange) => exchange.client), ...seen.sessions.values()])) client.end()
  }
}

const faulty = async (theCase: Case, run: Run): Promise<void> => {
  const { kind } = run.item['fault'] as Tree
  await using rogue = await startRogue(String(kind))
  await using place = await startPgWorld(run, { upstreamPort: rogue.port, tls: rogue.tls })
  const seen = await observePg(theCase, run, place)
  seen.found.set('rogue', rogue)
  const client = await connectRaw(place.port)
  const isIn = await logIn(client, { user: 'req-a', database: 'app', token: bearerOf('req-a', place.world.directory, place.world.now()) })
  if (isIn) client.write(message({ Query: 'SELECT 1' }))
  await client.until(() => client.closed, isIn ? 1_000 : 3_000)
  seen.exchanges.push({ ref: 'it', as: 'req-a', client, from: 0, until: 1, texts: [], before: 0, at: 0, holds: [], wasHeld: false, end: client.said.length })
  await checkPg(seen)
}

/** A setting of the database that a case wants, under the name that it would have here. */
const configured = async (run: Run, text: string): Promise<void> => {
  const { targets } = parse(text, { version: '1.2' }) as { readonly targets: { readonly 'pg-main': Tree } }
  const settings = Object.entries(targets['pg-main']).map(([name, value]) => [name.replaceAll('_', '-'), value] as const)
  const loaded = await startPgWorld(run, { service: Object.fromEntries(settings) }).then(
    async (place) => void (await place[Symbol.asyncDispose]()),
    (error: unknown) => (error instanceof NotLoaded ? error : Promise.reject(error as Error)),
  )
  if (loaded === undefined) return run.expect['load'] === 'ok' ? undefined : fail('it was loaded')
  if (run.expect['load'] === 'ok') fail(loaded.message)
  for (const [name] of settings) if (!loaded.message.includes(name)) fail(`the message is about something else: ${loaded.message.slice(0, 300)}`)
}

const usesTls = ({ area }: Case, { item }: Run): boolean => (isTree(item['options']) && item['options']['tls_after_ssl_request'] === true) || (area === 'framing' && 'pg_hex' in item)

/** What changes the world for everybody behind it gets a world of its own. */
/** Whether it answers is measured while many come at once: what the clients do must not count. */
const needsProcess = ({ item }: Run): boolean => list(item['steps']).some((step) => isTree(step) && 'parallel' in step)

const needsOwn = ({ item }: Run): boolean => 'steps' in item || 'options' in item || 'do' in item

/** What ends its server needs one of its own. */
const movesServer = ({ item }: Run): boolean => list(item['steps']).some((step) => isTree(step) && /^(?:point|promote) .*pg-main/.test(String(step['do'])))

/** The message of a chat is looked at. */
const tellsSlack = ({ item }: Run): boolean => list(item['steps']).some((step) => isTree(step) && String(step['do']).includes(' Slack'))

type Share = (more: PgArrangement) => Promise<PgWorld>

const runOne = async (theCase: Case, run: Run, redisUrl: string | undefined, shared: Share): Promise<void> => {
  const obstacle = unmade(run.given['state'])
  if (obstacle !== undefined) return pending(obstacle)
  if ('fault' in run.item) return await faulty(theCase, run)
  if (typeof run.item['config'] === 'string') return await configured(run, run.item['config'])
  if (kindOf(run.item) === 'mysql') return pending('MySQL is not spoken yet')
  if (run.item['property'] === 'split-invariance') return await checkSplits(theCase, run)
  if ('generate' in run.item) return await fuzz(theCase, run)
  const more: PgArrangement = { ...(usesTls(theCase, run) ? { listenerTls: await certificate() } : {}), ...(redisUrl === undefined ? {} : { redisUrl }) }
  if (movesServer(run)) {
    await using server = await startFixture()
    await using place = await startPgWorld(run, { ...more, server })
    return await observed(theCase, run, place, 'simple')
  }
  if (tellsSlack(run)) {
    await using slack = await startSlackFor(run.given)
    await using place = await startPgWorld(run, { ...more, env: slack.env, change: slack.change })
    return await observed(theCase, run, { ...place, world: { ...place.world, slack } }, 'simple')
  }
  if (hasAdvisor(run.given)) {
    await using advisor = await startAdvisor()
    await using place = await startPgWorld(run, { ...more, change: advisor.change })
    return await observed(theCase, run, { ...place, world: { ...place.world, advisor } }, 'simple')
  }
  if (needsProcess(run)) {
    await using place = await startPgWorld(apart(run), { ...more, apart: true })
    return await observed(theCase, run, place, 'simple')
  }
  if (needsOwn(run)) {
    await using place = await startPgWorld(run, more)
    return await observed(theCase, run, place, 'simple')
  }
  const place = await shared(more)
  await observed(theCase, run, place, 'simple')
  if (typeof run.item['pg'] !== 'string' || isTree(run.given['upstream'])) return
  const seen = await observePg(theCase, run, place)
  if (!(await isSingle(seen, String(run.item['pg'])))) return
  try {
    await observed(theCase, run, place, 'prepared')
  } catch (error) {
    if (error instanceof Failed) throw new Failed(`prepared: ${error.message}`)
    throw error
  }
}

/** The runs of one case; those that ask for the same world share it. */
export interface PostgresRuns extends AsyncDisposable {
  run(theCase: Case, run: Run, redisUrl: string | undefined): Promise<void>
}

export const makePostgresRuns = (): PostgresRuns => {
  const worlds = new Map<string, Promise<PgWorld>>()
  return {
    run: (theCase, run, redisUrl) =>
      runOne(theCase, run, redisUrl, (more) => {
        const key = JSON.stringify([run.given['settings'], run.given['rules'], run.given['state'] === grantState, more])
        const known = worlds.get(key) ?? startPgWorld(run, more)
        worlds.set(key, known)
        return known
      }),
    async [Symbol.asyncDispose]() {
      for (const place of worlds.values()) await place.then((world) => world[Symbol.asyncDispose](), () => {})
    },
  }
}

const kinds: readonly string[] = ['pg', 'pg_params', 'pg_messages', 'pg_bytes', 'pg_hex', 'db']

const speaks = (item: unknown): boolean =>
  isTree(item) && (kinds.some((kind) => kind in item) || [...list(item['steps']), item['send'], item['step'], item['parallel']].some(speaks))

/** Whether PostgreSQL is spoken in a run. */
export const speaksPostgres = ({ area }: Case, { item, given }: Run): boolean => area.startsWith('postgres-') || given['state'] === grantState || given['state'] === severalState || speaks(item)
