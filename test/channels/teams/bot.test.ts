import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeTeamsBot } from '../../../src/channels/teams/bot.ts'
import { Busy } from '../../../src/lib/receiver.ts'
import type { Hold } from '../../../src/model/hold.ts'
import { silent } from '../web/hold-desk.ts'
import { textsOf } from './card-rules.ts'
import { startTeams, type FakeTeams } from './fake-teams.ts'
import { held } from './holds.ts'
import { bob } from '../../approval/world.ts'

const make = (teams: FakeTeams) => {
  const channel = makeTeamsBot(teams.options(), () => 'https://approvals.example.org', silent)
  const show = (hold: Hold, memory: string | undefined, occasion: Parameters<typeof channel.show>[0]['occasion'] = 'change') => channel.show({ hold, occasion, memory }, new AbortController().signal)
  return { channel, show }
}
const stateOf = (teams: FakeTeams, message: string): string => textsOf(teams.cardOf(message)).find(({ where }) => where === 'TextRun.text')?.text ?? ''

describe('teams bot', () => {
  test('one message, changed until the result stands in it', async () => {
    await using teams = await startTeams()
    const { show } = make(teams)
    const memory = await show(held(), undefined)
    assert.ok(memory !== undefined)
    const { activity: message } = JSON.parse(memory) as { activity: string }
    assert.ok(teams.buttonOf(message, 'approve') && teams.buttonOf(message, 'deny'))
    for (const [next, sign] of [['approved', '✓ Approved'], ['running', '▸ Running'], ['executed', '✓ Executed']] as const) {
      assert.equal(await show(held({ state: next }), memory), memory)
      assert.equal(stateOf(teams, message), sign)
      assert.equal(teams.buttonOf(message, 'deny'), undefined)
    }
    assert.equal(teams.messages.size, 1)
    assert.equal(teams.state.tokensGiven, 1)
    assert.deepEqual(teams.wrong, [])
    assert.equal(await show(held({ state: 'denied' }), undefined), undefined)
  })

  test('what changes nothing on the card is said beside it', async () => {
    await using teams = await startTeams()
    const { show } = make(teams)
    const memory = await show(held(), undefined) ?? ''
    const message = teams.messages.get((JSON.parse(memory) as { activity: string }).activity)
    await show(held(), memory, 'reminder')
    await show(held({ marks: [{ what: 'handed-over', at: 1, by: bob, to: { group: 'security' } }] }), memory, 'handed-over')
    assert.deepEqual(message?.replies.map(({ text }) => text), ['CS-7F3K: Nobody has decided, and half of the time is over.', 'CS-7F3K: bob asks security to look at it.'])
    assert.match(JSON.stringify(message?.activity), /bob asks security to look at it/)
  })

  test('a message that somebody has deleted is posted anew while the hold waits, and missed by nobody afterwards', async () => {
    await using teams = await startTeams()
    const { show } = make(teams)
    const memory = await show(held(), undefined) ?? ''
    teams.messages.clear()
    const again = await show(held({ revision: 2 }), memory) ?? ''
    assert.equal(teams.messages.size, 1)
    teams.messages.clear()
    assert.equal(await show(held({ state: 'denied' }), again), again)
    assert.equal(teams.messages.size, 0)
  })

  test('a token that is not good any more is asked for anew; who asks for time gets it; failures fail', async () => {
    await using teams = await startTeams()
    const { show } = make(teams)
    await show(held(), undefined)
    teams.tokens.clear()
    await assert.rejects(show(held(), undefined), /HTTP 401/)
    assert.ok(await show(held(), undefined))
    assert.equal(teams.state.tokensGiven, 2)
    teams.answers.push([429, { 'retry-after': '7' }])
    await assert.rejects(show(held(), undefined), (error) => error instanceof Busy && error.retryAfterMs === 7_000)
    teams.state.down = true
    await assert.rejects(show(held(), undefined), /HTTP 500/)
    assert.doesNotMatch(JSON.stringify(teams.sent), /a-secret-of-the-bot/)
  })
})
