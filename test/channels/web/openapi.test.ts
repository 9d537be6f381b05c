import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { parse } from 'yaml'
import { auditLog } from './audit-log.ts'
import { digest, makeHold, person, startDesk } from './hold-desk.ts'

interface Operation {
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> }
  readonly responses: Readonly<Record<string, unknown>>
}

const document = parse(readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'openapi.yaml'), 'utf8')) as { readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>> }

const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true })
ajv.addSchema({ ...document, $id: 'https://countersign.test/api' })

const covered = new Set<string>()

/** Whether an answer is one that the document describes. */
const check = (path: string, method: string, answer: { readonly status: number; readonly headers: Headers; readonly json: unknown; readonly text: string }): void => {
  const operation = document.paths[path]?.[method]
  assert.ok(operation, `${method} ${path} stands in the document`)
  const key = answer.status in operation.responses ? String(answer.status) : 'default'
  covered.add(`${method} ${path} ${key}`)
  const type = answer.headers.get('content-type') ?? ''
  const escape = (part: string): string => part.replaceAll('~', '~0').replaceAll('/', '~1')
  const at = key === 'default' ? '/components/responses/Problem' : `/paths/${escape(path)}/${method}/responses/${key}`
  const validate = ajv.compile({ $ref: `https://countersign.test/api#${encodeURI(at)}/content/${escape(type)}/schema` })
  assert.ok(validate(type.includes('json') && !type.includes('ndjson') ? answer.json : answer.text), `${method} ${path} ${answer.status}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(answer.json, undefined, 1)}`)
}

test('every answer is one that the document describes', async () => {
  await using log = await auditLog(['security'])
  await using desk = await startDesk({}, document, log.desk, log.receipts)
  const ira = person('ira', 'incident')
  const circle = { groups: ['incident'], users: [{ issuer: ira.issuer, subject: 'ira' }] }
  const usual = makeHold().terms
  const full = makeHold({ id: 'hold_2', terms: { ...usual, requirements: usual.requirements.map((requirement) => ({ ...requirement, escalation: { afterMs: 9, ...circle } })), breakGlass: [{ policy: 'p', rule: 'exports', ...circle, reason: 20 }] },
    marks: [{ what: 'escalated', at: 1 }, { what: 'handed-over', at: 2, by: ira, to: { group: 'security' }, note: 'Look.' }, { what: 'handed-over', at: 2, by: ira, to: { issuer: ira.issuer, subject: 'alice' } }, { what: 'broke-glass', at: 3, by: ira, reason: 'Down.', skipped: circle }, { what: 'review-overdue', at: 4 }, { what: 'reviewed', at: 5, by: ira, note: 'Well.' }, { what: 'broke-glass', at: 6, by: ira, reason: 'Down.', skipped: circle }], state: 'executed', runBy: Date.now(), settledAt: Date.now(), statedReason: 'Month end.', outcome: { result: 'executed', status: '200', rows: 1, bytes: 2, maskedValues: 0, ms: 3, cause: 'private' }, votes: [{ verdict: 'approve', by: { ...person('alice'), email: 'alice@example.org' }, channel: 'cli', assurance: 'console', digest, reason: 'Yes.', at: Date.now() }], caller: { ...makeHold().caller, email: 'a@example.org', clientId: 'c', onBehalfOf: [person('bob')] } })
  desk.holds.set('hold_2', full)
  const call = async (method: 'get' | 'post', path: string, id: string, options: Parameters<typeof desk.call>[2] = {}, query = '') => {
    const answer = await desk.call(method.toUpperCase(), path.replace('{id}', id) + query, options)
    check(path, method, answer)
    return answer
  }
  const alice = { token: 'alice' }
  await call('get', '/api/holds', '', alice)
  await call('get', '/api/holds', '', alice, '?limit=1')
  await call('get', '/api/holds', '', alice, '?limit=x')
  await call('get', '/api/holds/events', '', {})
  await call('get', '/api/holds/{id}', 'hold_1', alice)
  await call('get', '/api/holds/{id}', 'hold_2', alice)
  await call('get', '/api/holds/{id}', 'hold_1', { token: 'agent' })
  await call('get', '/api/holds/{id}', 'hold_3', alice)
  for (const token of ['agent', 'olga', 'dave', 'nobody']) await call('post', '/api/holds/{id}/votes', 'hold_1', { token, body: { verdict: 'approve', digest } })
  await call('post', '/api/holds/{id}/votes', 'hold_1', { ...alice, body: { verdict: 'approve', digest, revision: 9 } })
  await call('post', '/api/holds/{id}/votes', 'hold_1', { ...alice, body: { verdict: 'approve', digest } })
  await call('post', '/api/holds/{id}/votes', 'hold_1', { ...alice, body: { verdict: 'approve', digest } })
  for (const [path, body] of [['/api/holds/{id}/hand-over', { to: { group: 'security' }, note: 'Look.' }], ['/api/holds/{id}/review', { note: 'In order.' }]] as const) {
    await call('post', path, 'hold_2', { ...alice, body })
    await call('post', path, 'hold_3', { ...alice, body })
  }
  desk.holds.set('hold_4', makeHold({ id: 'hold_4' }))
  await call('post', '/api/holds/{id}/break-glass', 'hold_4', { token: 'agent', body: { digest, reason: 'Production is down, ticket 4711.' } })
  await call('post', '/api/holds/{id}/break-glass', 'hold_4', { ...alice, body: { digest, reason: 'Production is down, ticket 4711.' } })
  await call('get', '/api/holds', '', alice, '?review=due')
  desk.holds.set('hold_6', makeHold({ id: 'hold_6' }))
  await call('post', '/api/votes', '', { ...alice, body: { verdict: 'approve', holds: [{ id: 'hold_6', digest, revision: 1 }, { id: 'hold_3', digest, revision: 1 }] } })
  await call('post', '/api/votes', '', { token: 'agent', body: { verdict: 'approve', holds: [{ id: 'hold_6', digest, revision: 1 }] } })
  desk.holds.delete('hold_6')
  await call('post', '/api/holds/{id}/withdraw', 'hold_1', { ...alice, body: {} })
  await call('post', '/api/holds/{id}/withdraw', 'hold_1', { token: 'agent', body: {} })
  const bounds = { times: 5, rows: 100, withinMs: 60_000 }
  const giving = makeHold({ id: 'hold_4', state: 'executed', marks: [{ what: 'granted', at: 1, bounds }, { what: 'grant-ended', at: 2, end: 'revoked', used: 1 }], pattern: { key: 'k', text: 'POST /v1/*' }, granted: { ...bounds, id: 'grant_4', until: Date.now() + 60_000 }, votes: [{ verdict: 'approve', by: person('alice'), channel: 'cli', assurance: 'console', digest, grant: bounds, at: Date.now() }] })
  desk.holds.set('hold_4', { ...giving, terms: { ...giving.terms, grant: bounds, irreversible: true } })
  desk.grants.set('grant_4', { hold: giving, grant: { id: 'grant_4', revision: 2, hold: 'hold_4', bounds, madeAt: Date.now(), until: Date.now() + 60_000, uses: [{ attempt: 'private', replica: 'private', digest, at: Date.now(), rows: 2, outcome: { result: 'executed', status: '200', ms: 1 } }, { attempt: 'private', replica: 'private', digest, at: Date.now() }] } })
  await call('get', '/api/holds/{id}', 'hold_4', alice)
  await call('get', '/api/grants', '', alice)
  await call('get', '/api/grants', '', alice, '?limit=0')
  assert.doesNotMatch((await call('get', '/api/grants/{id}', 'grant_4', alice)).text, /private/)
  await call('get', '/api/grants/{id}', 'grant_4', { token: 'dave' })
  await call('post', '/api/grants/{id}/revoke', 'grant_4', { ...alice, body: { why: 'x' } })
  await call('post', '/api/grants/{id}/revoke', 'grant_4', { ...alice, body: {} })
  await call('post', '/api/grants/{id}/revoke', 'grant_4', { ...alice, body: {} })
  const audit = async (path: string, url: string, options: Parameters<typeof desk.call>[2] = alice) => check(path, 'get', await desk.call('GET', url, options))
  for (const query of ['', '?who=invoice-agent&limit=1', '?who=---', '?nonsense=1']) await audit('/api/audit', `/api/audit${query}`)
  for (const query of ['', '?limit=1']) await audit('/api/audit/export', `/api/audit/export${query}`)
  const one = '/api/audit/{replica}/{epoch}/{seq}'
  for (const [id, options] of [['r1/1/0', alice], ['r1/1/99', alice], ['r1/1/0', { token: 'dave' }]] as const) {
    await audit(one, `/api/audit/${id}`, options)
    await audit(`${one}/proof`, `/api/audit/${id}/proof`, options)
  }
  for (const [id, options] of [['hold_1', alice], ['CS-NONE', alice]] as const) await audit('/api/receipts/{name}', `/api/receipts/${id}`, options)
  await audit('/.well-known/countersign-receipts.jwks', '/.well-known/countersign-receipts.jwks', {})
  await log.sign()
  await audit(`${one}/proof`, '/api/audit/r1/1/0/proof')
  for (const query of ['', '?on=orders', '?who=---']) await audit('/api/lineage', `/api/lineage${query}`)
  for (const query of ['?start=alice&end=Bob', '?start=alice']) await audit('/api/lineage/path', `/api/lineage/path${query}`)
  for (const path of ['/api/whoami', '/api/login-info', '/openapi.json']) await call('get', path, '', path === '/openapi.json' ? {} : alice)
  await call('get', '/api/whoami', '')
  assert.doesNotMatch((await desk.call('GET', '/api/holds/hold_2', alice)).text, /private/)

  const described = Object.entries(document.paths).flatMap(([path, operations]) => Object.entries(operations).flatMap(([method, { responses }]) => (responses ? Object.keys(responses).map((key) => `${method} ${path} ${key}`) : [])))
  // A stream is looked at in its own test; two resources can only fail when a server has none.
  const elsewhere = ['get /api/holds/events 200', 'get /api/login-info default', 'get /openapi.json default', 'get /.well-known/countersign-receipts.jwks default']
  assert.deepEqual(described.filter((line) => !covered.has(line) && !elsewhere.includes(line)), [])
})

test('what the document asks for is what the server takes, and the other way round', async () => {
  await using desk = await startDesk()
  const validate = ajv.compile({ $ref: 'https://countersign.test/api#/components/schemas/Ballot' })
  for (const body of [{ verdict: 'approve', digest }, { verdict: 'deny', digest, reason: 'no', revision: 1 }, { verdict: 'maybe', digest }, { verdict: 'approve', digest: 'sha256:00' }, { verdict: 'approve', digest, extra: 1 }, { digest }, { verdict: 'approve', digest, reason: 'x'.repeat(2_001) }, { verdict: 'approve', digest, revision: 1.5 }]) {
    desk.holds.set('hold_1', makeHold())
    const { status } = await desk.call('POST', '/api/holds/hold_1/votes', { token: 'alice', body })
    assert.equal(status === 200, validate(body), JSON.stringify(body).slice(0, 200))
  }
})
