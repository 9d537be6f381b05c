import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Announcer } from '../../src/approval/announcer.ts'
import { type Channel, Closed, type Showing } from '../../src/approval/channel.ts'
import { groupsAsked, reviewWithinMs } from '../../src/approval/marks.ts'
import { Busy } from '../../src/lib/receiver.ts'
import type { Hold } from '../../src/model/hold.ts'
import { until } from '../support/until.ts'
import { agent, alice, ballot, bob, caller, makeWorld, requirement, terms, type Replica, type World } from './world.ts'

const quick = { beatMs: 20, leaseMs: 400, storeRetryMs: 20, gatherMs: 300, handOnMs: 50 }

interface Told {
  readonly id: string
  readonly state: string
  readonly revision: number
  readonly occasion: string
  readonly memory: string | undefined
}

/** A place that remembers what it was told, and says what it is asked to say. */
const place = (name: string, over: Partial<Channel> = {}) => {
  const told: Told[] = []
  const channel: Channel & { answer: (showing: Showing) => Promise<string | undefined> } = {
    name, kind: 'test', retriesMs: [20, 20], timeoutMs: 5_000,
    answer: async ({ hold }) => `message-${hold.id}`,
    concerns: () => true,
    async show(showing) {
      const memory = await channel.answer(showing)
      const { hold, occasion } = showing
      told.push({ id: hold.id, state: hold.state, revision: hold.revision, occasion, memory: showing.memory })
      return memory
    },
    async [Symbol.asyncDispose]() {},
    ...over,
  }
  return { channel, told }
}

describe('telling channels', () => {
  let world: World
  let announcers: Announcer[]
  beforeEach(async () => {
    world = await makeWorld()
    announcers = []
  })
  afterEach(async () => {
    for (const announcer of announcers) await announcer[Symbol.asyncDispose]()
    await world[Symbol.asyncDispose]()
  })

  const announce = async (name: string, ...channels: Channel[]): Promise<{ readonly replica: Replica; readonly announcer: Announcer }> => {
    const replica = await world.replica(name, {}, undefined, channels)
    const announcer = replica.life.announce(quick)
    announcers.push(announcer)
    return { replica, announcer }
  }
  const speaking = (announcer: Announcer): Promise<unknown> => until('it to speak', () => announcer.state()[0]?.speaks)

  test('a hold is shown when it opens and after each change, with what the channel remembered', async () => {
    const { channel, told } = place('chat')
    const { announcer } = await announce('b', channel)
    await speaking(announcer)
    const hold = await world.opened('POST /exports', agent, terms([requirement({ count: 2 })]))
    await until('the opening', () => told.length === 1)
    await world.a.life.vote(hold.id, ballot(alice, hold))
    await until('the vote', () => told.length === 2)
    await world.a.life.vote(hold.id, ballot(bob, hold))
    await until('the approval', () => told.length === 3)
    const memory = `message-${hold.id}`
    assert.deepEqual(told.map(({ state, revision, memory: known }) => [state, revision, known]), [['pending', 1, undefined], ['pending', 2, memory], ['approved', 3, memory]])
  })

  test('an opinion is kept beside the hold and on record, cut; what can be redrawn is, and nothing else hears of it', async () => {
    const advisor = place('model', { advises: true })
    advisor.channel.answer = async ({ memory }) => memory ?? ` approve\ud800 ${'x'.repeat(3_000)}`
    const [chat, hook] = [place('chat', { redraws: true }), place('hook')]
    const seen: (Hold['opinions'] | undefined)[] = []
    chat.channel.answer = async ({ hold }) => { seen.push(hold.opinions); return 'there' }
    const { replica, announcer } = await announce('b', advisor.channel, chat.channel, hook.channel)
    await speaking(announcer)
    const hold = await world.opened()
    await until('the chat to be drawn with it', () => seen.at(-1)?.length === 1)
    const shown = await replica.life.show(hold.id, alice)
    assert.deepEqual(shown.opinions, [{ advisor: 'model', text: `approve\ufffd ${'x'.repeat(1_991)}` }])
    assert.deepEqual([shown.revision, shown.votes, shown.state], [1, [], 'pending'])
    assert.deepEqual(shown.reaches?.map(({ channel }) => channel), ['chat', 'hook'])
    assert.equal(world.count('advised'), 1)
    await world.a.life.vote(hold.id, ballot(alice, hold))
    await until('the approval in all of them', () => [advisor, chat, hook].every(({ told }) => told.at(-1)?.state === 'approved'))
    assert.deepEqual([world.count('advised'), hook.told.length, seen.at(-1)?.length], [1, 2, 1])
    assert.deepEqual((await replica.life.show(hold.id, alice)).opinions, shown.opinions)
  })

  test('of two replicas one speaks; when it dies the other goes on from what was told, also what happened in between', async () => {
    const [first, second] = [place('chat'), place('chat')]
    const one = await announce('one', first.channel)
    await speaking(one.announcer)
    const two = await announce('two', second.channel)
    const [hold, other] = [await world.opened('POST /exports'), await world.opened('POST /other')]
    await until('both', () => first.told.length === 2)
    await one.announcer[Symbol.asyncDispose]()
    await world.a.life.vote(hold.id, ballot(bob, hold, { verdict: 'deny' }))
    await speaking(two.announcer)
    await until('the end', () => second.told.length === 1)
    assert.deepEqual(second.told, [{ id: hold.id, state: 'denied', revision: 2, occasion: 'change', memory: `message-${hold.id}` }])
    await world.opened('POST /third')
    await until('the third', () => second.told.length === 2)
    assert.ok(!second.told.some(({ id }) => id === other.id), 'what had been told is not told again')
  })

  test('a replica that hangs loses its turn', async () => {
    const [first, second] = [place('chat'), place('chat')]
    let hangs = false
    const back = Promise.withResolvers<boolean>()
    const replica = await world.replica('one', {}, (store) => ({ ...store, lease: async (...asked) => (hangs ? await back.promise : await store.lease(...asked)) }), [first.channel])
    const one = replica.life.announce(quick)
    announcers.push(one)
    await speaking(one)
    const two = await announce('two', second.channel)
    hangs = true
    await speaking(two.announcer)
    await until('the first to be silent', () => !one.state()[0]!.speaks)
    await world.opened()
    await until('the second to tell', () => second.told.length === 1)
    assert.equal(first.told.length, 0)
    back.resolve(false)
  })

  test('a channel that is down is tried again, then given up, and the hold says so; another channel is not held up', async () => {
    const [down, up] = [place('down'), place('up')]
    let tries = 0
    down.channel.answer = async () => { tries++; throw new Error('HTTP 500') }
    const { announcer, replica } = await announce('b', down.channel, up.channel)
    await speaking(announcer)
    const hold = await world.opened()
    await until('the other to be told', () => up.told.length === 1)
    await until('the end of the tries', () => tries === 3)
    const reaches = async () => (await replica.life.show(hold.id, bob)).reaches
    await until('it to be known', async () => (await reaches())?.[0]?.state === 'lost')
    assert.deepEqual((await reaches())?.map(({ channel, state }) => [channel, state]), [['down', 'lost'], ['up', 'shown']])
    assert.equal((await replica.life.show(hold.id, agent)).reaches, undefined)
    assert.equal(announcer.state()[0]?.lastError, 'HTTP 500')
    down.channel.answer = async () => 'here now'
    await world.a.life.vote(hold.id, ballot(bob, hold))
    await until('the next change to be known as told', async () => (await reaches())?.every(({ state }) => state === 'shown'))
    assert.equal(down.told.length, 1)
    assert.equal(tries, 3)
  })

  test('who asks for time gets it, and who wants nothing more gets nothing', async () => {
    const { channel, told } = place('chat')
    let tries = 0
    channel.answer = async () => { if (++tries === 1) throw new Busy('HTTP 429', 50); return undefined }
    const leaving = place('leaving')
    leaving.channel.answer = async () => { throw new Closed('HTTP 410') }
    const { announcer } = await announce('b', channel, leaving.channel)
    await speaking(announcer)
    await world.opened()
    await until('the second try', () => told.length === 1)
    await until('the channel to be closed', () => announcer.state()[1]?.closed)
    leaving.channel.answer = async () => 'not asked'
    await world.opened('POST /other')
    await until('the other', () => told.length === 2)
    assert.equal(leaving.told.length, 0)
  })

  test('half of the time is over: one reminder, and none for what is decided', async () => {
    const { channel, told } = place('chat')
    const { announcer } = await announce('b', channel)
    await speaking(announcer)
    const [hold, decided] = [await world.opened('POST /one', agent, terms(undefined, { withinMs: 600 })), await world.opened('POST /two', agent, terms(undefined, { withinMs: 600 }))]
    await until('both', () => told.length === 2)
    await world.a.life.vote(decided.id, ballot(bob, decided))
    await until('the reminder', () => told.some(({ occasion }) => occasion === 'reminder'))
    await until('the end of it', async () => (await world.a.life.show(hold.id, bob)).state === 'expired' || told.some(({ state }) => state === 'expired'), 10_000)
    assert.deepEqual(told.filter(({ occasion }) => occasion === 'reminder').map(({ id, memory }) => [id, memory]), [[hold.id, `message-${hold.id}`]])
  })

  test('what a channel remembers is of this hold, or it is not believed', async () => {
    const { channel, told } = place('chat')
    const { announcer, replica } = await announce('b', channel)
    await speaking(announcer)
    const [one, two] = [await world.opened('POST /one'), await world.opened('POST /two')]
    await until('both', () => told.length === 2)
    for (const { id } of [one, two]) await until('it to be remembered', async () => (await replica.life.show(id, bob)).reaches?.[0]?.state === 'shown')
    world.tamper('update attachments set sealed = (select sealed from attachments where id = ?) where id = ?', two.id, one.id)
    await world.a.life.vote(one.id, ballot(bob, one))
    await until('the change', () => told.length === 3)
    assert.equal(told[2]?.memory, undefined)
  })

  test('what does not concern a channel is not told there', async () => {
    const { channel, told } = place('chat', { concerns: (hold) => hold.action.text === 'POST /mine' })
    const { announcer, replica } = await announce('b', channel)
    await speaking(announcer)
    const other = await world.opened('POST /other')
    const mine = await world.opened('POST /mine')
    await until('the one', () => told.length === 1)
    assert.equal(told[0]?.id, mine.id)
    assert.deepEqual((await replica.life.show(other.id, caller('bob', { groups: ['dba'] }))).reaches, [])
  })

  const kim = caller('kim', { groups: ['managers'] })
  const ira = caller('ira', { groups: ['incident'] })
  const glass = terms([requirement({ count: 2 })], { breakGlass: [{ policy: 'p', rule: 'r', groups: ['incident'], users: [], reason: 20 }] })
  const occasions = (told: readonly Told[]): readonly (readonly [string, string])[] => told.map(({ occasion, state }) => [occasion, state])

  test('what escalates is told once, also where it was of no concern before', async () => {
    const [first, second] = [place('oncall'), place('managers', { concerns: (hold) => groupsAsked(hold).includes('managers') })]
    const { announcer } = await announce('b', first.channel, second.channel)
    await speaking(announcer)
    const hold = await world.opened('POST /exports', agent, terms([requirement({ escalation: { afterMs: 10_000, groups: ['managers'], users: [] } })]))
    await until('the opening', () => first.told.length === 1)
    assert.equal(second.told.length, 0)
    world.skewMs = 10_001
    await until('both to hear of it', () => first.told.length === 2 && second.told.length === 1)
    await world.a.life.vote(hold.id, ballot(kim, hold))
    await until('both to hear of the vote', () => first.told.length === 3 && second.told.length === 2)
    assert.deepEqual(occasions(first.told), [['change', 'pending'], ['escalated', 'pending'], ['change', 'approved']])
    assert.deepEqual(occasions(second.told), [['escalated', 'pending'], ['change', 'approved']])
  })

  test('a broken glass is told everywhere: where it is of no concern, without what the action is', async () => {
    const [ours, theirs] = [place('ours'), place('theirs', { concerns: () => false })]
    const seen: Hold[] = []
    theirs.channel.answer = async ({ hold }) => { seen.push(hold); return 'posted' }
    const { announcer } = await announce('b', ours.channel, theirs.channel)
    await speaking(announcer)
    const hold = await world.opened('POST /exports', agent, glass)
    await until('the opening', () => ours.told.length === 1)
    await world.a.life.vote(hold.id, ballot(ira, hold, { brokeGlass: true, reason: 'Incident 4711: production is down.' }))
    await until('all to hear of it', () => ours.told.length === 3 && theirs.told.length === 1)
    assert.deepEqual(occasions(ours.told), [['change', 'pending'], ['broke-glass', 'approved'], ['change', 'approved']])
    await world.a.life.handOver(hold.id, alice, { group: 'dba' }).catch(() => {})
    await world.a.life.review(hold.id, alice, 'In order.')
    await until('all to hear of the review', () => ours.told.length === 4 && theirs.told.length === 2)
    assert.deepEqual(occasions(theirs.told), [['broke-glass', 'approved'], ['reviewed', 'approved']])
    assert.equal(theirs.told[1]?.memory, 'posted')
    for (const { action, statedReason } of seen) assert.deepEqual([action.text, action.textCut, action.resources, action.tags, action.shape, action.impact, statedReason], ['', true, [], [], '', undefined, undefined])
  })

  test('a replica that begins to speak tells what is owed for too long, however long ago that ran', async () => {
    const hold = await world.opened('POST /exports', agent, glass)
    await world.a.life.vote(hold.id, ballot(ira, hold, { brokeGlass: true, reason: 'Incident 4711: production is down.' }))
    world.skewMs = 60_000
    await until('its end', async () => (await world.a.life.show(hold.id, alice)).state === 'expired')
    world.skewMs = reviewWithinMs + 60_000
    await until('it to be overdue', () => world.count('review-overdue') === 1)
    const { channel, told } = place('late', { concerns: () => false })
    await announce('b', channel)
    await until('it to be told', () => told.length > 0)
    assert.deepEqual(occasions(told), [['review-overdue', 'expired']])
  })

  test('what is handed over is told', async () => {
    const { channel, told } = place('chat')
    const { announcer } = await announce('b', channel)
    await speaking(announcer)
    const hold = await world.opened()
    await until('the opening', () => told.length === 1)
    await world.a.life.handOver(hold.id, bob, { group: 'dba' })
    await until('it', () => told.length === 2)
    assert.deepEqual(occasions(told)[1], ['handed-over', 'pending'])
  })
})
