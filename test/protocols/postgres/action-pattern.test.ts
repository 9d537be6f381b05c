import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Understood } from '../../../src/protocols/postgres/action.ts'
import { patternFor } from '../../../src/protocols/postgres/action-pattern.ts'

const place = { service: 'crm', upstream: 'db', database: 'crm', role: 'app' }
const understood: Pick<Understood, 'place' | 'relations' | 'pieces' | 'types'> = { place, relations: [], pieces: [], types: [] }

/** What `UPDATE t SET a = $1` has in common with others, with this value of this type. */
const kept = (value: string, type: number): string | undefined =>
  patternFor(understood as Understood, {
    transaction: 'none', resolved: [], types: [type], pattern: { same: 'tree', text: 'UPDATE t SET a = $1', open: [1] },
    bound: { formats: [], resultFormats: [], values: [Buffer.from(value)], bytes: Buffer.from(value) },
  })?.same

const [bool, bools, int4, text, domain] = [16, 1_000, 23, 25, 16_500]

test('values of parameters are open where they are no true or false, whatever their type is called', () => {
  assert.equal(kept('1', int4), kept('2', int4))
  assert.equal(kept('on', text), kept('hold', text))
  assert.equal(kept('north', domain), kept('south', domain))
  for (const [type, one, other] of [[bool, 't', 'f'], [bools, '{t}', '{f}'], [domain, 't', 'f'], [domain, '1', '0'], [domain, 'maybe', 'true'], [0, 'yes', 'no']] as const) assert.notEqual(kept(one, type), kept(other, type), `${type} ${one}`)
})
