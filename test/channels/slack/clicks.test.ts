import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, test } from 'node:test'
import type { Block } from '../../../src/channels/slack/blocks.ts'
import { Secret } from '../../../src/lib/secret.ts'
import type { Hold } from '../../../src/model/hold.ts'
import { Refusal } from '../../../src/model/refusal.ts'
import { agent, alice, bob, carol, caller, requirement, terms } from '../../approval/world.ts'
import { until } from '../../support/until.ts'
import { chatTerms, hour, startDeskWorld } from './desk-world.ts'
import { buttonOf, clickOf, signed } from './fake-slack.ts'

type World = Awaited<ReturnType<typeof startDeskWorld>>

const wordsOf = (blocks: readonly Block[]): string => JSON.stringify(blocks)
const whispered = async ({ slack }: World, count = 1) => {
  await until('an answer', () => slack.whispers.length >= count)
  return slack.whispers.at(-1)!
}
const refusals = ({ noted, world }: World) => [...noted, ...world.events].flatMap((event) => (event.type === 'vote-refused' ? [event] : []))

describe('clicks in slack', () => {
  test('one click approves, by the person behind the account and with what was shown', async () => {
    await using desk = await startDeskWorld()
    const hold = await desk.opened()
    const reply = await desk.click({ user: 'U0BOB' }, await desk.show(hold), 'Approve')
    assert.deepEqual(reply, { status: 200 })
    assert.match(desk.desks[0]?.desk.state().get('approvals')?.lastClickAt ?? '', /^\d{4}-/)
    const { votes, state } = await desk.world.a.life.show(hold.id, carol)
    assert.equal(state, 'approved')
    const [vote] = votes
    assert.deepEqual([vote?.by.subject, vote?.by.groups, vote?.channel, vote?.assurance, vote?.shown?.slice(0, 15)], ['bob', ['dba'], 'slack', 'chat', 'slack/1 sha256:'])
    assert.deepEqual([desk.slack.whispers, desk.slack.refused, refusals(desk)], [[], [], []])
  })

  test('a no asks for a reason in a window, which may be empty, and the requester reads it', async () => {
    await using desk = await startDeskWorld()
    for (const reason of ['Not during the audit.', null]) {
      const hold = await desk.opened(`POST /${reason}`)
      await desk.click({ user: 'U0BOB' }, await desk.show(hold), 'Deny')
      const { view } = await until('the window', () => desk.slack.views.at(-1)?.view.private_metadata?.includes(hold.id) && desk.slack.views.at(-1))
      assert.equal(await desk.stateOf(hold), 'pending')
      assert.deepEqual(await desk.submit({ user: 'U0BOB' }, view, reason), { status: 200 })
      assert.equal(await desk.stateOf(hold), 'denied')
      assert.equal((await desk.world.a.life.show(hold.id, carol)).votes[0]?.reason, reason ?? undefined)
    }
  })

  test('a message about what was changed in the store says so once somebody clicks, and has no button any more', async () => {
    await using desk = await startDeskWorld()
    const hold = await desk.opened()
    const message = await desk.show(hold)
    desk.world.tamper("update asked set asked = replace(asked, 'POST /exports', 'POST /others')")
    assert.deepEqual(await desk.click({ user: 'U0BOB' }, message, 'Approve'), { status: 200 })
    assert.match(wordsOf((await whispered(desk)).blocks), /does not match the digest/)
    await until('the message to say so', () => wordsOf(message.blocks).includes(`Not to be trusted: ${hold.code}`))
    assert.doesNotMatch(wordsOf(message.blocks), /countersign\.(approve|deny)/)
    assert.deepEqual([desk.world.count('voted'), desk.slack.refused], [0, []])
  })

  test('where the rule asks for a reason, a yes has a window as well, and no way around it', async () => {
    await using desk = await startDeskWorld()
    const hold = await desk.opened('POST /reason', chatTerms({ askReason: true }))
    await desk.click({ user: 'U0BOB' }, await desk.show(hold), 'Approve')
    const { view } = await until('the window', () => desk.slack.views[0])
    assert.match(wordsOf(view.blocks), /POST \/reason/)
    assert.equal(view.blocks.find((block) => block.type === 'input')?.optional, false)
    for (const empty of ['', '   ', null]) assert.equal(((await desk.submit({ user: 'U0BOB' }, view, empty)).body as { response_action: string }).response_action, 'errors')
    assert.equal(((await desk.submit({ user: 'U0BOB' }, view, 'hidden \u202e words')).body as { response_action: string }).response_action, 'errors')
    assert.equal(await desk.stateOf(hold), 'pending')
    await desk.submit({ user: 'U0BOB' }, view, 'Agreed with Carol.')
    assert.equal(await desk.stateOf(hold), 'approved')
  })

  test('a window of one person, sent by another, is the other’s decision', async () => {
    await using desk = await startDeskWorld()
    const hold = await desk.opened()
    await desk.click({ user: 'U0BOB' }, await desk.show(hold), 'Deny')
    const { view } = await until('the window', () => desk.slack.views[0])
    const reply = await desk.submit({ user: 'U0STRANGER' }, view, 'x')
    assert.match(JSON.stringify(reply.body ?? ''), /"response_action":"update"/)
    assert.equal(await desk.stateOf(hold), 'pending')
  })

  test('a double click and two approvers at one moment: each person counts once', async () => {
    await using desk = await startDeskWorld()
    const hold = await desk.opened('POST /two', terms([requirement({ assurance: 'chat', count: 2 })]))
    const message = await desk.show(hold)
    await Promise.all([desk.click({ user: 'U0BOB' }, message, 'Approve'), desk.click({ user: 'U0BOB' }, message, 'Approve')])
    assert.equal((await desk.world.a.life.show(hold.id, carol)).votes.length, 1)
    await Promise.all([desk.click({ user: 'U0ALICE' }, message, 'Approve'), desk.click({ user: 'U0CAROL' }, message, 'Approve')])
    const { votes, state } = await desk.world.a.life.show(hold.id, carol)
    assert.deepEqual([votes.length, state], [2, 'approved'])
  })

  test('the very same message again does nothing, and is answered alike', async () => {
    await using desk = await startDeskWorld()
    const hold = await desk.opened('POST /two', terms([requirement({ assurance: 'chat', count: 2 })]))
    const message = await desk.show(hold)
    const once = signed(clickOf({ user: 'U0BOB' }, message, buttonOf(message, 'Approve')))
    assert.deepEqual([await desk.post(once), await desk.post(once)], [{ status: 200 }, { status: 200 }])
    assert.equal((await desk.world.a.life.show(hold.id, carol)).votes.length, 1)
    assert.deepEqual([desk.slack.whispers, refusals(desk)], [[], []])
  })

  test('an old card is refused, and drawn anew where it is the same action', async () => {
    await using desk = await startDeskWorld()
    const hold = await desk.opened()
    const message = await desk.show(hold)
    await desk.world.a.life.vote(hold.id, { verdict: 'deny', digest: hold.action.digest, by: bob, channel: 'api', assurance: 'console' })
    await desk.click({ user: 'U0CAROL' }, message, 'Approve')
    assert.match(wordsOf((await whispered(desk)).blocks), /decided already: denied/)
    await until('the message to be drawn anew', () => message.changes === 1)
    assert.match(wordsOf(message.blocks), /Denied: POST/)
    assert.equal(refusals(desk).at(-1)?.refusal, 'already-settled')
  })

  test('where holds of another service are decided, this one is not, and nothing more is said of it', async () => {
    await using desk = await startDeskWorld()
    const hold = await desk.opened('POST /secret')
    const card = structuredClone(await desk.show(hold))
    Object.assign(desk.options, { interest: { services: ['ledger'] } })
    const elsewhere = await desk.show(hold)
    assert.throws(() => buttonOf(elsewhere, 'Deny'))
    for (const button of ['Approve', 'Deny']) await desk.post(signed(clickOf({ user: 'U0BOB' }, card, buttonOf(card, button))))
    assert.match(wordsOf((await whispered(desk, 2)).blocks), /does not hear/)
    assert.equal(await desk.stateOf(hold), 'pending')
    await desk.world.a.life.withdraw(hold.id, agent)
    const before = desk.slack.calls.filter((method) => method === 'chat.update').length
    await desk.post(signed(clickOf({ user: 'U0BOB' }, card, buttonOf(card, 'Deny'))))
    await whispered(desk, 3)
    await desk.desks[0]?.desk[Symbol.asyncDispose]() // all answers have been given
    assert.deepEqual([desk.slack.views, desk.slack.calls.filter((method) => method === 'chat.update').length], [[], before])
  })

  test('a button with another digest decides nothing', async () => {
    await using desk = await startDeskWorld()
    const [hold, other] = [await desk.opened('POST /a'), await desk.opened('POST /b')]
    const message = await desk.show(hold)
    const forged = { ...buttonOf(message, 'Approve'), value: `${hold.id}.${other.action.digest}` }
    await desk.post(signed(clickOf({ user: 'U0BOB' }, message, forged)))
    assert.match(wordsOf((await whispered(desk)).blocks), /not what is waiting/)
    assert.deepEqual([await desk.stateOf(hold), await desk.stateOf(other), refusals(desk).at(-1)?.refusal], ['pending', 'pending', 'wrong-digest'])
  })

  test('a click after the end is too late', async () => {
    await using desk = await startDeskWorld()
    const hold = await desk.opened()
    const message = await desk.show(hold)
    desk.world.skewMs += 120_000
    desk.time.skewMs += 120_000
    await desk.click({ user: 'U0BOB' }, message, 'Approve')
    assert.match(wordsOf((await whispered(desk)).blocks), /over|expired/)
  })
})

describe('who clicks in slack', () => {
  const refusedFor = async (desk: World, hold: Hold, who: { user: string; team?: string }, button: 'Approve' | 'Deny' = 'Approve') => {
    const before = desk.slack.whispers.length
    const reply = await desk.click(who, desk.slack.messages.at(-1)!, button)
    assert.equal(reply.status, 200)
    const whisper = await whispered(desk, before + 1)
    assert.deepEqual([whisper.user, whisper.channel], [who.user, 'C0APPROVALS'])
    const { votes, state } = await desk.world.a.life.show(hold.id, carol)
    assert.deepEqual([votes, state, desk.slack.views], [[], 'pending', []])
    return { words: wordsOf(whisper.blocks), record: refusals(desk).at(-1) }
  }

  test('an account that nobody said is theirs gets a way to say so, once, and nothing else', async () => {
    await using desk = await startDeskWorld()
    const hold = await desk.opened()
    const message = await desk.show(hold)
    desk.slack.users.set('U0NEW', { profile: { email: 'bob@corp.test' } })
    const { words, record } = await refusedFor(desk, hold, { user: 'U0NEW' })
    assert.deepEqual([record?.refusal, record?.by.issuer, record?.by.subject, record?.hold, record?.digest], ['no-identity', 'slack:T0HOME', 'U0NEW', hold.id, hold.action.digest])
    const [, ticket = ''] = /https:\/\/approvals\.example\.org\/links\/new\/([\w-]+)/.exec(words) ?? []
    const read = desk.tickets.read(ticket)
    assert.deepEqual(read?.account, { chat: 'slack', workspace: 'T0HOME', user: 'U0NEW' })
    const dave = caller('dave', { groups: ['dba'] })
    await desk.links.see(dave)
    await desk.links.link(read!.account, dave, hour)
    await desk.click({ user: 'U0NEW' }, message, 'Approve')
    assert.equal((await desk.world.a.life.show(hold.id, carol)).votes[0]?.by.subject, 'dave')
  })

  test('being in the channel gives no rights', async () => {
    await using desk = await startDeskWorld()
    const hold = await desk.opened()
    await desk.show(hold)
    const erin = caller('erin', { groups: ['developers'] })
    desk.slack.users.set('U0ERIN', {})
    await desk.links.see(erin)
    await desk.links.link({ chat: 'slack', workspace: 'T0HOME', user: 'U0ERIN' }, erin, hour)
    for (const button of ['Approve', 'Deny'] as const) {
      const { words, record } = await refusedFor(desk, hold, { user: 'U0ERIN' }, button)
      assert.match(words, /not among those/)
      assert.deepEqual([record?.refusal, record?.by.subject], ['not-eligible', 'erin'])
    }
  })

  test('nobody decides on their own action', async () => {
    await using desk = await startDeskWorld()
    const hold = await desk.world.opened('POST /own', { ...agent, onBehalfOf: [alice] }, chatTerms())
    await desk.show(hold)
    const { words, record } = await refusedFor(desk, hold, { user: 'U0ALICE' })
    assert.match(words, /behind this action yourself/)
    assert.equal(record?.refusal, 'self-approval')
  })

  test('guests, programs, those who left, and other companies decide nothing', async () => {
    await using desk = await startDeskWorld()
    const hold = await desk.opened()
    await desk.show(hold)
    for (const flag of ['is_restricted', 'is_ultra_restricted', 'is_stranger', 'is_bot', 'deleted']) {
      desk.slack.users.set('U0BOB', { [flag]: true })
      const { record } = await refusedFor(desk, hold, { user: 'U0BOB' })
      assert.deepEqual([record?.refusal, record?.cause], ['not-eligible', `slack: ${flag} account`])
    }
    desk.slack.users.set('U0BOB', {})
    assert.equal((await refusedFor(desk, hold, { user: 'U0BOB', team: 'T0EVIL' })).record?.refusal, 'not-eligible')
  })

  test('groups are those of the last login, and not of long ago', async () => {
    await using desk = await startDeskWorld()
    desk.world.skewMs = 0
    const hold = await desk.opened('POST /old', chatTerms({ withinMs: 200 * hour }))
    await desk.show(hold)
    desk.time.skewMs += 25 * hour
    const { words, record } = await refusedFor(desk, hold, { user: 'U0BOB' })
    assert.match(words, /Sign in to the console once/)
    assert.equal(record?.refusal, 'no-identity')
    await desk.links.see({ ...bob, groups: ['developers'] })
    assert.match((await refusedFor(desk, hold, { user: 'U0BOB' })).words, /not among those/)
    await desk.links.see(bob)
    await desk.click({ user: 'U0BOB' }, desk.slack.messages.at(-1)!, 'Approve')
    assert.equal(await desk.stateOf(hold), 'approved')
  })

  test('a link that has expired is said anew', async () => {
    await using desk = await startDeskWorld()
    const hold = await desk.opened('POST /link', chatTerms({ withinMs: 2_000 * hour }))
    await desk.show(hold)
    desk.time.skewMs += 31 * 24 * hour
    await desk.links.see(bob)
    assert.match((await refusedFor(desk, hold, { user: 'U0BOB' })).words, /does not know who you are/)
  })
})

describe('what a click in slack is not enough for', () => {
  test('a no is enough, whatever a yes would need', async () => {
    await using desk = await startDeskWorld({ payload: 'summary' })
    const hold = await desk.opened('POST /no', terms([requirement({ assurance: 'passkey' })]))
    await desk.click({ user: 'U0BOB' }, await desk.show(hold), 'Deny')
    const { view } = await until('the window', () => desk.slack.views[0])
    assert.match(wordsOf(view.blocks), /POST \/no/, 'what is denied is shown to the one who may')
    await desk.submit({ user: 'U0BOB' }, view, 'No.')
    assert.equal(await desk.stateOf(hold), 'denied')
  })

  for (const [name, text, needs, over, refusal = 'not-eligible'] of [
    ['a rule that wants a login at the console', 'POST /console', terms([requirement({ assurance: 'console' })]), {}],
    ['a rule that takes a yes elsewhere', 'POST /elsewhere', terms([requirement({ assurance: 'chat', channels: ['teams', 'console'] })]), {}, 'wrong-channel'],
    ['a text that is not shown whole', `POST /${'x'.repeat(3_000)}`, chatTerms(), {}],
    ['a channel that shows no text', 'POST /hidden', chatTerms(), { payload: 'summary' as const }],
  ] as const)
    test(name, async () => {
      await using desk = await startDeskWorld(over)
      const hold = await desk.opened(text, needs)
      const message = await desk.show(hold)
      assert.throws(() => buttonOf(message, 'Approve'))
      const forged = { action_id: 'countersign.approve', value: `${hold.id}.${hold.action.digest}` }
      await desk.post(signed(clickOf({ user: 'U0BOB' }, message, forged)))
      assert.match(wordsOf((await whispered(desk)).blocks), new RegExp(`https://approvals.example.org/holds/${hold.id}`))
      assert.deepEqual([await desk.stateOf(hold), refusals(desk).at(-1)?.refusal], ['pending', refusal])
    })
})

describe('what comes to the address of slack’s clicks', () => {
  const unsigned: readonly (readonly [string, (headers: Record<string, string>, body: string) => { headers: Record<string, string>; body: string }])[] = [
    ['no signature', ({ 'x-slack-signature': _gone, ...headers }, body) => ({ headers, body })],
    ['zeros', (headers, body) => ({ headers: { ...headers, 'x-slack-signature': `v0=${'0'.repeat(64)}` }, body })],
    ['another version', (headers, body) => ({ headers: { ...headers, 'x-slack-signature': headers['x-slack-signature']!.replace('v0', 'v1') }, body })],
    ['half of it', (headers, body) => ({ headers: { ...headers, 'x-slack-signature': headers['x-slack-signature']!.slice(0, 40) }, body })],
    ['in capitals', (headers, body) => ({ headers: { ...headers, 'x-slack-signature': headers['x-slack-signature']!.toUpperCase().replace('V0', 'v0') }, body })],
    ['no time', ({ 'x-slack-request-timestamp': _gone, ...headers }, body) => ({ headers, body })],
    ['another time', (headers, body) => ({ headers: { ...headers, 'x-slack-request-timestamp': `${Number(headers['x-slack-request-timestamp']) + 1}` }, body })],
    ['a body with one more byte', (headers, body) => ({ headers, body: `${body} ` })],
  ]

  test('only what Slack signed, lately, is looked at', async () => {
    await using desk = await startDeskWorld()
    const hold = await desk.opened()
    const message = await desk.show(hold)
    const payload = clickOf({ user: 'U0BOB' }, message, buttonOf(message, 'Approve'))
    const refused = (given: Promise<unknown>, name: string) => assert.rejects(given, (error) => error instanceof Refusal && error.code === 'bad-identity', name)
    for (const [name, change] of unsigned) {
      const { headers, body } = signed(payload)
      await refused(desk.post(change({ ...headers }, body)), name)
    }
    await refused(desk.post(signed(payload, { secret: 'other' })), 'another secret')
    for (const at of [-360_000, 360_000]) await refused(desk.post(signed(payload, { at: Date.now() + at })), `${at} ms`)
    await refused(desk.post({ headers: signed(payload, { secret: 'other' }).headers, body: '{{{' }), 'what is not signed is not read')
    assert.equal(await desk.stateOf(hold), 'pending')
    assert.deepEqual(desk.slack.calls.filter((name) => name === 'users.info'), [])
  })

  test('old and new secret are taken while it is changed', async () => {
    await using desk = await startDeskWorld({ interactivity: { by: 'http', signingSecrets: [new Secret('n3w'), new Secret('s1gning')] } })
    const hold = await desk.opened('POST /two', terms([requirement({ assurance: 'chat', count: 2 })]))
    const message = await desk.show(hold)
    await desk.post(signed(clickOf({ user: 'U0BOB' }, message, buttonOf(message, 'Approve')), { secret: 'n3w' }))
    await desk.post(signed(clickOf({ user: 'U0CAROL' }, message, buttonOf(message, 'Approve')), { secret: 's1gning' }))
    assert.equal(await desk.stateOf(hold), 'approved')
  })

  test('what is signed and strange does no harm', async () => {
    await using desk = await startDeskWorld()
    const hold = await desk.opened()
    const message = await desk.show(hold)
    const button = buttonOf(message, 'Approve')
    const click = clickOf({ user: 'U0BOB' }, message, button)
    for (const payload of [{ type: 'shortcut' }, { ...click, actions: [] }, { ...click, user: undefined }, { ...click, channel: { id: 'C0OTHER' } }, clickOf({ user: 'U0BOB' }, message, { ...button, value: 'x' }), clickOf({ user: 'U0BOB' }, message, { action_id: 'other', value: button.value! })]) assert.deepEqual(await desk.post(signed(payload)), { status: 200 })
    assert.deepEqual(await desk.post(signed(clickOf({ user: 'U0BOB' }, { ...message, channel: 'C0OTHER' }, button))), { status: 200 }, 'a conversation of others')
    for (const body of ['', 'payload=', 'payload=%7B', 'payload=[]', 'payload=null', 'payload={}&payload={}']) {
      const stamp = String(Math.floor(Date.now() / 1_000))
      const headers = { 'content-type': 'application/x-www-form-urlencoded', 'x-slack-request-timestamp': stamp, 'x-slack-signature': `v0=${createHmac('sha256', 's1gning').update(`v0:${stamp}:${body}`).digest('hex')}` }
      await assert.rejects(desk.post({ headers, body }), (error) => error instanceof Refusal && error.code === 'malformed', body)
    }
    assert.equal(await desk.stateOf(hold), 'pending')
  })

  test('what cannot be decided now is not acknowledged, and can be clicked again', async () => {
    await using desk = await startDeskWorld()
    const hold = await desk.opened()
    const message = await desk.show(hold)
    const one = signed(clickOf({ user: 'U0BOB' }, message, buttonOf(message, 'Approve')))
    desk.fault.links = true
    await assert.rejects(desk.post(one), (error) => error instanceof Refusal && error.code === 'store-unavailable')
    desk.fault.links = false
    desk.slack.answers.set('users.info', ['internal_error'])
    await assert.rejects(desk.post(one), (error) => error instanceof Refusal && error.code === 'identity-unavailable')
    desk.world.journalFails = 'voted'
    await assert.rejects(desk.post(one))
    desk.world.journalFails = undefined
    assert.equal((await desk.post(one)).status, 200)
    assert.equal((await desk.world.a.life.show(hold.id, carol)).votes.length, 1)
  })
})
