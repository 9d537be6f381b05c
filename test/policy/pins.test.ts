import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseStrictJson } from '../../src/lib/strict-json.ts'
import { agent, http, load, policy, problemsOf, sql } from './world.ts'

const hold = (name: string, lines: string, approval = 'from: { groups: [oncall] }, grant: { times: 5, within: 1h }'): string => `- name: ${name}\n  then: hold\n${lines.split('\n').map((line) => `  ${line}`).join('\n')}\n  approval: { ${approval} }`

const pinnedBy = (rules: string, action = http('POST', '/v1/orders/1001/refund', { json: { amount: 5, to: 'x' } })) => load(policy(rules)).pinned(agent, action, 0)

describe('what rules keep of an action for a grant', () => {
  test('a star of a path may be another segment, all else of a path stays', () => {
    const paths = (list: string, target = '/v1/orders/1001/refund'): string | undefined => pinnedBy(hold('r', `paths: [${list}]`), http('POST', target))?.path
    assert.equal(paths('/v1/orders/*/refund'), '/v1/orders/*/refund')
    assert.equal(paths('/V1/orders/*/*'), '/v1/orders/*/*')
    assert.equal(paths('/v1/orders/*/refund, /v1/*/1001/refund'), '/v1/orders/1001/refund')
    assert.equal(paths('"/v1/**"'), '/v1/orders/1001/refund')
    assert.equal(paths('"/v1/orders/*/refund", "/**"'), '/v1/orders/1001/refund')
    assert.equal(paths('/v1/orders/1*/refund'), '/v1/orders/1001/refund')
    assert.equal(paths('/v1/orders/*/refund', '/v1/orders/%31001/refund'), '/v1/orders/%31001/refund')
    assert.equal(pinnedBy(hold('r', 'paths: { not: [/healthz/*] }'))?.path, '/v1/orders/1001/refund')
    assert.equal(pinnedBy(hold('r', 'path-regex: ["^/v1/.*$"]\npaths: [/v1/orders/*/refund]'))?.path, '/v1/orders/1001/refund')
    assert.equal(pinnedBy(hold('r', 'methods: [POST]'))?.path, '/v1/orders/1001/refund')
    assert.equal(pinnedBy(`${hold('r', 'paths: [/v1/orders/*/refund]')}\n${hold('s', 'methods: [POST]')}`)?.path, '/v1/orders/1001/refund')
  })

  test('what a condition looks at stays, as narrow as the condition says', () => {
    const kept = (condition: string, json: unknown = { amount: 5, to: 'x', items: [{ price: 1 }, { price: 2 }] }): string => pinnedBy(hold('r', `methods: [POST]\nif: ${JSON.stringify(condition)}`), http('POST', '/x?a=1', { json }))?.values ?? 'none'
    const same = (condition: string, one: unknown, other: unknown): boolean => kept(condition, one) === kept(condition, other)
    assert.ok(same('http.json.amount > 1', { amount: 5, to: 'x' }, { amount: 5, to: 'y' }))
    assert.ok(!same('http.json.amount > 1', { amount: 5 }, { amount: 6 }))
    assert.ok(!same('!has(http.json.vip)', {}, { vip: false }) || kept('!has(http.json.vip)', { vip: false }) === 'none')
    assert.ok(!same('http.json["amount"] > 1', { amount: 5 }, { amount: 6 }))
    assert.ok(!same('http.json.items.exists(i, i.price > 1)', { items: [{ price: 5 }] }, { items: [{ price: 6 }] }))
    assert.ok(!same('http.json.items[0].price > 1', { items: [{ price: 5 }] }, { items: [{ price: 6 }] }))
    assert.ok(!same('http.json[http.path.substring(1)] == 1 || true', { x: 1, y: 1 }, { x: 1, y: 2 }))
    assert.ok(!same('size(http.json) > 0', { a: 1 }, { a: 2 }))
    assert.notEqual(kept('http.query["a"][0] == "1"'), 'none')
    assert.match(kept('caller.kind == "agent" && now < timestamp("2020-01-01T00:00:00Z")'), /agent/)
    assert.doesNotMatch(kept('caller.kind == "agent" && now < timestamp("2020-01-01T00:00:00Z")'), /time/)
    assert.doesNotMatch(kept('caller.kind == "agent"'), /amount/)
  })

  test('what cannot be told apart is told apart: numbers and their texts, absent and null', () => {
    const of = (text: string): string | undefined => pinnedBy(hold('r', 'if: "size(http.json) > 0"'), http('POST', '/x', { json: parseStrictJson(Buffer.from(text), 8) }))?.values
    const texts = ['{"a":1}', '{"a":"1"}', '{"a":null}', '{"b":1}', '{"a":[1]}', '{"a":{"0":1}}', '{"a":true}', '{"constructor":1}']
    assert.equal(new Set(texts.map(of)).size, texts.length)
    assert.ok(texts.map(of).every((text) => text !== undefined))
  })

  test('a line about the query keeps the query', () => {
    const values = (target: string) => pinnedBy(hold('r', 'query: { dry-run: "false" }'), http('POST', target))?.values
    assert.notEqual(values('/x?dry-run=false&a=1'), values('/x?dry-run=false&a=2'))
  })

  test('the number of rows is bounded elsewhere; parameters that a condition looks at are kept', () => {
    const rules = hold('r', 'if: "sql.estimatedRows > 0 || sql.parameters[0] == \'x\'"', 'from: { groups: [oncall] }, grant: { times: 5, rows: 10, within: 1h }')
    const values = (facts: Record<string, unknown>) => load(policy(rules)).pinned(agent, sql('sql.update', ['public.t'], { facts }), 0)?.values
    assert.equal(values({ estimatedRows: 1, parameters: ['x'] }), values({ estimatedRows: 9, parameters: ['x'] }))
    assert.notEqual(values({ estimatedRows: 1, parameters: ['x'] }), values({ estimatedRows: 1, parameters: ['y'] }))
  })

  test('nothing is kept where nothing is held', () => {
    assert.equal(pinnedBy('- { name: a, then: allow, methods: [POST], paths: ["/**"] }'), undefined)
    assert.equal(load(policy(hold('r', 'methods: [POST]'), 'policy: p\nmode: observe')).pinned(agent, http('POST', '/x'), 0), undefined)
  })
})

describe('how much may be granted', () => {
  const grantOf = (...approvals: readonly string[]) => load(policy(approvals.map((approval, at) => hold(`r${at}`, 'methods: [POST]', approval)).join('\n'))).decide(agent, http('POST', '/x'), 0).terms
  test('the least of what all rules that hold it let be granted', () => {
    assert.deepEqual(grantOf('from: { groups: [oncall] }, grant: { times: 5, within: 2h }', 'from: { groups: [security] }, grant: { times: 9, within: 1h }')?.grant, { times: 5, withinMs: 3_600_000 })
    assert.equal(grantOf('from: { groups: [oncall] }, grant: { times: 5, within: 2h }', 'from: { groups: [security] }')?.grant, undefined)
    const irreversible = grantOf('from: { groups: [oncall] }, grant: { times: 5, within: 2h }', 'from: { groups: [security] }, irreversible: true')
    assert.deepEqual([irreversible?.grant, irreversible?.irreversible], [undefined, true])
  })

  test('what cannot be kept does not load', () => {
    const problems = (approval: string, lines = 'paths: ["/**"]') => problemsOf(policy(hold('r', lines, `from: { groups: [oncall] }, ${approval}`))).join('\n')
    assert.match(problems('irreversible: true, grant: { times: 5, within: 1h }'), /cannot be undone is looked at each time/)
    assert.match(problems('grant: { times: 5, within: 25h }'), /longer than 24 hours/)
    assert.match(problems('grant: { times: 0, within: 1h }'), /times/)
    assert.match(problems('grant: { within: 1h }'), /times/)
    assert.match(problems('grant: { times: 5, rows: 10, within: 1h }'), /nobody counts its rows/)
    assert.match(problems('grant: { times: 5, within: 1h }', 'tables: [public.t]'), /needs "rows"/)
    assert.equal(problems('grant: { times: 5, rows: 10, within: 1h }', 'tables: [public.t]'), '')
  })
})
