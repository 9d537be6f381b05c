import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Announcer } from '../../src/approval/announcer.ts'
import type { Channel } from '../../src/approval/channel.ts'
import type { Hold, HoldState } from '../../src/model/hold.ts'
import { agent, allowed, ballot, bob, caller, decision, makeWorld, obtain, requirement, terms, type Replica, type World } from '../approval/world.ts'
import { until } from '../support/until.ts'

/** Somewhere that a channel tells of holds: a fake that checks what it is sent, and what can be seen there. */
export interface Place extends AsyncDisposable {
  /** A channel to this place, as one more replica makes it; what it shows of a hold is as much as its configuration can let it show. */
  connect(): Channel
  /** How a hold stands there for whoever looks; `undefined`: nobody there has heard of it. */
  stands(hold: Hold): string | undefined
  /** The word for a state there. */
  word(state: HoldState): string
  /** How many things there are about it, with what can be told to be a repeat taken once. */
  count(hold: Hold): number
  /** What it has been sent and when, taken or not; without headers. */
  readonly sent: readonly { readonly text: string; readonly at: number }[]
  /** What it turned away because it was wrong. */
  readonly wrong: readonly string[]
  /** The next request is told to come again after a second. */
  busyOnce(): void
  /** Whether it answers everything with a failure. */
  down: boolean
  /** Values that must not be in any message. */
  readonly secrets: readonly string[]
  /** Whether it may show what will run, whole or in part. */
  readonly showsText: boolean
  readonly mostBytes: number
}

const quick = { beatMs: 20, leaseMs: 400, storeRetryMs: 20, gatherMs: 300, handOnMs: 50 }
const waitMs = 15_000

/** What every channel keeps, whatever it talks to. */
export const channelContract = (kind: string, open: () => Promise<Place>): void => {
  describe(`channel ${kind}`, () => {
    let world: World
    let place: Place
    let announcers: Announcer[]
    beforeEach(async () => {
      world = await makeWorld()
      place = await open()
      announcers = []
    })
    afterEach(async () => {
      for (const announcer of announcers) await announcer[Symbol.asyncDispose]()
      await place[Symbol.asyncDispose]()
      await world[Symbol.asyncDispose]()
    })

    const announce = async (name: string, over: Partial<Channel> = {}): Promise<{ readonly replica: Replica; readonly announcer: Announcer }> => {
      // Tries are soon, so that an outage is over when its tests are.
      const channel = { ...place.connect(), retriesMs: [50, 50, 50, 50], ...over }
      const replica = await world.replica(name, {}, undefined, [channel])
      const announcer = replica.life.announce(quick)
      announcers.push(announcer)
      await until(`${name} to speak`, () => announcer.state()[0]?.speaks, waitMs)
      return { replica, announcer }
    }
    const told = async (hold: Hold, state: HoldState): Promise<unknown> => until(`${state} to be seen`, () => place.stands(hold) === place.word(state), waitMs)
    const chat = terms([requirement({ assurance: 'chat' })])

    test('a new hold is seen, and each end of it', async () => {
      await announce('b')
      const ended = async (text: string, end: (hold: Hold) => Promise<HoldState>): Promise<void> => {
        const hold = await world.opened(text, agent, chat)
        await told(hold, 'pending')
        await told(hold, await end(hold))
      }
      const ran = (result: 'executed' | 'failed' | 'unknown') => async (hold: Hold): Promise<HoldState> => {
        await world.a.life.vote(hold.id, ballot(bob, hold))
        await told(hold, 'approved')
        const approval = await obtain(world.a, hold.action.text, agent, {}, decision(chat))
        assert.ok('hold' in approval)
        const spent = await world.a.life.spend(approval, `run-${result}`, agent, allowed)
        assert.ok(!('result' in spent))
        await world.a.life.finish(spent, { result, status: '200', ms: 41 })
        return result
      }
      await Promise.all([
        ended('POST /denied', async (hold) => (await world.a.life.vote(hold.id, ballot(bob, hold, { verdict: 'deny' }))).state),
        ended('POST /withdrawn', async (hold) => (await world.a.life.withdraw(hold.id, agent)).state),
        ended('POST /executed', ran('executed')),
        ended('POST /failed', ran('failed')),
        ended('POST /unknown', ran('unknown')),
      ])
      await ended('POST /expired', async () => {
        world.skewMs += 61_000
        return 'expired'
      })
      assert.deepEqual(place.wrong, [])
    })

    test('what is told a second time is seen once', async () => {
      const hold = await world.opened('POST /twice', agent, chat)
      await using channel = place.connect()
      const show = (memory: string | undefined) => channel.show({ hold, occasion: 'change', memory }, new AbortController().signal)
      const memory = await show(undefined)
      const before = place.count(hold)
      assert.equal(before, 1)
      assert.equal(await show(memory), memory)
      assert.equal(place.count(hold), before)
      assert.equal(place.stands(hold), place.word('pending'))
    })

    test('a flood of one kind is told once: the first is shown, with how many more wait, and nothing of them', async () => {
      await announce('b', { groupWithinMs: 60_000 })
      const flood = await Promise.all(Array.from({ length: 5 }, (_, at) => world.opened(`POST /flood?n=${at}`, agent, chat)))
      const another = await world.opened('POST /alone', caller('report-agent', { kind: 'agent', groups: ['agents'] }), chat)
      await told(another, 'pending')
      const shown = await until('one of them to be seen', () => { const seen = flood.filter((hold) => place.count(hold) > 0); return seen.length === 1 ? seen[0] : undefined }, waitMs)
      const texts = (): string => place.sent.map(({ text }) => text).join('\n')
      await until('the others to be counted', () => /\b4 more like it wait|"alike":4\b/.test(texts()), waitMs)
      for (const hidden of flood) if (hidden !== shown) assert.ok(!texts().includes(hidden.id), 'something of another one is shown')
      assert.equal(place.count(another), 1)
      // One of them is decided elsewhere: it never had a message, and gets none.
      const quiet = flood.find((hold) => hold !== shown)!
      await world.a.life.vote(quiet.id, ballot(bob, quiet, { verdict: 'deny' }))
      await world.a.life.vote(shown.id, ballot(bob, shown, { verdict: 'deny' }))
      await told(shown, 'denied')
      // Three wait on: another one speaks for them.
      const next = await until('the next to be seen', () => flood.find((hold) => hold !== shown && place.count(hold) > 0), waitMs)
      assert.notEqual(next, quiet)
      await told(next, 'pending')
      await until('the rest to be counted', () => /\b2 more like it wait|"alike":2\b/.test(texts()), waitMs)
      assert.equal(flood.filter((hold) => place.count(hold) > 0).length, 2)
      assert.ok(!texts().includes(quiet.id))
      assert.deepEqual(place.wrong, [])
    })

    test('who asks for time gets it', async () => {
      await announce('b')
      place.busyOnce()
      const hold = await world.opened('POST /busy', agent, chat)
      await told(hold, 'pending')
      const [first, second] = place.sent.slice(-2)
      assert.ok((second?.at ?? 0) - (first?.at ?? 0) >= 950)
    })

    test('while it is down the hold can be decided all the same, and says who was not reached; then it goes on', async () => {
      const { replica } = await announce('b')
      const hold = await world.opened('POST /down', agent, terms([requirement({ count: 2, assurance: 'chat' })]))
      await told(hold, 'pending')
      place.down = true
      await world.a.life.vote(hold.id, ballot(bob, hold))
      const other = await world.opened('POST /down-too', agent, chat)
      const reach = async () => (await replica.life.show(other.id, bob)).reaches?.[0]?.state
      await until('it to be known as not reached', async () => (await reach()) === 'lost', waitMs)
      assert.equal((await world.a.life.vote(other.id, ballot(bob, other, { verdict: 'deny' }))).state, 'denied')
      place.down = false
      assert.equal((await world.a.life.vote(hold.id, ballot(caller('carol', { groups: ['dba'] }), hold, { verdict: 'deny' }))).state, 'denied')
      await told(hold, 'denied')
      await until('it to be known as reached', async () => (await replica.life.show(hold.id, bob)).reaches?.[0]?.state === 'shown', waitMs)
    })

    test('when the replica that told it is gone, another goes on where it stopped', async () => {
      const one = await announce('one')
      const hold = await world.opened('POST /killed', agent, chat)
      await told(hold, 'pending')
      const before = place.count(hold)
      await one.announcer[Symbol.asyncDispose]()
      await announce('two')
      await world.a.life.vote(hold.id, ballot(bob, hold, { verdict: 'deny' }))
      await told(hold, 'denied')
      assert.ok(place.count(hold) <= before + 1)
      assert.deepEqual(place.wrong, [])
    })

    test('no secret is in a message, nor more of an agent\'s text than it may carry', async () => {
      await announce('b')
      const hostile = `POST /x\n\n${'MARKED <!channel> [a](https://evil.test) \u202e '.repeat(1_500)}`
      const hold = await world.opened(hostile, agent, chat)
      await told(hold, 'pending')
      const texts = place.sent.map(({ text }) => text).join('\n')
      for (const secret of place.secrets) assert.ok(!texts.includes(secret))
      assert.ok(!texts.includes('\u202e'))
      if (!place.showsText) assert.ok(!texts.includes('MARKED'))
      for (const { text } of place.sent) assert.ok(Buffer.byteLength(text) <= place.mostBytes)
      assert.deepEqual(place.wrong, [])
    })
  })
}
