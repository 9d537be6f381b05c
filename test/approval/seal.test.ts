import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isHoldId, holdId, shortCode } from '../../src/approval/hold-name.ts'
import { makeSeal, Tampered } from '../../src/approval/seal.ts'
import { canonicalJson } from '../../src/lib/canonical-json.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Hold } from '../../src/model/hold.ts'
import { action, agent, caller, digestOf, terms } from './world.ts'

const key = (letter: string): Secret => new Secret(letter.repeat(32))
const hold: Hold = { id: holdId(), code: 'CS-0000', revision: 3, state: 'pending', caller: agent, action: action('x "\u2028 é'), terms: terms(), matched: [], policyVersion: 'v1', votes: [], openedAt: 1, deadline: 2 }

test('opens what it closed, also after the key was rotated', () => {
  const old = makeSeal([key('a')])
  const { entry, hold: recorded } = old.close({ ...hold, waiting: true }, { openKey: 'k', dueAt: 2 })
  const opened = makeSeal([key('b'), key('a')]).open(entry)
  assert.deepEqual(opened, { hold: { ...hold, asked: recorded.asked! }, openKey: 'k', dueAt: 2 })
  const later = old.revise({ ...opened.hold, revision: 4, state: 'approved', runBy: 9 }, { dueAt: 9 })
  assert.deepEqual(makeSeal([key('b'), key('a')]).open({ ...later, asked: entry.asked }), { hold: { ...opened.hold, revision: 4, state: 'approved', runBy: 9 }, dueAt: 9 })
  assert.deepEqual(old.renew(opened.hold, later), old.open({ ...later, asked: entry.asked }))
  assert.deepEqual(old.revise({ ...hold, waiting: true }, {}), old.revise(opened.hold, {}), 'what was asked has one name, remembered or not')
  assert.throws(() => makeSeal([key('b')]).open(entry), Tampered)
  assert.throws(() => old.open(entry, 'hold_other'), Tampered)
  assert.throws(() => makeSeal([]))
  assert.throws(() => makeSeal([new Secret('short')]))
})

test('statements, impact and drift are a part of what is sealed', () => {
  const seal = makeSeal([key('a')])
  const one = { verb: 'sql.delete', verbs: ['sql.delete'], effect: 'write' as const, resources: [], tags: [], facts: { sql: { filtered: false } } }
  const batch: Hold = { ...hold, action: { ...hold.action, verbs: ['sql.delete', 'sql.select'], parts: [one, { ...one, verb: 'sql.select', verbs: ['sql.select'] }], impact: { exactRows: 7, notes: ['counted'] } }, terms: { ...hold.terms, drift: { factor: 1.5 } } }
  const { entry, hold: recorded } = seal.close(batch, {})
  assert.deepEqual(seal.open(entry).hold, { ...batch, asked: recorded.asked! })
  assert.throws(() => seal.open({ ...entry, asked: entry.asked.replace('"exactRows":7', '"exactRows":1') }), Tampered)
})

test('any changed character of the record, and any changed column, is noticed', () => {
  const seal = makeSeal([key('a')])
  const { entry, hold: recorded } = seal.close(hold, { openKey: 'k', dueAt: 2 })
  fc.assert(
    fc.property(fc.nat(entry.sealed.length - 1), fc.integer({ min: 1, max: 90 }), (at, shift) => {
      const changed = String.fromCharCode(((entry.sealed.charCodeAt(at) - 32 + shift) % 95 + 95) % 95 + 32)
      fc.pre(changed !== entry.sealed[at] && at !== 54) // 43 base64url digits carry 258 bits: two bits of the last one say nothing
      assert.throws(() => seal.open({ ...entry, sealed: entry.sealed.slice(0, at) + changed + entry.sealed.slice(at + 1) }), Tampered)
    }),
    { numRuns: 500 },
  )
  fc.assert(
    fc.property(fc.nat(entry.asked.length - 1), fc.integer({ min: 1, max: 90 }), (at, shift) => {
      const changed = String.fromCharCode(((entry.asked.charCodeAt(at) - 32 + shift) % 95 + 95) % 95 + 32)
      fc.pre(changed !== entry.asked[at])
      assert.throws(() => seal.open({ ...entry, asked: entry.asked.slice(0, at) + changed + entry.asked.slice(at + 1) }), Tampered)
    }),
    { numRuns: 500 },
  )
  const second = seal.close({ ...hold, id: holdId() }, { openKey: 'k', dueAt: 2 })
  for (const over of [{ asked: second.entry.asked }, { asked: '' }, { sealed: second.entry.sealed }]) assert.throws(() => seal.open({ ...entry, ...over }), Tampered)
  assert.throws(() => seal.renew(recorded, second.entry), Tampered)
  assert.throws(() => seal.renew({ ...recorded, asked: second.hold.asked! }, { ...second.entry, id: recorded.id }), Tampered)
  for (const over of [{ id: holdId() }, { revision: 4 }, { state: 'approved' as const }, { openKey: 'l' }, { callerKey: 'c' }, { service: 's' }, { dueAt: 3 }]) assert.throws(() => seal.renew(recorded, { ...entry, ...over }), Tampered)
  for (const over of [{ id: holdId() }, { revision: 4 }, { state: 'approved' as const }, { openKey: 'l' }, { callerKey: 'c' }, { service: 's' }, { dueAt: 3 }]) assert.throws(() => seal.open({ ...entry, ...over }), Tampered)
})

test('a result opens for its hold and caller only, and shows nothing of itself', () => {
  const seal = makeSeal([key('a')])
  const sealed = seal.closeAttachment(hold, 'result', Buffer.from('the answer'))
  assert.ok(!Buffer.from(sealed).includes('answer'))
  assert.equal(Buffer.from(makeSeal([key('b'), key('a')]).openAttachment(hold, 'result', sealed)).toString(), 'the answer')
  for (const other of [{ ...hold, id: holdId() }, { ...hold, caller: caller('mallory') }, { ...hold, action: action('y') }]) assert.throws(() => seal.openAttachment(other, 'result', sealed), Tampered)
  for (const at of sealed.keys()) {
    const changed = Uint8Array.from(sealed)
    changed[at]! ^= 1
    assert.throws(() => seal.openAttachment(hold, 'result', changed), Tampered)
  }
  assert.throws(() => seal.openAttachment(hold, 'result', new Uint8Array(5)), Tampered)
})

test('names: unguessable ids, speakable codes', () => {
  const ids = new Set(Array.from({ length: 500 }, holdId))
  assert.equal(ids.size, 500)
  assert.ok([...ids].every(isHoldId))
  for (const text of ['hold_', 'hold_../..', `${holdId()}x`, `hold_${'A'.repeat(26)}`]) assert.ok(!isHoldId(text))
  assert.equal(shortCode(digestOf('a')), shortCode(digestOf('a')))
  assert.ok(new Set(Array.from({ length: 200 }, (_, i) => shortCode(digestOf(String(i))))).size > 190)
})

test('canonical JSON: one text a value, none for what JSON cannot say', () => {
  assert.equal(canonicalJson({ b: 1, a: [true, null, 'é'], c: undefined }), '{"a":[true,null,"é"],"b":1}')
  fc.assert(fc.property(fc.jsonValue(), (value) => assert.deepEqual(JSON.parse(canonicalJson(value)), JSON.parse(JSON.stringify(value)))), { numRuns: 300 })
  for (const value of [Number.NaN, Infinity, [undefined], () => 1, 1n, new Uint8Array(2), new Map()]) assert.throws(() => canonicalJson(value))
})
