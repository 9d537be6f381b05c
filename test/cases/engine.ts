import { setTimeout as pause } from 'node:timers/promises'
import { inTheEnd } from '../support/until.ts'
import { arrange, arrangementKey, type Arrangement } from './arrangement.ts'
import { setBehaviour } from './behaviours.ts'
import { checkCanonical } from './canonical.ts'
import { runAuditSink } from './audit-sink.ts'
import { watchConnections } from './connect-log.ts'
import { digestOfHold, finalReply, messageOf, send, settleOrHeld, type Exchange, type Sender } from './exchange.ts'
import { isErasure, runErasure } from './erasure.ts'
import { isEveryPath, runEveryPath } from './every-path.ts'
import { checkAll } from './expect.ts'
import { isTree, kindOf, list, type Case, type Run, type Tree } from './loader.ts'
import { notYet, notYetItem } from './names.ts'
import { allSeen, exchangeOf, seenByNow, holdOf, statusText, viewOf, vote, type Observation } from './observation.ts'
import { collect } from './memory.ts'
import { runCorpus } from './logins.ts'
import { stopwatch } from './own-time.ts'
import { fail, Failed, Inapplicable, Pending, pending } from './outcome.ts'
import { runPolicyTest } from './policy-items.ts'
import { makePostgresRuns, speaksPostgres } from './postgres/pg-run.ts'
import { runAsCase } from './properties.ts'
import { setUp } from './states.ts'
import { swapDuring } from './swaps.ts'
import { runReceipt } from './receipts.ts'
import { runTampering } from './tampering-log.ts'
import { runStep } from './steps.ts'
import { checkRender } from './render.ts'
import { clickInSlack } from './slack.ts'
import { clickInTeams } from './teams.ts'
import { checkThat } from './that.ts'
import { applyConfigText, applyRules, applySettings, put } from './translate.ts'
import { NotLoaded, startWorld, type World } from './world.ts'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/* Runs one case and says what came of it. */

export interface Result {
  /** `inapplicable`: about something that by design is not there; no gap, and never counted as passed. */
  readonly result: 'pass' | 'fail' | 'pending' | 'inapplicable'
  readonly reason?: string
}

export interface EngineOptions {
  /** Where the cases about stores and the audit log run; the others run on the embedded store. */
  readonly redisUrl?: () => Promise<string>
  readonly stores: readonly ('embedded' | 'redis')[]
}

/** A vote in our form from what a case says of one. */
const ballot = (world: World, theCase: Case) => (target: string, verdict: 'approve' | 'deny', body: string): string => {
  const hold = /^\/api\/holds\/([^/]+)\/votes$/.exec(target)?.[1] ?? ''
  const given = JSON.parse(body) as Tree
  const known = world.events().some((event) => event.type === 'held' && event.hold === hold)
  // A vote with nothing in it means a complete one, unless the case is about what a vote must carry.
  const complete = Object.keys(given).length === 0 && theCase.class !== 'approval/revision' && known
  return JSON.stringify({ verdict, ...(complete ? { digest: digestOfHold(world, hold) } : {}), ...given })
}

const observe = (theCase: Case, run: Run, world: World): Observation => {
  const sender: Sender = { world, given: run.given, exchanges: [], sockets: new Map(), ballot: ballot(world, theCase), hold: (ref) => ({ id: holdOf({ sender }, ref), digest: digestOfHold(world, holdOf({ sender }, ref)) }) }
  return { theCase, run, world, sender, named: new Map(), gaps: [], crowd: [], policies: new Map(), views: new Map(), before: { events: world.events().length, seen: new Set(allSeen(world)), memory: process.memoryUsage().rss, at: performance.now() }, ms: 0 }
}

const openWorld = async (run: Run, redisUrl: string | undefined, area: string): Promise<World> => {
  await using begun = new AsyncDisposableStack()
  const arranged = begun.use(await arrange(run, area))
  const world = await startArranged(run, redisUrl, arranged)
  const life = begun.move()
  return {
    ...world,
    ...(arranged.slack === undefined ? {} : { slack: arranged.slack }),
    ...(arranged.advisor === undefined ? {} : { advisor: arranged.advisor }),
    ...(arranged.teams === undefined ? {} : { teams: arranged.teams }),
    ...(arranged.browsers === undefined ? {} : { browsers: arranged.browsers }),
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]()
      await life.disposeAsync()
    },
  }
}

const startArranged = async (run: Run, redisUrl: string | undefined, arranged: Arrangement): Promise<World> => {
  const text = run.item['config']
  let file: string | undefined
  return await startWorld({
    change(profile) {
      applySettings(profile, run.given['settings'])
      applyRules(profile, run.given['rules'])
      const { upstream } = run.given
      if (isTree(upstream) && 'pool_size' in upstream) put(profile.config, ['services', 'app', 'connections'], upstream['pool_size'])
      if (typeof text === 'string') file = applyConfigText(profile, text).file
      arranged.change(profile)
    },
    files(folder) {
      arranged.files(folder)
      if (file !== undefined) writeFileSync(join(folder, 'policies', 'case.yaml'), file)
    },
    ...(run.given['replicas'] === undefined ? {} : { replicas: list(run.given['replicas']).map(String) }),
    ...(redisUrl === undefined ? {} : { redisUrl }),
    ...arranged.options,
  })
}

const says = ({ runs }: Case, pattern: RegExp): boolean => runs.some(({ expect }) => list(expect['that']).some((sentence) => pattern.test(String(sentence))))

/** Cases that measure the memory of the process want one for themselves. */
export const isWeighed = (theCase: Case): boolean => says(theCase, /resident memory/)

/** Those with a bound of time want nothing else to run in the process. */
export const isTimed = (theCase: Case): boolean => theCase.runs.some(({ expect }) => 'within_ms' in expect) || says(theCase, /within \d+ ms|documented limit/)

/** Those with many runs, and those that draw: begun first, they are not what everybody waits for in the end. */
export const longestFirst = (cases: readonly Case[]): readonly Case[] => {
  const weight = ({ runs }: Case): number => runs.reduce((sum, { item }) => sum + ('generate' in item || 'property' in item ? 50 : 'steps' in item || 'pg' in item || 'slow' in item ? 2 : 1), 0)
  return cases.toSorted((a, b) => weight(b) - weight(a))
}

/** How many cases run at one time: most of each is waiting. */
export const atOnce = 6

/** Half a second in which a held request must stay unanswered and unseen; then an approver says no. */
const refuseHeld = async (seen: Observation, exchange: Exchange): Promise<void> => {
  const { world } = seen
  const left = exchange.at + 500 - performance.now()
  if (left > 0) await pause(left)
  const early = await exchange.wire.reply(exchange.index, 0, exchange.sent.method)
  if (typeof early === 'object' && early.status !== 202) {
    exchange.reply = early
    return
  }
  if (seenByNow(seen).length > 0) fail('upstream saw the request while it was held')
  const view = await viewOf(world, exchange.hold ?? '')
  if (view !== undefined) seen.views.set(exchange.ref, view)
  let reply: Awaited<ReturnType<typeof vote>> = 'silent'
  for (const by of ['appr-b', 'sec-a', 'root-a']) {
    reply = await vote(world, by, exchange.hold ?? '', 'deny')
    if (typeof reply === 'object' && reply.status === 200) break
  }
  if (typeof reply !== 'object' || reply.status !== 200) fail(`nobody could refuse the hold: ${statusText(reply)}`)
  delete exchange.reply
  await finalReply(exchange, 5_000)
}

const single = async (seen: Observation, given: Tree): Promise<void> => {
  const item = (await seen.world.browsers?.adapt(seen, given)) ?? given
  const message = messageOf(item, seen.sender)
  if (isWeighed(seen.theCase)) collect()
  seen.before.memory = process.memoryUsage().rss // what the runner itself needs for the message is no part of it
  const took = stopwatch()
  const exchange = send(seen.sender, message, { ref: 'it' })
  await settleOrHeld(seen.sender, exchange, inTheEnd)
  seen.ms = took()
  seen.world.browsers?.took(given, exchange.reply)
  if (exchange.wasHeld) await refuseHeld(seen, exchange)
}

/** Answers that the case waits for, once its steps are through. */
const conclude = async (seen: Observation): Promise<void> => {
  const { http } = seen.run.expect
  if (!isTree(http)) return
  for (const ref of Object.keys(http)) {
    const exchange = exchangeOf(seen.sender, ref)
    if (exchange === undefined || typeof exchange.reply === 'object') continue
    await finalReply(exchange, exchange.hold === undefined ? 5_000 : 1_500)
    if (exchange.reply === 'silent' && exchange.hold !== undefined) await refuseHeld(seen, exchange)
  }
}

const stepsOf = (item: Tree): readonly Tree[] | undefined => {
  if (Array.isArray(item['steps'])) return item['steps'] as Tree[]
  return ['fault', 'idp', 'reload', 'do', 'dns'].some((key) => key in item) ? [item] : undefined
}

const execute = async (theCase: Case, run: Run, redisUrl: string | undefined, shared: Shared): Promise<void> => {
  const kind = kindOf(run.item)
  if (Object.hasOwn(notYetItem, kind)) pending(notYetItem[kind] ?? kind)
  if (theCase.class === 'audit/sink') return await runAuditSink(run)
  if ('tamper' in run.item) return await runTampering(run)
  if ('canonical' in run.item) return await checkCanonical(run)
  if (isErasure(run)) return await runErasure(redisUrl)
  if (isEveryPath(run)) return await runEveryPath(theCase, run, redisUrl)
  if (theCase.class === 'audit/receipt') {
    await using world = await openWorld(run, redisUrl, theCase.area)
    return await runReceipt(observe(theCase, run, world))
  }
  if (theCase.area === 'masking') pending('answers of HTTP services are not masked yet')
  if (kind === 'corpus') return runCorpus()
  if (kind === 'render') return await checkRender(run)
  if ('property' in run.item) {
    await runAsCase(theCase, run)
    for (const sentence of list(run.expect['that'])) await checkThat(String(sentence), observe(theCase, run, noWorld))
    return
  }
  if (typeof run.given['store'] === 'string' && !['redis', 'redis-sentinel'].includes(run.given['store'])) pending(`the runner starts no ${run.given['store']} yet`)
  const steps = stepsOf(run.item)
  const took = stopwatch()
  const alone = steps !== undefined || kind === 'config' || run.given['state'] !== undefined
  let world: World
  try {
    world = alone ? await openWorld(run, redisUrl, theCase.area) : await shared.world(run, redisUrl)
  } catch (error) {
    if (!(error instanceof NotLoaded)) throw error
    if (kind !== 'config') return fail(`the configuration of the case does not load: ${error.message.slice(0, 300)}`)
    const seen = { ...observe(theCase, run, noWorld), load: { ok: false, problems: error.problems }, ms: took() }
    return await checkAll(seen)
  }
  const end = alone ? async () => await world[Symbol.asyncDispose]() : async () => {}
  let seen: Observation | undefined
  try {
    setBehaviour(world, run.given['upstream'])
    seen = observe(theCase, run, world)
    await setUp(seen, run.given['state'])
    if (kind === 'config') {
      seen.load = { ok: true, problems: [] }
      seen.ms = took()
      if (isTree(run.given['probe'])) await single(seen, { as: run.given['as'], ...run.given['probe'] })
    } else if (kind === 'policy_test') await runPolicyTest(seen, run.item['policy_test'] as Tree)
    else if (kind === 'slack') await clickInSlack(seen, run.item['slack'] as Tree, 'click')
    else if (kind === 'teams') await clickInTeams(seen, run.item['teams'] as Tree)
    else if (steps === undefined) await single(seen, run.item)
    else {
      // Where people decide, time counts from the last decision.
      let since = stopwatch()
      for (let at = 0; at < steps.length; at++) {
        const step = steps[at] as Tree
        const next = steps[at + 1]
        if ('parallel' in step && next !== undefined && isTree(next['reload']) && 'swap' in next['reload']) {
          // A reload during the requests, as its case is called.
          await swapDuring(seen, step['parallel'] as Tree, next['reload'])
          at++
          continue
        }
        if ('approve' in step || 'reject' in step) since = stopwatch()
        await runStep(seen, step)
      }
      await conclude(seen)
      seen.ms = since()
    }
    await checkAll(seen)
    if (seen.gaps.length > 0) pending(`passes with a gap: ${seen.gaps.join('; ')}`)
  } finally {
    for (const { wire } of seen?.sender.exchanges ?? []) wire.destroy()
    await end()
  }
}

/** Observed where no replica started: nothing was sent, nothing was seen. */
const noWorld = { stubs: new Map(), events: () => [], replicas: new Map() } as unknown as World

/** Items that ask for the same world get it one after the other. */
interface Shared {
  world(run: Run, redisUrl: string | undefined): Promise<World>
  end(): Promise<void>
}

const makeShared = (area: string): Shared => {
  let key: string | undefined
  let current: World | undefined
  return {
    async world(run, redisUrl) {
      const { as: _as, probe: _probe, ...given } = run.given
      const wanted = JSON.stringify([given, redisUrl, arrangementKey(run)])
      if (current !== undefined && wanted === key) return current
      await current?.[Symbol.asyncDispose]()
      current = undefined
      current = await openWorld(run, redisUrl, area)
      key = wanted
      return current
    },
    async end() {
      await current?.[Symbol.asyncDispose]()
      current = undefined
    },
  }
}

/** A bound of time that was missed is measured again, three times in all: the machine may have been busy. */
const measured = async (attempt: () => Promise<void>, more = 2): Promise<void> => {
  try {
    await attempt()
  } catch (error) {
    if (more === 0 || !(error instanceof Failed && error.message.startsWith('took '))) throw error
    await measured(attempt, more - 1)
  }
}

const inScope = ({ area }: Case): boolean => !Object.hasOwn(notYet, area)

/** What is about what a store keeps is tried on each kind of them. */
const onBothStores: ReadonlySet<string> = new Set(['stores', 'approvals', 'audit'])

/** At the edge of a millisecond: the clock of a Redis server goes on while it is asked. */
const stopsClocks = ({ item }: Run): boolean => list(item['steps']).some((step) => isTree(step) && typeof step['clock'] === 'string' && step['clock'].includes('.'))

/** Every run of a case, on every store it is for. A failure outweighs a gap, a gap what cannot apply, and that what passed. */
export const runCase = async (theCase: Case, options: EngineOptions): Promise<Result> => {
  watchConnections()
  if (!inScope(theCase)) return { result: 'pending', reason: notYet[theCase.area] ?? '' }
  const failed: string[] = []
  const gaps: string[] = []
  const never: string[] = []
  let passed = 0
  const stores = onBothStores.has(theCase.area) ? options.stores : (['embedded'] as const)
  for (const store of stores) {
    const shared = makeShared(theCase.area)
    await using postgres = makePostgresRuns()
    try {
      const redisUrl = store === 'redis' ? await options.redisUrl?.() : undefined
      for (const run of theCase.runs) {
        if (String(run.given['store']).startsWith('redis') && store === 'embedded') continue
        if (store === 'redis' && stores.length > 1 && stopsClocks(run)) continue
        const label = `${run.label}${stores.length > 1 ? ` on ${store}` : ''}`.trim()
        const say = (text: string): string => (label === '' ? text : `${label}: ${text}`)
        try {
          await measured(() => (speaksPostgres(theCase, run) ? postgres.run(theCase, run, redisUrl) : execute(theCase, run, redisUrl, shared)))
          passed++
        } catch (error) {
          if (error instanceof Pending) gaps.push(say(error.message))
          else if (error instanceof Inapplicable) never.push(error.message)
          else if (error instanceof Failed || error instanceof NotLoaded) failed.push(say(error.message))
          else failed.push(say(`the runner broke: ${error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 3).join(' ') : String(error)}`))
        }
      }
    } finally {
      await shared.end()
    }
  }
  if (failed.length > 0) return { result: 'fail', reason: failed.join(' | ') }
  const some = (what: readonly string[]): string => `${[...new Set(what)].join(' | ')}${passed > 0 ? ` (${passed} of ${passed + gaps.length + never.length} runs pass)` : ''}`
  if (gaps.length > 0) return { result: 'pending', reason: some(gaps) }
  if (never.length > 0) return { result: 'inapplicable', reason: some(never) }
  return { result: 'pass' }
}
