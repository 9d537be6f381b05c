import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordPage } from '../../../src/channels/web/pages/record-page.ts'
import { action, caller } from '../../audit/audit-samples.ts'

const reasons = { evaluator: 1, rules: [{ policy: 'orders', rule: 'no-deletes', then: 'deny', at: 'orders.yaml:12', matched: true, lines: ['methods', 'paths'] }, { policy: 'orders', rule: 'cleanup', then: 'allow', at: 'orders.yaml:20', matched: false, lines: ['methods'], missed: { key: 'callers.groups', saw: '<b>agents</b>' }, reads: ['http.json.amount'] }], more: 3 }
const found = (seq: number, more: object) => ({ id: `r1/1/${seq}`, text: JSON.stringify({ v: 1, id: `r1/1/${seq}`, seq, time: '2026-01-01T12:00:00.000Z', attempt: 'try', caller, action, ...more }) })

test('the page of a record says why it was decided so, also where another record of the action has it', () => {
  const decided = found(0, { type: 'decided', decision: { verdict: 'deny', matched: [], policyVersion: 'v' }, reasons })
  const refused = found(1, { type: 'refused', code: 'denied' })
  for (const record of [decided, refused]) {
    const page = String(recordPage({ record, all: [decided, refused], receipt: false }))
    const card = /<section class="card" id="why">.*?<\/section>/s.exec(page)?.[0] ?? ''
    assert.match(card, /orders\/no-deletes<\/b> <small>orders\.yaml:12, deny<\/small><br>It matched: its methods, paths fitted\./)
    assert.match(card, /It came near: its methods fitted, its callers\.groups did not \(it saw &lt;b&gt;agents&lt;\/b&gt;\)\./)
    assert.match(card, /looks at http\.json\.amount.*3 more rules came less near.*countersign audit explain r1\/1\/0</s)
  }
  assert.doesNotMatch(String(recordPage({ record: refused, all: [refused], receipt: false })), /id="why"/)
})
