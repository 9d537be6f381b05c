import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { makeActivities } from '../../../src/channels/teams/activities.ts'
import { makeTeamsBot, type TeamsBot } from '../../../src/channels/teams/bot.ts'
import type { TeamsBotOptions } from '../../../src/channels/teams/options.ts'
import { makeLinks } from '../../../src/identity/links.ts'
import type { LinkStore } from '../../../src/identity/link-store.ts'
import { makeSealing } from '../../../src/lib/sealing.ts'
import type { AuditEvent } from '../../../src/model/audit-event.ts'
import type { Caller } from '../../../src/model/caller.ts'
import type { Hold } from '../../../src/model/hold.ts'
import { Refusal } from '../../../src/model/refusal.ts'
import { openEmbeddedLinkStore } from '../../../src/stores/embedded/link-store.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { agent, ballot, caller, makeWorld, refused, requirement, terms, type World } from '../../approval/world.ts'
import { silent } from '../web/hold-desk.ts'
import { conversation, startTeams, tenant, type FakeTeams, type Person } from './fake-teams.ts'

const issuer = `https://login.microsoftonline.com/${tenant}/v2.0`
const alice: Person = { id: '29:alice', object: '0000000a-0000-4000-8000-000000000000' }
const bob: Person = { id: '29:bob', object: '0000000b-0000-4000-8000-000000000000' }
const whoIs = ({ object }: Person, groups: readonly string[]): Caller => caller(`${tenant}/${object}`, { issuer, groups })
const chat = terms([requirement({ assurance: 'chat' })])

describe('clicks in Teams', () => {
  let ends: AsyncDisposableStack
  let teams: FakeTeams
  let world: World
  let store: LinkStore
  let links: ReturnType<typeof makeLinks>
  let bot: TeamsBot
  let hook: ReturnType<typeof makeActivities>
  const clock = { aheadMs: 0 }
  const noted: AuditEvent[] = []

  const open = async (over: Partial<TeamsBotOptions> = {}): Promise<void> => {
    bot = makeTeamsBot(teams.options(over), () => 'https://approvals.example.org', silent)
    hook = makeActivities([bot], { approvals: world.a.life, links, consoleUrl: () => 'https://approvals.example.org', note: (event) => void noted.push(event), log: silent, now: Date.now })
    ends.defer(() => bot[Symbol.asyncDispose]())
    ends.use(hook)
  }
  beforeEach(async () => {
    ends = new AsyncDisposableStack()
    noted.length = 0
    clock.aheadMs = 0
    teams = ends.use(await startTeams())
    world = ends.use(await makeWorld())
    const { path } = ends.use(temporaryFolder('teams'))
    store = ends.use(openEmbeddedLinkStore({ kind: 'embedded', path: join(path, 'links.db') }))
    links = makeLinks({ store, sealing: makeSealing([randomBytes(32)]), identity: { standing: () => 'as configured' }, now: () => Date.now() + clock.aheadMs })
    for (const person of [alice, bob]) {
      teams.people.set(person.id, person)
      await links.see(whoIs(person, ['dba']))
    }
    await open()
  })
  afterEach(() => ends.disposeAsync())

  /** Shows a hold in the conversation, and says where. */
  const shown = async (hold: Hold): Promise<string> => (JSON.parse((await bot.show({ hold, occasion: 'change', memory: undefined }, new AbortController().signal)) ?? '{}') as { activity: string }).activity
  const press = async (by: Person, verb: 'approve' | 'deny', hold: Hold, over: Readonly<Record<string, unknown>> = {}, more: Readonly<Record<string, unknown>> = {}) =>
    (await teams.post(hook, teams.click(by, verb, { hold: hold.id, digest: hold.action.digest, ...more }, over))).body as { statusCode: number; type: string; value: unknown }
  const now = (hold: Hold) => world.a.life.show(hold.id, whoIs(bob, ['dba']))
  const untouched = async (hold: Hold, said: { readonly type: string; readonly value: unknown }, words: RegExp, cause: RegExp): Promise<void> => {
    assert.equal(said.type, 'application/vnd.microsoft.activity.message')
    assert.match(String(said.value), words)
    assert.deepEqual([(await now(hold)).state, (await now(hold)).votes.length], ['pending', 0])
    const event = [...noted, ...world.events].findLast(({ type }) => type === 'vote-refused')
    assert.ok(event?.type === 'vote-refused')
    assert.deepEqual([event.hold, event.code, event.digest], [hold.id, hold.code, hold.action.digest])
    assert.match(`${event.refusal} ${event.cause}`, cause)
  }

  test('a yes from the card counts as the person behind the account, and the answer is the card as it stands', async () => {
    const hold = await world.opened('POST /exports', agent, chat)
    const message = await shown(hold)
    const button = teams.buttonOf(message, 'approve')
    assert.deepEqual(button?.data, { hold: hold.id, digest: hold.action.digest })
    const said = await press(bob, 'approve', hold, {}, { 'approve-reason': ' Looks right. ' })
    assert.equal(said.type, 'application/vnd.microsoft.card.adaptive')
    assert.match(JSON.stringify(said.value), /✓ Approved/)
    const { state, votes: [vote] } = await now(hold)
    assert.equal(state, 'approved')
    assert.deepEqual([vote?.by.issuer, vote?.by.subject, vote?.channel, vote?.assurance, vote?.reason], [issuer, `${tenant}/${bob.object}`, 'teams', 'chat', 'Looks right.'])
    assert.match(vote?.shown ?? '', /^teams\/1 sha256:/)
  })

  test('a no goes through with its reason, also where a yes would need more than a chat', async () => {
    const hold = await world.opened('POST /exports', agent, terms([requirement({ assurance: 'passkey' })]))
    assert.equal(teams.buttonOf(await shown(hold), 'approve'), undefined)
    await press(bob, 'deny', hold, {}, { 'deny-reason': 'Not today.' })
    assert.deepEqual([(await now(hold)).state, (await now(hold)).votes[0]?.reason], ['denied', 'Not today.'])
  })

  test('a button that the card does not have is not taken', async () => {
    for (const [needs, text] of [[terms([requirement()]), 'POST /exports'], [chat, `POST /exports\n\n${'x'.repeat(5_000)}`]] as const) {
      const hold = await world.opened(text, agent, needs)
      await untouched(hold, await press(bob, 'approve', hold), /cannot be decided here.*https:\/\/approvals/, /not-eligible teams: the card has no button/)
    }
    const elsewhere = await world.opened('POST /elsewhere', agent, terms([requirement({ assurance: 'chat', channels: ['slack'] })]))
    await untouched(elsewhere, await press(bob, 'approve', elsewhere), /takes a yes through these alone: slack/, /wrong-channel teams: the rule takes no votes by teams/)
    await open({ payload: 'summary' })
    const hold = await world.opened('POST /other', agent, chat)
    await untouched(hold, await press(bob, 'approve', hold), /cannot be decided here/, /no button/)
    await open({ interest: { services: ['another'] } })
    await untouched(hold, await press(bob, 'deny', hold), /cannot be decided here/, /no button/)
  })

  test('another digest, another hold, a decided one, a second click', async () => {
    const hold = await world.opened('POST /exports', agent, chat)
    const other = await world.opened('POST /other', agent, chat)
    await untouched(hold, await press(bob, 'approve', hold, {}, { digest: other.action.digest }), /not what is waiting/, /wrong-digest/)
    assert.match(String((await press(bob, 'approve', hold, {}, { hold: `hold_${'a'.repeat(26)}` })).value), /not among those/)
    const click = teams.click(bob, 'approve', { hold: hold.id, digest: hold.action.digest })
    assert.match(JSON.stringify((await teams.post(hook, click)).body), /✓ Approved/)
    assert.match(JSON.stringify((await teams.post(hook, click)).body), /arrived before/)
    assert.match(JSON.stringify((await press(alice, 'approve', hold)).value), /✓ Approved/)
    assert.equal((await now(hold)).votes.length, 1)
  })

  test('who may not decide hears it alone, and it is on record', async () => {
    const hold = await world.opened('POST /exports', agent, chat)
    const message = await shown(hold)
    const before = JSON.stringify(teams.cardOf(message))
    const carol: Person = { id: '29:carol', object: '0000000c-0000-4000-8000-000000000000' }
    teams.people.set(carol.id, carol)
    await untouched(hold, await press(carol, 'approve', hold), /have not signed in to the console lately/, /no-identity teams: no login lately/)
    await links.see(whoIs(carol, ['developers']))
    await untouched(hold, await press(carol, 'deny', hold), /not among those/, /not-eligible/)
    clock.aheadMs = 61_000
    await untouched(hold, await press(bob, 'approve', hold), /have not signed in/, /no login lately/)
    assert.equal(JSON.stringify(teams.cardOf(message)), before)
  })

  test('nobody decides about their own action, as caller, owner or principal', async () => {
    for (const [text, requester] of [['POST /1', whoIs(bob, ['dba'])], ['POST /2', { ...agent, owner: whoIs(bob, []) }], ['POST /3', { ...agent, onBehalfOf: [whoIs(bob, [])] }]] as const) {
      const hold = await world.opened(text, requester, chat)
      await untouched(hold, await press(bob, 'approve', hold), /behind this action yourself/, /self-approval/)
    }
  })

  test('guests, accounts of elsewhere and whoever the chat does not know are refused', async () => {
    const hold = await world.opened('POST /exports', agent, chat)
    for (const [change, words] of [
      [{ role: 'guest' }, /Guests do not/],
      [{ role: 'anonymous' }, /Guests do not/],
      [{ principalName: 'bob_elsewhere.example#EXT#@example.onmicrosoft.com' }, /Guests do not/],
      [{ tenant: '99999999-2222-4333-8444-555555555555' }, /Only members/],
      [{ object: alice.object }, /Only members/],
    ] as const) {
      teams.people.set(bob.id, { ...bob, ...change })
      await untouched(hold, await press(bob, 'approve', hold), words, /not-eligible teams: (?:a guest|not the member)/)
    }
    teams.people.delete(bob.id)
    await untouched(hold, await press(bob, 'approve', hold), /does not say who you are/, /identity-unavailable/)
    await untouched(hold, await press(bob, 'approve', hold, { from: { id: bob.id } }), /which account of the directory/, /no-identity/)
  })

  test('another tenant and another conversation are turned away as a whole', async () => {
    const hold = await world.opened('POST /exports', agent, chat)
    const elsewhere = { tenantId: '99999999-2222-4333-8444-555555555555' }
    for (const over of [{ conversation: { id: conversation, ...elsewhere } }, { conversation: { id: conversation }, channelData: {} }, { channelData: { tenant: { id: elsewhere.tenantId } } }, { conversation: { id: '19:other@thread.tacv2', tenantId: tenant } }]) assert.equal((await refused(press(bob, 'approve', hold, over))).code, 'denied')
    assert.equal((await now(hold)).votes.length, 0)
  })

  test('a rule that asks for a reason gets one; what hides in one is refused', async () => {
    const hold = await world.opened('POST /exports', agent, terms([requirement({ assurance: 'chat' })], { askReason: true }))
    assert.match(String((await press(bob, 'approve', hold)).value), /give a reason/)
    assert.match(String((await press(bob, 'approve', hold, {}, { 'approve-reason': 'ok\u202e' })).value), /no control or invisible/)
    assert.equal((await press(bob, 'approve', hold, {}, { 'approve-reason': 'ok' })).type, 'application/vnd.microsoft.card.adaptive')
  })

  test('of two that click at one time each counts once, and one decision comes of it', async () => {
    const hold = await world.opened('POST /exports', agent, chat)
    await Promise.all([press(alice, 'approve', hold), press(bob, 'approve', hold), press(bob, 'approve', hold), press(alice, 'approve', hold)])
    const { state, votes } = await now(hold)
    assert.deepEqual([state, votes.length], ['approved', 1])
  })

  test('a click that could not be noted is not said to have been taken', async () => {
    const hold = await world.opened('POST /exports', agent, chat)
    world.journalFails = 'voted'
    assert.match(String((await press(bob, 'approve', hold)).value), /could not be confirmed/)
    links.first = async () => { throw new Refusal('store-unavailable', 'No store.') }
    assert.equal((await refused(press(bob, 'approve', hold))).code, 'store-unavailable')
  })

  test('what was changed in the store is said to be that', async () => {
    const hold = await world.opened('POST /exports', agent, chat)
    await shown(hold)
    world.tamper("update asked set asked = replace(asked, 'POST /exports', 'POST /others')")
    assert.match(String((await press(bob, 'approve', hold)).value), /does not match the digest/)
    assert.equal(world.count('voted'), 0)
  })

  test('other invokes and talk decide nothing', async () => {
    const hold = await world.opened('POST /exports', agent, chat)
    assert.equal((await teams.post(hook, teams.click(bob, 'approve', {}, { name: 'task/fetch' }))).status, 501)
    assert.equal((await teams.post(hook, teams.click(bob, 'approve', {}, { type: 'message', text: `approve ${hold.code}`, value: { verb: 'approve', hold: hold.id, digest: hold.action.digest } }))).status, 200)
    for (const value of [undefined, {}, { action: { type: 'Action.Submit', verb: 'approve', data: { hold: hold.id, digest: hold.action.digest } } }, { action: { type: 'Action.Execute', verb: 'release', data: { hold: hold.id, digest: hold.action.digest } } }, { action: { type: 'Action.Execute', verb: 'approve', data: { hold: '../x', digest: hold.action.digest } } }]) {
      assert.equal((await refused(teams.post(hook, teams.click(bob, 'approve', {}, { value })))).code, 'malformed')
    }
    assert.equal((await world.a.life.vote(hold.id, ballot(whoIs(bob, ['dba']), hold))).votes.length, 1)
  })
})
