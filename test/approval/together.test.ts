import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whyAlone } from '../../src/approval/together.ts'
import type { Action } from '../../src/model/action.ts'
import type { Terms } from '../../src/model/decision.ts'
import type { Hold } from '../../src/model/hold.ts'
import { combineTerms } from '../../src/policy/terms.ts'
import { action, ballot, bob, carol, makeWorld, refused, requirement, terms } from './world.ts'

const hold = (over: Partial<Action> = {}, needs: Partial<Terms> = {}, more: Partial<Hold> = {}): Hold => ({ id: 'hold_1', code: 'CS-7F3K', action: action('POST /exports', over), terms: terms([requirement()], needs), marks: [], ...more }) as unknown as Hold

const statement = (impact: Action['impact'], over: Partial<Action> = {}): Partial<Action> => ({ protocol: 'postgres', verb: 'sql.delete', ...(impact === undefined ? {} : { impact }), ...over })

test('what deserves a look of its own is none of several, and what is dull may be', () => {
  assert.equal(whyAlone(hold(), bob), undefined)
  assert.equal(whyAlone(hold(statement({ exactRows: 100, unfiltered: false, notes: [] })), bob), undefined)
  assert.equal(whyAlone(hold(statement({ estimatedRows: 3, notes: [] })), bob), undefined)
  const read: Partial<Action> = { protocol: 'postgres', verb: 'sql.select', effect: 'read' }
  assert.equal(whyAlone(hold(read), bob), undefined)

  const cases: readonly (readonly [Hold, RegExp])[] = [
    [hold({}, { together: false }), /the rule says so/],
    [hold({}, { irreversible: true }), /cannot be undone/],
    [hold({}, { requirements: [requirement({ assurance: 'passkey' })] }), /passkey/],
    [hold({}, { requirements: [requirement(), requirement({ groups: ['security'] }), requirement({ freshLoginMs: 60_000 })] }), /fresh login/],
    [hold({ textCut: true }), /than can be shown/],
    [hold(statement({ exactRows: 1, unfiltered: true, notes: [] })), /every row/],
    [hold(statement({ exactRows: 101, notes: [] })), /more than 100 rows/],
    [hold(statement({ notes: [] })), /nobody can say/],
    [hold(statement(undefined)), /nobody can say/],
    [hold(statement({ exactRows: 1, notes: [] }, { parts: [] })), /several statements/],
    [hold({ text: 'POST /a\u202eb' }), /mislead/],
    [hold({ text: `POST /exports${' '.repeat(60)}?all=true` }), /mislead/],
    [hold({ text: 'p\u0430ypal' }), /mislead/],
    [hold({ text: `POST /exports\n\n${'x'.repeat(2_000)}` }), /long/],
    [hold({ text: 'x\ny\n'.repeat(21) }), /long/],
    [hold({}, {}, { marks: [{ what: 'broke-glass', at: 1, by: carol, reason: 'x', skipped: { groups: [], users: [] } }] }), /broke the glass/],
    [hold({}, {}, { history: { alike: {}, others: {}, complete: true, denied: { id: 'hold_0', code: 'CS-0000', by: carol, at: 1 } } }), /said no to the same before \(CS-0000\)/],
  ]
  for (const [one, why] of cases) assert.match(whyAlone(one, bob) ?? 'nothing', why)
})

test('of several rules one is enough to keep it by itself', () => {
  const rule = { requirements: [requirement()], withinMs: 1, runWithinMs: 1, askReason: false, run: 'attached', drift: undefined, grant: undefined, irreversible: false, breakGlass: undefined } as const
  assert.equal(combineTerms([{ ...rule, together: true }, { ...rule, together: false }]).together, false)
  assert.equal('together' in combineTerms([{ ...rule, together: true }]), false)
})

test('each is a vote by itself; what is left out stays as it was, on record, and a no takes it along', async () => {
  await using world = await makeWorld()
  const [dull, grave] = [await world.opened('POST /a'), await world.opened('POST /b', undefined, terms([requirement()], { irreversible: true }))]
  const among = { together: 20 }
  const voted = await world.a.life.vote(dull.id, ballot(bob, dull, among))
  assert.deepEqual([voted.state, voted.votes[0]?.together], ['approved', 20])
  const refusal = await refused(world.a.life.vote(grave.id, ballot(bob, grave, among)))
  assert.deepEqual([refusal.code, refusal.message], ['not-together', 'This is looked at by itself: it cannot be undone. It was left out, and your vote changed nothing. Decide it on its own.'])
  const records = world.events.filter(({ type }) => type === 'voted' || type === 'vote-refused').map((event) => (event.type === 'voted' ? ['voted', event.digest, event.vote.together] : event.type === 'vote-refused' ? ['refused', event.digest, event.refusal] : []))
  assert.deepEqual(records, [['voted', dull.action.digest, 20], ['refused', grave.action.digest, 'not-together']])
  assert.deepEqual((await world.a.life.show(grave.id, bob)).votes, [])
  assert.equal((await world.a.life.vote(grave.id, ballot(bob, grave, { ...among, verdict: 'deny' }))).state, 'denied')
})

test('what was denied before does not come back in a crowd, by whatever make-up', async () => {
  await using world = await makeWorld()
  const first = await world.opened('POST /exports {"all":true}')
  await world.a.life.vote(first.id, ballot(bob, first, { verdict: 'deny', reason: 'no' }))
  const again = await world.opened('POST /exports {"all": true, "please": 1}')
  const refusal = await refused(world.a.life.vote(again.id, ballot(bob, again, { together: 2 })))
  assert.equal(refusal.code, 'not-together')
  assert.match(refusal.message, new RegExp(`said no to the same before \\(${first.code}\\)`))
  assert.equal((await world.a.life.vote(again.id, ballot(bob, again))).state, 'approved')
})
