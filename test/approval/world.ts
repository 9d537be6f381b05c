import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Ballot, Wait } from '../../src/approval/approvals.ts'
import type { Channel } from '../../src/approval/channel.ts'
import { makeApprovals, type HoldLife } from '../../src/approval/hold-life.ts'
import type { HoldStore } from '../../src/approval/hold-store.ts'
import type { ApprovalOptions } from '../../src/approval/options.ts'
import { makeRoster, type Roster } from '../../src/approval/roster.ts'
import type { Journal } from '../../src/audit/journal.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Action, Digest } from '../../src/model/action.ts'
import type { Approval } from '../../src/model/approval.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import type { Caller, Members } from '../../src/model/caller.ts'
import type { Decision, Requirement, Terms } from '../../src/model/decision.ts'
import type { Pinned } from '../../src/model/grant.ts'
import type { Hold } from '../../src/model/hold.ts'
import { Refusal } from '../../src/model/refusal.ts'
import { openEmbeddedStore } from '../../src/stores/embedded/embedded-store.ts'
import { until } from '../support/until.ts'

export const issuer = 'https://idp.test'

export const caller = (subject: string, over: Partial<Caller> = {}): Caller => ({
  issuer, subject, kind: 'human', groups: [], onBehalfOf: [], claims: {}, session: `s-${subject}`, authenticatedAt: 0, expiresAt: 4_000_000_000_000, address: '127.0.0.1', ...over,
})
export const agent = caller('invoice-agent', { kind: 'agent', groups: ['agents'] })
export const alice = caller('alice', { groups: ['dba'] })
export const bob = caller('bob', { groups: ['dba'] })
export const carol = caller('carol', { groups: ['dba', 'security'] })

export const digestOf = (text: string): Digest => `sha256:${createHash('sha256').update(text).digest('hex')}`
export const action = (text = 'POST /exports', over: Partial<Action> = {}): Action => ({
  protocol: 'http', service: 'orders', verb: 'http.POST', verbs: ['http.POST'], effect: 'write', resources: [], tags: ['pii'], text, textCut: false, facts: { http: { method: 'POST' } }, digest: digestOf(text), shape: 'POST /exports', ...over,
})

export const requirement = (over: Partial<Requirement> = {}): Requirement => ({ policy: 'p', rule: 'r', groups: ['dba'], users: [], count: 1, assurance: 'console', sharesPeople: false, ...over })
export const terms = (requirements: readonly Requirement[] = [requirement()], over: Partial<Terms> = {}): Terms => ({ requirements, withinMs: 60_000, runWithinMs: 30_000, askReason: false, run: 'attached', ...over })
export const decision = (needs: Terms = terms(), policyVersion = 'v1'): Decision => ({
  verdict: 'hold', matched: [{ policy: 'p', rule: 'r', then: 'hold', at: 'p.yaml:1', observed: false }], terms: needs, obligations: { masks: {}, limits: {} }, policyVersion,
})
export const allowed: Decision = { verdict: 'allow', matched: [], obligations: { masks: {}, limits: {} }, policyVersion: 'v2' }

export interface Replica {
  readonly life: HoldLife
  readonly store: HoldStore
  readonly roster: Roster
  readonly warnings: string[]
}

export interface World extends AsyncDisposable {
  readonly a: Replica
  readonly events: (AuditEvent & { readonly durability: string })[]
  /** Moves the store's clock. */
  skewMs: number
  journalFails: AuditEvent['type'] | undefined
  /** Records of this type wait for the promise. */
  journalWaits: { readonly type: AuditEvent['type']; readonly until: Promise<void> } | undefined
  /** Who is in a group, by the configuration. */
  members: Members
  /** What the policies keep of every action. */
  pinned: Pinned | undefined
  replica(name: string, over?: Partial<ApprovalOptions>, wrap?: (store: HoldStore) => HoldStore, channels?: readonly Channel[], lateMs?: number): Promise<Replica>
  /** Straight into the file, as somebody who got at it would. */
  tamper(sql: string, ...values: (string | number)[]): void
  opened(text?: string, as?: Caller, needs?: Terms): Promise<Hold>
  count(type: AuditEvent['type']): number
}

export const makeWorld = async (over: Partial<ApprovalOptions> = {}): Promise<World> => {
  const dir = await mkdtemp(join(tmpdir(), 'countersign-life-'))
  const path = join(dir, 'holds.db')
  const replicas: Replica[] = []
  const journal = {
    append: async (event: AuditEvent, durability: string) => {
      if (event.type === world.journalWaits?.type) await world.journalWaits.until
      if (event.type === world.journalFails) throw new Refusal('journal-unavailable', 'no journal')
      world.events.push({ ...event, durability })
    },
  } as unknown as Journal
  const world: World = {
    events: [], skewMs: 0, members: new Map(), pinned: undefined, journalFails: undefined, journalWaits: undefined,
    async replica(name, more = {}, wrap = (store) => store, channels = [], lateMs) {
      const store = wrap(openEmbeddedStore({ kind: 'embedded', path }, { clockSkewMs: () => world.skewMs }))
      const warnings: string[] = []
      const roster = makeRoster(Date.now)
      const life = makeApprovals(
        { replica: name, openPerCaller: 100, openPerService: 1_000, maxWaiting: 1_000, maxWaitingPerCaller: 1_000, replayWindowMs: 60_000, resultKeptMs: 60_000, resultsOnce: false, settledKeptMs: 600_000, people: [], keys: [new Secret('0123456789abcdef0123456789abcdef')], ...over, ...more },
        { store, journal, roster, channels, pinnedOf: () => world.pinned, members: () => world.members, warn: (message) => warnings.push(message), ...(lateMs === undefined ? {} : { lateMs }) },
      )
      const replica = { life, store, roster, warnings }
      replicas.push(replica)
      return replica
    },
    tamper(sql, ...values) {
      const database = new DatabaseSync(path, { timeout: 2_000 })
      database.prepare(sql).run(...values)
      database.close()
    },
    async opened(text = 'POST /exports', as = agent, needs = terms()) {
      const refusal = await refused(obtain(world.a, text, as, { budgetMs: 0 }, decision(needs)))
      return refusal.detail.hold!
    },
    count: (type) => world.events.filter((event) => event.type === type).length,
    async [Symbol.asyncDispose]() {
      for (const { life, store } of replicas) {
        await life[Symbol.asyncDispose]()
        await store[Symbol.asyncDispose]()
      }
      await rm(dir, { recursive: true, force: true })
    },
  } as Partial<World> as World
  ;(world as { a: Replica }).a = await world.replica('a')
  return world
}

let attempts = 0
export const obtain = (replica: Replica, text: string, as: Caller, wait: Partial<Wait> = {}, given: Decision = decision(), signal: AbortSignal = new AbortController().signal) =>
  replica.life.obtain({ attempt: `attempt-${++attempts}`, caller: as, action: action(text), decision: given, wait: { budgetMs: 10_000, ...wait } }, signal)

export const ballot = (by: Caller, hold: Hold, over: Partial<Ballot> = {}): Ballot => ({ verdict: 'approve', digest: hold.action.digest, by, channel: 'console', assurance: 'console', ...over })

/** The refusal that the promise must reject with. */
export const refused = async (promise: Promise<unknown>): Promise<Refusal> => {
  const value = await promise.then((got) => ({ got }), (error: unknown) => ({ error }))
  if ('got' in value) throw new Error(`expected a refusal, got ${JSON.stringify(value.got).slice(0, 200)}`)
  if (!(value.error instanceof Refusal)) throw value.error
  return value.error
}

/** Two clients, one at each replica, wait for one approval: one runs it, and the other's answer is that one's result. */
export const bothAnswered = async (a: Replica, b: Replica, text: string): Promise<void> => {
  const [one, two] = await approvedForBoth(a, b, text)
  const running = await a.life.spend(one, `${text} one`, agent, allowed)
  assert.equal(running.hold.state, 'running')
  const slower = b.life.spend(two, `${text} two`, agent, allowed)
  await until('the slower to wait for the result', () => b.life.waiting() === 1)
  await a.life.finish(running, { result: 'executed', ms: 1 }, Buffer.from(`${text} ran`))
  const replay = await slower
  assert.ok('result' in replay, 'the slower runs it once more')
  assert.equal(Buffer.from(replay.result).toString(), `${text} ran`)
}

/** Many that spend at one moment, at both replicas: one runs it, and all others get its result. */
export const allAnswered = async (a: Replica, b: Replica, text: string): Promise<void> => {
  const approvals = await approvedForBoth(a, b, text, 10)
  const spends = approvals.map(async (approval, at) => {
    const replica = at % 2 === 0 ? a : b
    const spent = await replica.life.spend(approval, `${text} ${at}`, agent, allowed)
    if ('result' in spent) return Buffer.from(spent.result).toString()
    await replica.life.finish(spent, { result: 'executed', ms: 1 }, Buffer.from(`${text} ran`))
    return 'ran it'
  })
  assert.deepEqual((await Promise.all(spends)).toSorted(), [...approvals.slice(1).map(() => `${text} ran`), 'ran it'].toSorted())
}

/** What `obtain` gave to so many clients, in turn at one replica and the other, for one hold that was approved while all of them waited. */
const approvedForBoth = async (a: Replica, b: Replica, text: string, clients = 2): Promise<readonly [Approval, Approval, ...Approval[]]> => {
  const told: Hold[] = []
  const waiting = Array.from({ length: clients }, (_, at) => obtain(at % 2 === 0 ? a : b, text, agent, { onHeld: (hold) => told.push(hold) }))
  await until('all to wait', () => a.life.waiting() + b.life.waiting() === clients)
  await a.life.vote(told[0]!.id, ballot(bob, told[0]!))
  const [one, two, ...more] = await Promise.all(waiting)
  assert.ok(told.every(({ id }) => id === told[0]!.id))
  return [one!, two!, ...more]
}
