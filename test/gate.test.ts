import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Approvals, Replay, Wait } from '../src/approval/approvals.ts'
import type { Durability, Journal } from '../src/audit/journal.ts'
import { makeGate, redeem, type Attempt } from '../src/gate.ts'
import type { Action } from '../src/model/action.ts'
import type { Approval } from '../src/model/approval.ts'
import type { AuditEvent } from '../src/model/audit-event.ts'
import type { Caller } from '../src/model/caller.ts'
import type { Decision, Verdict } from '../src/model/decision.ts'
import type { Hold } from '../src/model/hold.ts'
import type { Permit } from '../src/model/permit.ts'
import { Refusal } from '../src/model/refusal.ts'
import type { PolicySet } from '../src/policy/policy-set.ts'

const caller: Caller = { issuer: 'https://idp.test', subject: 'invoice-agent', kind: 'agent', groups: ['agents'], onBehalfOf: [], claims: {}, session: 's', authenticatedAt: 0, expiresAt: 1e15, address: '127.0.0.1' }
const action: Action = { protocol: 'http', service: 'orders', verb: 'http.POST', verbs: ['http.POST'], effect: 'write', resources: [], tags: [], text: '', textCut: false, facts: {}, digest: 'sha256:aa', shape: 's' }
const verdict = (kind: Verdict, version = 'v1'): Decision => ({
  verdict: kind,
  matched: [{ policy: 'p', rule: 'r', then: kind, at: 'p.yaml:1', because: 'because', observed: false }],
  obligations: { masks: {}, limits: {} },
  policyVersion: version,
  ...(kind === 'hold' ? { terms: { requirements: [], withinMs: 1, runWithinMs: 1, askReason: false, run: 'attached' as const } } : {}),
})

interface World {
  /** What happened, in order. */
  readonly log: string[]
  readonly events: AuditEvent[]
  readonly permits: Permit[]
  decisions: Decision[]
  journalFails?: AuditEvent['type']
  unconfirmed?: true
  lease?: string
  /** What was lent cannot be given back. */
  keeps?: boolean
  obtain: Approvals['obtain']
  spend: Approvals['spend']
  run: Attempt['run']
  recheck: Attempt['recheck']
  inspect?: NonNullable<Attempt['inspect']>
}

const held = (state: Hold['state'], attempt?: string, digest = action.digest): Hold => ({
  id: 'hold_1', code: 'CS-XXXX', revision: 1, state, caller, action: { ...action, digest }, terms: verdict('hold').terms!, matched: [], policyVersion: 'v1', votes: [], openedAt: 0, deadline: 1e15,
  ...(attempt ? { spent: { replica: 'r', attempt, at: 0 } } : {}),
})

const makeWorld = (...decisions: Decision[]) => {
  const world: World = {
    log: [], events: [], permits: [], decisions,
    obtain: async () => (world.log.push('obtain'), { hold: held('approved') }),
    spend: async (_approval, attempt) => (world.log.push('spend'), { hold: held('running', attempt) }),
    recheck: async () => (world.log.push('recheck'), caller),
    run: async (permit) => {
      redeem(permit, action.digest)
      world.log.push('run')
      world.permits.push(permit)
      return { result: 'executed', status: '200', ms: 1 }
    },
  }
  const journal: Journal = {
    async append(event: AuditEvent, durability: Durability) {
      if (event.type === world.journalFails) throw new Refusal('journal-unavailable', 'no journal')
      world.events.push(event)
      world.log.push(`${event.type}:${durability}`)
    },
    check() {},
    read: async () => ({ lines: [], cursor: undefined }),
    more: async () => {},
    async [Symbol.asyncDispose]() {},
  }
  const approvals = {
    obtain: (...args: Parameters<Approvals['obtain']>) => world.obtain(...args),
    spend: (...args: Parameters<Approvals['spend']>) => world.spend(...args),
    finish: async (_approval: Approval, outcome: { result: string }) => void world.log.push(`finish:${outcome.result}`),
  } as unknown as Approvals
  const policies = () => ({ decide: () => (world.decisions.length > 1 ? world.decisions.shift()! : world.decisions[0]!), reasons: () => ({ evaluator: 1, rules: [] }) }) as unknown as PolicySet
  const vault = {
    lend: async () => (world.log.push('lend'), { headers: [], ...(world.lease === undefined ? {} : { lease: world.lease }), [Symbol.asyncDispose]: async () => {
      world.log.push('return')
      if (world.keeps) throw new Error('the server is away')
    } }),
  }
  const gate = makeGate({ policies, approvals, vault, journal, recordBefore: async (event, weight) => {
    await journal.append(event, weight === 'read' ? 'written' : 'synced')
    if (world.unconfirmed) throw new Refusal('record-unconfirmed', 'not there in time')
  } })
  const attempt: Attempt = {
    run: (permit, credential) => world.run(permit, credential),
    recheck: () => world.recheck(),
    replay: async (_replay: Replay) => (world.log.push('replay'), { result: 'executed', ms: 0 }),
    result: () => undefined,
  }
  const pass = (wait: Wait = { budgetMs: 0 }) => gate.pass({ caller, action, wait }, { ...attempt, ...(world.inspect && { inspect: world.inspect }) }, new AbortController().signal)
  const ask = () => gate.ask({ caller, action, wait: { budgetMs: 0 } }, world.inspect, new AbortController().signal)
  return { world, pass, ask }
}

test('an allowed action is recorded before it runs, and its credential is given back', async () => {
  const { world, pass } = makeWorld(verdict('allow'))
  assert.equal((await pass()).status, '200')
  assert.deepEqual(world.log, ['lend', 'started:synced', 'run', 'return', 'finished:queued'])
})

test('asking beforehand runs nothing, lends nothing and spends nothing; it is on record and refused as a pass is', async () => {
  const allowed = makeWorld(verdict('allow'))
  await allowed.ask()
  assert.deepEqual(allowed.world.log, [])
  const holding = makeWorld(verdict('hold'))
  await holding.ask()
  assert.deepEqual(holding.world.log, ['decided:synced', 'obtain'])
  const denied = makeWorld(verdict('deny'))
  await assert.rejects(denied.ask(), (error) => error instanceof Refusal && error.code === 'denied')
  assert.deepEqual(denied.world.log, ['decided:written'])
  holding.world.obtain = async () => { throw new Refusal('hold-expired', 'nobody decided') }
  await assert.rejects(holding.ask(), (error) => error instanceof Refusal && error.code === 'hold-expired')
  assert.equal(holding.world.events.at(-1)?.type, 'refused')
  holding.world.unconfirmed = true
  await assert.rejects(holding.ask(), (error) => error instanceof Refusal && error.code === 'record-unconfirmed')
})

test('what is on record and not confirmed does not run, and has its end on record', async () => {
  for (const [decided, wanted] of [['allow', ['started', 'finished', 'refused']], ['hold', ['refused']]] as const) {
    const { world, pass } = makeWorld(verdict(decided))
    world.unconfirmed = true
    await assert.rejects(pass(), (error) => error instanceof Refusal && error.code === 'record-unconfirmed')
    assert.deepEqual(world.events.map(({ type }) => type).filter((type) => type !== 'decided'), wanted)
    assert.ok(!world.log.includes('run') && !world.log.includes('obtain'))
    const [finished] = world.events.filter((event) => event.type === 'finished')
    if (finished?.type === 'finished') assert.equal(finished.outcome.result, 'failed')
  }
})

test('what was issued for one action is on record by its name before the start, and that it was given back or was not', async () => {
  const { world, pass } = makeWorld(verdict('allow'))
  world.lease = 'lease_1'
  await pass()
  assert.deepEqual(world.log, ['lend', 'credential-lent:queued', 'started:synced', 'run', 'return', 'credential-returned:queued', 'finished:queued'])
  const [lent] = world.events.filter((event) => event.type === 'credential-lent')
  assert.deepEqual(lent?.type === 'credential-lent' && [lent.lease, lent.service, lent.caller.subject], ['lease_1', action.service, caller.subject])
  world.keeps = true
  await assert.rejects(pass())
  const returned = world.events.findLast((event) => event.type === 'credential-returned')
  assert.equal(returned?.type === 'credential-returned' && returned.cause, 'the server is away')
  world.keeps = false
  world.journalFails = 'credential-lent'
  const before = world.log.filter((line) => line === 'run').length
  await assert.rejects(pass(), (error) => error instanceof Refusal && error.code === 'journal-unavailable')
  assert.deepEqual([world.log.filter((line) => line === 'run').length, world.log.filter((line) => line === 'return').length], [before, 3])
})

test('a denied action borrows nothing, runs nothing, and carries the reason of its rule', async () => {
  const { world, pass } = makeWorld(verdict('deny'))
  await assert.rejects(pass(), (error) => error instanceof Refusal && error.code === 'denied' && error.message === 'because')
  assert.deepEqual(world.log, ['decided:written'])
})

test('a held action is checked again, decided again, spent, recorded and only then run', async () => {
  const { world, pass } = makeWorld(verdict('hold'))
  await pass()
  assert.deepEqual(world.log, ['decided:synced', 'obtain', 'recheck', 'spend', 'lend', 'started:synced', 'run', 'return', 'finished:written', 'finish:executed'])
})

test('what is to be held is looked into first: that is what is decided about, recorded, held and run', async () => {
  const { world, pass } = makeWorld(verdict('hold'))
  const inspected: Action = { ...action, impact: { exactRows: 3, notes: [] } }
  const seen: unknown[] = []
  world.inspect = async ({ verdict: found }) => (world.log.push(`inspect:${found}`), { action: inspected, wait: { budgetMs: 7 } })
  world.obtain = async (request) => (seen.push(request.action, request.wait.budgetMs), { hold: held('approved') })
  await pass()
  assert.deepEqual(world.log, ['inspect:hold', 'decided:synced', 'recheck', 'spend', 'lend', 'started:synced', 'run', 'return', 'finished:written', 'finish:executed'])
  assert.deepEqual(seen, [inspected, 7])
  assert.equal(world.permits[0]?.action, inspected)
  const allowed = makeWorld(verdict('allow'))
  allowed.world.inspect = async () => assert.fail('nobody has to see what runs')
  await allowed.pass()
})

test('what cannot be looked into is not held, and that is on record', async () => {
  const { world, pass } = makeWorld(verdict('hold'))
  world.inspect = async () => {
    throw new Refusal('upstream-unavailable', 'no answer')
  }
  await assert.rejects(pass(), (error) => error instanceof Refusal && error.code === 'upstream-unavailable')
  assert.deepEqual(world.log, ['refused:queued'])
})

test('a policy that denies by now wins over the approval, and both versions are on record', async () => {
  const { world, pass } = makeWorld(verdict('hold', 'v1'), verdict('deny', 'v2'))
  await assert.rejects(pass(), (error) => error instanceof Refusal && error.code === 'denied')
  assert.equal(world.log.includes('spend'), false)
  const decided = world.events.flatMap((event) => (event.type === 'decided' ? [event.decision.policyVersion] : []))
  assert.deepEqual(decided, ['v1', 'v2'])
})

test('a caller who may no longer ask gets nothing, and the approval stays unspent', async () => {
  const { world, pass } = makeWorld(verdict('hold'))
  world.recheck = async () => {
    throw new Refusal('bad-identity', 'expired')
  }
  await assert.rejects(pass(), (error) => error instanceof Refusal && error.code === 'bad-identity')
  assert.deepEqual(world.log, ['decided:synced', 'obtain', 'refused:queued'])
})

test('without a client an action runs by its approval alone, also where the policy has become milder', async () => {
  const wait: Wait = { budgetMs: 0, hold: 'hold_1', unattended: true }
  const { world, pass } = makeWorld(verdict('allow'))
  await pass(wait)
  assert.deepEqual(world.log, ['obtain', 'recheck', 'spend', 'lend', 'started:synced', 'run', 'return', 'finished:written', 'finish:executed'])
  const denied = makeWorld(verdict('deny'))
  await assert.rejects(denied.pass(wait), (error) => error instanceof Refusal && error.code === 'denied')
  assert.deepEqual(denied.world.log, ['decided:written'])
})

test('without its record nothing runs, and a spent hold is closed as failed', async () => {
  const { world, pass } = makeWorld(verdict('hold'))
  world.journalFails = 'started'
  await assert.rejects(pass(), (error) => error instanceof Refusal && error.code === 'journal-unavailable')
  assert.equal(world.log.includes('run'), false)
  assert.equal(world.log.includes('finish:failed'), true)
})

test('a bug after the first byte is recorded as unknown, never as not executed', async () => {
  const { world, pass } = makeWorld(verdict('hold'))
  world.run = async () => {
    throw new TypeError('bug')
  }
  await assert.rejects(pass(), TypeError)
  assert.equal(world.log.includes('finish:unknown'), true)
})

test('a result that an earlier run left is delivered without a permit', async () => {
  const { world, pass } = makeWorld(verdict('hold'))
  world.obtain = async () => ({ hold: held('executed'), result: new Uint8Array() })
  await pass()
  assert.deepEqual(world.log, ['decided:synced', 'replay'])
})

test('where another attempt spent the approval first, its result is delivered, without a permit', async () => {
  const { world, pass } = makeWorld(verdict('hold'))
  world.spend = async () => ({ hold: held('executed'), result: new Uint8Array() })
  await pass()
  assert.deepEqual(world.log, ['decided:synced', 'obtain', 'recheck', 'replay'])
})

test('an approval of another action, or one spent by another attempt, makes no permit', async () => {
  for (const wrong of [held('approved'), held('running', 'somebody-else'), held('running', 'x', 'sha256:bb')]) {
    const { world, pass } = makeWorld(verdict('hold'))
    world.obtain = async () => ({ hold: wrong })
    const spend = async () => ({ hold: wrong })
    const gate = makeGate({
      policies: () => ({ decide: () => verdict('hold'), reasons: () => undefined }) as unknown as PolicySet,
      approvals: { obtain: world.obtain, spend, finish: async () => {} } as unknown as Approvals,
      vault: { lend: async () => assert.fail('nothing may be lent') },
      journal: { append: async () => {} } as unknown as Journal,
      recordBefore: async () => {},
    })
    const attempt: Attempt = { run: world.run, recheck: async () => caller, replay: async () => assert.fail(), result: () => undefined }
    await assert.rejects(gate.pass({ caller, action, wait: { budgetMs: 0 } }, attempt, new AbortController().signal), /approval reached/)
    assert.equal(typeof pass, 'function')
  }
})

test('a permit redeems once, for its own digest, and no copy of it redeems', async () => {
  const { world, pass } = makeWorld(verdict('allow'))
  let tried = 0
  world.run = async (permit) => {
    for (const copy of [{ ...permit }, structuredClone({ ...permit, caller: null }) as unknown as Permit, Object.create(permit) as Permit, new Proxy(permit, {})]) {
      assert.throws(() => redeem(copy, action.digest), /not live/)
      tried++
    }
    assert.throws(() => ((permit as { attempt: string }).attempt = 'x'), TypeError)
    redeem(permit, action.digest)
    assert.throws(() => redeem(permit, action.digest), /not live/)
    return { result: 'executed', ms: 0 }
  }
  await pass()
  assert.equal(tried, 4)
})

test('a permit for one digest does not send another, and is used up by the try', async () => {
  const { world, pass } = makeWorld(verdict('allow'))
  world.run = async (permit) => {
    assert.throws(() => redeem(permit, 'sha256:bb'), /another digest/)
    assert.throws(() => redeem(permit, action.digest), /not live/)
    return { result: 'executed', ms: 0 }
  }
  await pass()
  assert.equal(world.events.length, 2)
})
