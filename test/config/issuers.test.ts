import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configText, type Folder, makeFolder } from './folder.ts'

const withIssuer = (issuer: string): string => configText().replace(/corp: .*/, `corp: { ${issuer} }`)
const optionsOf = async (folder: Folder, issuer: string) => {
  const [options] = (await folder.config(withIssuer(issuer), { SECRET: 's' })).identity.issuers
  assert.ok(options)
  return options
}
const tenant = '11111111-2222-3333-4444-555555555555'

test('entra: both token versions of a tenant, and no other tenant', async () => {
  using folder = makeFolder()
  const options = await optionsOf(folder, `preset: entra, tenants: [${tenant}], audiences: [api]`)
  assert.deepEqual(options.issuers, [`https://login.microsoftonline.com/${tenant}/v2.0`, `https://sts.windows.net/${tenant}/`])
  assert.deepEqual(options.required, { tid: { equals: [tenant] } })
  assert.equal(options.claimPaths.subject, 'oid')
  assert.deepEqual(options.keys, { from: 'uri', url: `https://login.microsoftonline.com/${tenant}/discovery/v2.0/keys` })
  for (const bad of ['tenants: [common]', 'tenants: [organizations]', 'tenants: []', 'issuer: https://sts.windows.net/x/']) assert.ok((await folder.problems(withIssuer(`preset: entra, audiences: [api], ${bad}`))).length > 0, bad)
})

test('entra: an account is one account, whichever token version it is named by', async () => {
  using folder = makeFolder()
  const { approval } = await folder.config(withIssuer(`preset: entra, tenants: [${tenant}], audiences: [api]`) + `people: { alice: [{ issuer: "https://sts.windows.net/${tenant}/", subject: a }, { issuer: corp, subject: b }] }\n`)
  assert.deepEqual(approval.people, [[{ issuer: `https://login.microsoftonline.com/${tenant}/v2.0`, subject: 'a' }, { issuer: `https://login.microsoftonline.com/${tenant}/v2.0`, subject: 'b' }]])
  assert.match((await folder.problems(withIssuer(`preset: entra, tenants: [${tenant}], audiences: [api]`) + `people: { alice: [{ issuer: "https://sts.windows.net/${tenant}/", subject: a }, { issuer: corp, subject: a }] }\n`)).join(), /stands here twice/)
})

test('github-actions: ids, never names by pattern', async () => {
  using folder = makeFolder()
  const github = 'preset: github-actions, audiences: [countersign]'
  const options = await optionsOf(folder, `${github}, required: { repository_id: "74", ref: refs/heads/main }`)
  assert.deepEqual(options.issuers, ['https://token.actions.githubusercontent.com'])
  assert.equal(options.kind, 'workload')
  assert.deepEqual(options.required['repository_id'], { equals: ['74'] })
  assert.ok(!JSON.stringify(options.required['event_name']).includes('pull_request'))
  for (const [required, pattern] of [
    ['{ sub: { glob: "repo:acme/*" }, repository_id: "74" }', /require repository_id/],
    ['{ sub: "repo:acme/app:*", repository_id: "74" }', /require repository_id/],
    ['{ sub: "repo:acme/", repository_id: "74" }', /require repository_id/],
    ['{ ref: refs/heads/main }', /would accept any repository/],
    ['{ repository_id: { glob: "7*" } }', /would accept any repository/],
    ['{ repository_id: 74 }', /put it in quotes/],
    ['{ repository: acme/app }', /would accept any repository/],
  ] as const) assert.match((await folder.problems(withIssuer(`${github}, required: ${required}`))).join(), pattern, required)
})

test('gitlab, google and kubernetes: strangers stay out', async () => {
  using folder = makeFolder()
  const problems = async (issuer: string): Promise<string> => (await folder.problems(withIssuer(issuer))).join()
  assert.match(await problems('preset: gitlab, issuer: https://gitlab.com, audiences: [c]'), /any project/)
  assert.equal(await problems('preset: gitlab, issuer: https://gitlab.com, audiences: [c], required: { project_id: "7" }'), '')
  assert.match(await problems('preset: google, audiences: [c]'), /any Google account/)
  assert.deepEqual((await optionsOf(folder, 'preset: google, audiences: [c], hosted-domains: [example.com]')).required, { hd: { equals: ['example.com'] } })
  for (const audience of ['https://kubernetes.default.svc', 'https://kubernetes.default.svc.cluster.local', 'kubernetes.default.svc', 'api', 'https://k8s.example.com']) assert.match(await problems(`preset: kubernetes, issuer: https://k8s.example.com, audiences: ["${audience}"]`), /audience/, audience)
  assert.equal(await problems('preset: kubernetes, issuer: https://k8s.example.com, audiences: [countersign]'), '')
})

test('algorithms that a stranger could sign with are refused, in any spelling', async () => {
  using folder = makeFolder()
  for (const algorithm of ['none', 'None', 'NONE', 'HS256', 'hs512', 'HS384', 'RS1', 'rs256', 'ES256K', 'dir']) assert.equal((await folder.problems(withIssuer(`issuer: https://i.example.com, audiences: [c], algorithms: [RS256, ${algorithm}]`))).length, 1, algorithm)
})

test('one issuer value belongs to one issuer', async () => {
  using folder = makeFolder()
  assert.match((await folder.problems(configText().replace('services:', '  again: { issuer: https://login.example.com, audiences: [x] }\nservices:'))).join(), /so does "corp"/)
})

test('key sets from a file are public keys', async () => {
  using folder = makeFolder()
  const text = withIssuer('issuer: https://i.example.com, audiences: [c], keys: { jwks-file: keys.json }')
  folder.write('keys.json', JSON.stringify({ keys: [{ kty: 'EC', crv: 'P-256', x: 'a', y: 'b', kid: '1' }] }))
  assert.equal((await folder.config(text)).identity.issuers[0]?.keys.from, 'inline')
  for (const bad of ['{}', '{"keys":[]}', 'x', '{"keys":[{"kty":"oct","k":"abc"}]}', '{"keys":[{"kty":"EC","d":"abc"}]}', '{"keys":[],"keys":[{}]}']) {
    folder.write('keys.json', bad)
    assert.equal((await folder.problems(text)).length, 1, bad)
  }
})

test('introspection needs a secret, delegation needs known actors', async () => {
  using folder = makeFolder()
  const options = await optionsOf(folder, 'issuer: https://i.example.com, audiences: [c], introspection: { url: "https://i.example.com/x", client-id: a, client-secret: "${env:SECRET}" }, delegation: { actor-issuers: [corp] }')
  assert.equal(options.introspection?.clientSecret.reveal(), 's')
  assert.deepEqual(options.delegation, { allowed: true, actorIssuers: ['corp'] })
  assert.match((await folder.problems(withIssuer('issuer: https://i.example.com, audiences: [c], delegation: { actor-issuers: [crop] }'))).join(), /did you mean "corp"/)
})
