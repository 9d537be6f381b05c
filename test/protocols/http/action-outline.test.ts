import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { caseAction } from '../../../src/cli/case-action.ts'

const outline = (path: string, given: { readonly body?: string; readonly headers?: Readonly<Record<string, string>>; readonly method?: string } = {}): { readonly outline: string | undefined; readonly text: string } => {
  const made = caseAction('app', { method: 'POST', path, ...given }, () => [])
  assert.ok(typeof made !== 'string', String(made))
  return made as { outline: string | undefined; text: string }
}

describe('requests without their values', () => {
  test('names stay; texts and numbers of a JSON body, values of the query and parts of the path that are ids go', () => {
    const body = JSON.stringify({ password: 'hunter2', id: 1, list: ['S3CRET', { deep: 'S3CRET' }], yes: true, none: null, empty: {} })
    const made = outline('/users/u-1234567890123/orders?name=S3CRET&name=b', { body, headers: { 'content-type': 'application/json', 'x-customer': 'S3CRET' } })
    assert.match(made.text, /hunter2/)
    assert.doesNotMatch(made.outline ?? 'hunter2', /hunter2|S3CRET|1234567890123/)
    assert.match(made.outline ?? '', /^POST \/users\/•••\/orders\?name=•••&name=•••\n/)
    assert.match(made.outline ?? '', /"password": "•••",\n {2}"id": •••,\n {2}"list": \[\n {4}"•••",\n {4}\{\n {6}"deep": "•••"\n {4}\}\n {2}\],\n {2}"yes": true,\n {2}"none": null,\n {2}"empty": \{\}/)
  })

  test('of a path only words and versions stay, however short or well formed the rest is', () => {
    for (const path of ['/phones/+4915112345678', '/cards/4111.1111.1111.1111', '/u/john.doe.1985', '/hosts/10.1.2.3', '/otp/a1b2c3', '/coupons/SAVE20', '/reset/hunter2', '/users/(id=7,name=smith)', '/items/7;owner=smith', '/items/x;owner=smith', '/o/Customers(4711)', '/me/12345.json', '/v/v4111111111111111', '/bank/DE89', '/to/alice@example.org', '/to/M%C3%BCller', `/k/${'a'.repeat(41)}`, '/t/~smith', '/t/$smith'])
      assert.match(outline(path).outline ?? '', /^POST \/[a-z]+\/•••\n/, path)
    assert.match(outline('/api/v2/purchase-orders/7/line_items/').outline ?? '', /^POST \/api\/v2\/purchase-orders\/•••\/line_items\/\n/)
  })

  test('a form keeps its names, and any other body is hidden whole', () => {
    assert.match(outline('/x', { body: 'card=4111111111111111&note=S3CRET', headers: { 'content-type': 'application/x-www-form-urlencoded' } }).outline ?? '', /\n\ncard=•••\nnote=•••$/)
    assert.match(outline('/x', { body: 'S3CRET', headers: { 'content-type': 'text/plain' } }).outline ?? '', /\n\n•••$/)
  })

  test('what has no values is the text itself', () => {
    const made = outline('/caches/flush', { body: '{"all":true}', headers: { 'content-type': 'application/json' } })
    assert.equal(made.outline, made.text)
  })
})
