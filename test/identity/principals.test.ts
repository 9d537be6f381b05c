import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { claimGlobProblem, matchesClaimRule } from '../../src/identity/claim-rule.ts'
import { emailIn } from '../../src/identity/email.ts'
import type { IssuerOptions } from '../../src/identity/options.ts'
import { claim, inline, iss, issuerOptions, makeKey, sign, start } from './world.ts'

const key = await makeKey('a1')
const one = (changes: Partial<IssuerOptions> = {}) => issuerOptions(inline(key), changes)

/** The caller, or the step that failed. */
const look = async (options: IssuerOptions, claims: Record<string, unknown>, agents: Parameters<typeof start>[1] = {}, header = {}) => {
  await using world = start([options], agents)
  try {
    return await world.identity.authenticate(claim(await sign(key, claims, header)))
  } catch (error) {
    return world.failures[0]?.step ?? Promise.reject(error)
  }
}
const callerAt = async (...given: Parameters<typeof look>) => {
  const found = await look(...given)
  if (typeof found === 'string') throw new Error(`refused at ${found}`)
  return found
}

describe('e-mail', () => {
  const verified = (email: unknown, email_verified: unknown = true) => callerAt(one(), { email, email_verified })
  test('one clean, verified address in an allowed domain', async () => {
    for (const email of ['attacker@evil.test@company.test', 'a@company.test\n', 'a@evil.test,b@company.test', 'a@\u0441ompany.test', 'a@company\u3002test', 'a@notcompany.test', 'a@company.test.', '@company.test', 'a b@company.test', ['a@company.test'], 7]) assert.equal((await verified(email)).email, undefined, String(email))
    for (const flag of [false, 'true', 1, null, undefined]) assert.equal((await callerAt(one(), { email: 'a@company.test', email_verified: flag })).email, undefined)
    assert.equal((await verified('A@COMPANY.test')).email, 'A@company.test')
  })
  test('whatever is believed ends with the domain and has one @', () => {
    const domains = new Set(['company.test'])
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.emailAddress()), fc.constantFrom('', '@', '@company.test', '@COMPANY.test', '@company.test '), (head, tail) => {
        const email = emailIn(head + tail, domains)
        assert.ok(email === undefined || /^[!-?A-~]+@company\.test$/.test(email))
      }),
    )
  })
})

describe('required claims', () => {
  const subjects = { sub: { equals: ['repo:acme/app:ref:refs/heads/main', 'repo:acme/app.web:ref:refs/heads/main'] } }
  test('a subject is the listed one, whole', async () => {
    const ci = one({ preset: 'github-actions', kind: 'workload', required: subjects })
    for (const sub of ['repo:acme-evil/app:ref:refs/heads/main', 'repo:acme/app:pull_request', 'repo:acme/appXweb:ref:refs/heads/main', 'xrepo:acme/app:ref:refs/heads/main', 'repo:acme/app:ref:refs/heads/main2']) assert.equal(await look(ci, { sub }), 'required')
    assert.equal((await callerAt(ci, { sub: 'repo:acme/app:ref:refs/heads/main' })).kind, 'workload')
  })
  test('a pattern stays inside its segments', () => {
    const matches = (pattern: string, value: string): boolean => matchesClaimRule({ glob: [pattern] }, value)
    assert.ok(matches('repo:acme/*:ref:refs/heads/main', 'repo:acme/app:ref:refs/heads/main'))
    for (const value of ['repo:acme-evil/app:ref:refs/heads/main', 'repo:acme/app/x:ref:refs/heads/main', 'repo:acme/a:b:ref:refs/heads/main', 'repo/acme/app:ref:refs/heads/main']) assert.ok(!matches('repo:acme/*:ref:refs/heads/main', value), value)
    assert.ok(matches('repo:acme/app:**', 'repo:acme/app:ref:refs/heads/main'))
    assert.ok(!matches('repo:acme/app:**', 'repo:acme/app2:ref') && !matches('a.c', 'abc'))
    assert.ok(!matchesClaimRule({ glob: ['*'] }, ['x']) && !matchesClaimRule({ equals: ['1'] }, 1))
    assert.match(claimGlobProblem('a**b') ?? '', /alone/)
    assert.match(claimGlobProblem('**:x') ?? '', /alone/)
  })
  test('a pattern without stars matches itself only', () => {
    fc.assert(fc.property(fc.string().filter((text) => text !== '' && !text.includes('*')), fc.string(), (pattern, value) => matchesClaimRule({ glob: [pattern] }, value) === (pattern === value)))
  })
  test('presets: tenant, hosted domain, repository', async () => {
    const rules: readonly [Partial<IssuerOptions>, Record<string, unknown>, Record<string, unknown>][] = [
      [{ preset: 'google', required: { hd: { equals: ['company.test'] } } }, { hd: 'company.test' }, { hd: 'evil.test' }],
      [{ preset: 'github-actions', required: { repository_id: { equals: ['42'] }, event_name: { equals: ['push'] } } }, { repository_id: '42', event_name: 'push' }, { repository_id: '42', event_name: 'pull_request' }],
      [{ preset: 'gitlab', required: { project_id: { equals: ['7'] } } }, { project_id: '7' }, { project_path: '7' }],
      [{ preset: 'kubernetes', required: { '/kubernetes.io/namespace': { equals: ['pay'] } } }, { 'kubernetes.io': { namespace: 'pay' } }, { 'kubernetes.io': { namespace: 'other' } }],
      [{ preset: 'okta', required: { cid: { equals: ['app'] } } }, { cid: 'app' }, { cid: 'other' }],
    ]
    for (const [changes, good, bad] of rules) {
      assert.equal((await callerAt(one(changes), good)).subject, 'alice')
      assert.equal(await look(one(changes), bad), 'required')
      assert.equal(await look(one(changes), {}), 'required')
    }
    assert.throws(() => start([one({ preset: 'github-actions', required: { sub: { glob: ['repo:acme/*'] } } })]), /look-alike/)
    assert.equal(await look(one({ preset: 'okta' }), { nonce: 'n' }), 'type')
  })
})

describe('directories', () => {
  const tenant = '11111111-2222-3333-4444-555555555555'
  const v2 = `https://login.microsoftonline.com/${tenant}/v2.0`
  const v1 = `https://sts.windows.net/${tenant}/`
  const entra = one({ preset: 'entra', issuers: [v2, v1], claimPaths: { subject: 'oid', groups: 'groups', roles: 'roles', clientId: 'azp', email: 'email', emailVerified: 'xms_edov', name: 'name' }, required: { tid: { equals: [tenant] } } })
  test('an account is its tenant and object, under either version', async () => {
    const user = { tid: tenant, oid: 'o-9', email: 'carol@company.test', xms_edov: false }
    const newer = await callerAt(entra, { ...user, iss: v2, azp: 'app' })
    const older = await callerAt(entra, { ...user, iss: v1, sub: 'pairwise', appid: 'app' })
    assert.deepEqual([newer.issuer, newer.subject, newer.email, newer.clientId], [v2, `${tenant}/o-9`, undefined, 'app'])
    assert.deepEqual([older.issuer, older.subject, older.clientId], [v2, `${tenant}/o-9`, 'app'])
  })
  test('another tenant, a guest of none, an ID token', async () => {
    assert.equal(await look(entra, { iss: v2, tid: 'tenant-2', oid: 'o-9' }), 'required')
    assert.equal(await look({ ...entra, required: {} }, { iss: v2, tid: '99999999-2222-3333-4444-555555555555', oid: 'o-9' }), 'subject')
    assert.equal(await look(entra, { iss: v2, tid: tenant }), 'subject')
    assert.equal(await look(entra, { iss: v2, tid: tenant, oid: 'o-9', nonce: 'n' }), 'type')
  })
  test('an application by itself has its roles', async () => {
    assert.deepEqual((await callerAt(entra, { iss: v2, tid: tenant, oid: 'sp', idtyp: 'app', roles: ['Reader'], groups: undefined })).groups, ['Reader'])
  })
  test('groups that stand elsewhere are unknown, and nobody goes there', async () => {
    for (const changes of [{ groups: undefined, _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint: 'http://127.0.0.1:1/groups' } } }, { groups: undefined, hasgroups: true }, { groups: ['a', 7] }, { groups: { a: 1 } }, { groups: ['a', '_claim'], _claim_names: { groups: 'x' } }])
      assert.equal((await callerAt(entra, { iss: v2, tid: tenant, oid: 'o-1', ...changes })).groups, undefined)
    assert.deepEqual((await callerAt(entra, { iss: v2, tid: tenant, oid: 'o-1', groups: undefined })).groups, [])
  })
})

test('groups and claims by path and by name', async () => {
  const options = one({ claimPaths: { subject: 'sub', groups: '/https:~1~1x.test~1groups', roles: 'realm_access.roles' }, claims: { team: 'org.team', nothing: '__proto__.polluted' }, groupNames: { 'g-1': 'dba' } })
  const caller = await callerAt(options, { 'https://x.test/groups': ['g-1', 'other'], realm_access: { roles: ['admin'] }, org: { team: 'blue' } })
  assert.deepEqual([caller.groups, caller.claims], [['dba', 'other', 'admin'], { team: 'blue' }])
})

describe('delegation', () => {
  const owner = { issuer: iss, subject: 'carol' }
  const agents = { agents: [{ name: 'invoices', issuer: iss, subject: 'invoice-agent', kind: 'agent' as const, owner, groups: ['agents'] }] }
  const delegating = one({ delegation: { allowed: true, actorIssuers: ['https://agents.test'] } })
  test('the outermost actor calls, for the others, nearest first', async () => {
    const caller = await callerAt(delegating, { act: { sub: 'invoice-agent', act: { sub: 'planner', iss: 'https://agents.test' } } }, agents)
    assert.deepEqual([caller.issuer, caller.subject, caller.kind, caller.groups, caller.owner], [iss, 'invoice-agent', 'agent', ['agents'], owner])
    assert.deepEqual(caller.onBehalfOf.map(({ issuer, subject, kind, groups }) => [issuer, subject, kind, groups]), [['https://agents.test', 'planner', 'agent', undefined], [iss, 'alice', 'human', ['dev']]])
  })
  test('chains that are refused', async () => {
    const deep = (depth: number): Record<string, unknown> => ({ sub: `agent-${depth}`, ...(depth > 1 ? { act: deep(depth - 1) } : {}) })
    assert.equal((await callerAt(delegating, { act: deep(5) })).onBehalfOf.length, 5)
    for (const act of [deep(6), { sub: 'alice' }, { sub: 'x', act: { sub: 'x' } }, { sub: 'x', iss: 'https://evil.test' }, { sub: 'x', iss: 7 }, { sub: '' }, { sub: ['x'] }, {}, null, 'x', [{ sub: 'x' }], { sub: 'x', act: null }]) assert.equal(await look(delegating, { act }), 'delegation', JSON.stringify(act))
    assert.equal(await look(one(), { act: { sub: 'invoice-agent' } }), 'delegation')
  })
  test('a registered agent is one by subject or by client, and nothing it says changes that', async () => {
    for (const claims of [{ sub: 'invoice-agent' }, { sub: 'service-account', client_id: 'invoice-agent' }]) {
      const caller = await callerAt(one(), { ...claims, kind: 'human' }, agents)
      assert.deepEqual([caller.kind, caller.groups, caller.owner, caller.name], ['agent', ['dev', 'agents'], owner, 'invoices'])
    }
    assert.equal((await callerAt(one(), { kind: 'agent', sub_profile: 'agent' })).kind, 'human')
  })
})
