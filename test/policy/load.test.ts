import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadPolicies, type PolicyWorld } from '../../src/policy/load.ts'
import { work } from '../support/work.ts'
import { load, policy, problemsOf, warningsOf, world } from './world.ts'

const refused = (rule: string, expected: RegExp): void => {
  const [first, ...rest] = problemsOf(policy(rule))
  assert.match(first ?? 'loaded', expected, rule)
  assert.deepEqual(rest.filter((problem) => !expected.test(problem)).slice(3), [], rule)
}

test('a mistyped word does not load, and the message names place and nearest word', () => {
  refused('- { name: r, then: alow, methods: [GET] }', /^p0\.yaml:3:\d+ rules\[0\]\.then: "alow" is not known here; one of allow, hold, deny; did you mean "allow"\?/)
  refused('- { name: r, then: [allow] }', /then/)
  refused('- { name: r, thn: deny }', /./)
  refused('- { name: r, then: deny, metods: [GET] }', /^p0\.yaml:3:\d+ .*unknown key "metods" in rules\[0\]; did you mean "methods"\?/)
  refused('- { name: r, methods: [GET] }', /then/)
  refused('- { name: r, then: deny, actions: [sql.slect] }', /p\/r: no action is called "sql\.slect"; did you mean "sql\.select"\?/)
  refused('- { name: r, then: deny, methods: [GTE] }', /no method is called "GTE"; did you mean "GET"\?/)
  refused('- { name: r, then: deny, callers: { groups: [agent] } }', /no group is called "agent"; did you mean "agents"\?/)
  refused('- { name: r, then: deny, callers: { issuers: [cj] } }', /no issuer is called "cj"; did you mean "ci"\?/)
  refused('- { name: r, then: deny, tags: [pii] }', /no tag "pii"/)
  refused('- { name: r, then: deny, callers: { kind: agnet } }', /kind/)
  refused('- { name: r, then: deny, callers: { addresses: [10.0.0.0/33] } }', /no address range/)
  assert.match(problemsOf(policy('- { name: r, then: deny }', 'policy: p\nservices: [order-api]'))[0] ?? '', /p0\.yaml:2:\d+ .*policy p: no service is called "order-api"; did you mean "orders-api"\?/)
})

test('null, empty texts and an empty "not" or "callers" do not load', () => {
  for (const part of ['callers: { groups: null }', 'callers: { groups: [""] }', 'callers: {}', 'callers: { email-domains: "" }', 'methods: null', 'paths: [""]', 'paths: { not: [] }', 'callers: { groups: { not: [] } }', 'tags: [null]', 'callers: { on-behalf-of: {} }', 'query: {}', 'methods: GET'])
    refused(`- { name: r, then: allow, ${part} }`, /./)
})

test('an expression for paths must be anchored on both sides', () => {
  for (const pattern of ['/public', '^/public', '/public$', '^/public\\\\$']) refused(`- { name: r, then: allow, path-regex: ["${pattern}"] }`, /p\/r: the expression ".*" is not anchored on both sides/)
  refused('- { name: r, then: allow, path-regex: ["^/(a$"] }', /missing closing/)
  refused('- { name: r, then: allow, path-regex: ["^/(?=a)$"] }', /./)
})

test('paths that could not mean what they say do not load', () => {
  for (const path of ['public', '/a?x=1', '/a**', '/**a/b', '/a/{id}']) refused(`- { name: r, then: allow, paths: ["${path}"] }`, /./)
})

test('a hold that nobody could approve does not load', () => {
  const hold = (approval: string, more = '') => `- { name: r, then: hold, methods: [POST], ${more} approval: { ${approval} } }`
  refused('- { name: r, then: hold, methods: [POST] }', /p\/r: a rule that holds needs "approval"/)
  refused(hold('from: { groups: [does-not-exist] }'), /no group is called "does-not-exist".*nobody could approve/)
  refused(hold('from: { groups: [] }'), /names no group and no user/)
  refused(hold('from: { users: [] }'), /names no group and no user/)
  refused(hold('from: []'), /./)
  refused(hold('from: { groups: [oncall] }, count: 0'), /count of 0/)
  refused(hold('from: { groups: [oncall] }, count: -1'), /count of -1/)
  refused(hold('from: { users: [{ issuer: ci, subject: a }, { issuer: ci, subject: b }] }, count: 3'), /asks for 3 people and lists 2/)
  refused(hold('from: { users: [{ issuer: ci, subject: a }, { issuer: ci, subject: a }] }, count: 2'), /lists 1/)
  refused(hold('from: { groups: [oncall] }, assurance: passkey'), /no channel is configured.*passkey.*listeners\.console\.sign-in/)
  refused(hold('from: { groups: [oncall] }, fresh-login: soon'), /duration/)
  assert.match((loadPolicies([{ file: 'p.yaml', text: policy(hold('from: { groups: [oncall] }, fresh-login: 10m')) }], { ...world, signIn: false }).problems ?? []).map(({ message }) => message).join(), /nobody can log in anew/)
  refused(hold('from: { users: [{ issuer: ci, subject: a }] }', 'callers: { subjects: [a] },'), /approve their own action/)
  refused(hold('from: [{ users: [{ issuer: ci, subject: a }] }, { users: [{ issuer: ci, subject: a }] }]'), /2 different people and lists 1/)
  refused(hold('from: { groups: [oncall] }, within: soon'), /duration/)
  refused(hold('from: { groups: [oncall] }, escalate: { after: 30m, to: { groups: [dba] } }'), /"30m" is not before the end of "within": nobody would be asked any more/)
  refused(hold('from: { groups: [oncall] }, escalate: { after: 0s, to: { groups: [dba] } }'), /no time such as/)
  refused(hold('from: { groups: [oncall] }, escalate: { after: 10m, to: {} }'), /approval\.escalate\.to.*names no group and no user/)
  refused(hold('from: { groups: [oncall] }, escalate: { after: 10m, to: { groups: [dbas] } }'), /no group is called "dbas"; did you mean "dba"/)
  refused(hold('from: { groups: [oncall] }', 'break-glass: { who: { users: [] } },'), /names no group and no user/)
  refused(hold('from: { groups: [oncall] }', 'break-glass: { who: { users: [{ issuer: cj, subject: a }] } },'), /no issuer is called "cj"; did you mean "ci"/)
  refused(hold('from: { groups: [oncall] }', 'break-glass: { who: { groups: [dba] }, reason: 0 },'), /a reason of 0 characters/)
  refused(hold('from: { groups: [oncall] }, assurance: passkey', 'break-glass: { who: { groups: [dba] } },'), /this rule asks for a passkey: nobody could|no channel is configured/)
  refused('- { name: r, then: deny, break-glass: { who: { groups: [oncall] } } }', /"break-glass" has no meaning in a rule that says deny/)
  refused('- { name: r, then: allow, approval: { from: { groups: [oncall] } } }', /no meaning in a rule that says allow/)
  assert.deepEqual(problemsOf(policy(hold('from: { groups: [oncall] }, assurance: chat'))), [])
  const through = (channels: string, more = 'assurance: chat', voteChannels: PolicyWorld['voteChannels'] = ['api', 'console']): string => (loadPolicies([{ file: 'p.yaml', text: policy(hold(`from: { groups: [oncall] }, channels: ${channels}, ${more}`)) }], { ...world, channels: ['console', 'passkey', 'chat'], voteChannels }).problems ?? []).map(({ message }) => message).join('; ')
  assert.equal(through('[console, api]'), '')
  assert.match(through('[console, slack]'), /slack is not configured \(that takes a channel of kind slack/)
  assert.match(through('[cli]'), /cli is not configured \(that takes listeners\.console\.login/)
  assert.match(through('[]'), /names no channel: nobody could approve/)
  assert.match(through('[slack, teams]', 'assurance: console', ['slack', 'teams']), /never as sure as "assurance: console"/)
  assert.match(through('[api]', 'assurance: passkey'), /never as sure as the console alone makes it/)
  assert.match(through('[api]', 'fresh-login: 5m'), /never as sure as the console alone makes it/)
  assert.deepEqual(problemsOf(policy(hold('from: { groups: [oncall] }, escalate: { after: 29m, to: { users: [{ issuer: ci, subject: a }] } }', 'break-glass: { who: { groups: [dba] } },'))), [])
})

test('an obligation that the protocol cannot keep does not load', () => {
  const http = (rule: string) => problemsOf('classification: { orders-api: { paths: { "/c/**": [pii] } } }', policy(`- { name: r, then: allow, methods: [GET], ${rule} }`)).join()
  assert.match(http('mask: { pii: hash }'), /orders-api \(http\) has no masking/)
  assert.match(http('limits: { rows: 10 }'), /cannot limit rows/)
  assert.equal(http('limits: { time: 10s }'), '')
  refused('- { name: r, then: deny, limits: { time: 10s } }', /nothing runs/)
  const alone = (matcher: string) => problemsOf(policy(`- { name: r, then: hold, ${matcher}, approval: { from: { groups: [dba] }, run: when-approved } }`)).join()
  assert.match(alone('actions: [sql.delete]'), /p0\.yaml:3:.*"run: when-approved" cannot be kept for service crm-db \(postgres\)/)
  assert.match(alone('callers: { kind: agent }'), /crm-db/)
  assert.equal(alone('methods: [POST]'), '')
})

test('conditions are compiled and type-checked', () => {
  const wrong = (condition: string, expected: RegExp) => refused(`- { name: r, then: deny, if: '${condition}' }`, expected)
  wrong('caller.grups == "x"', /p\/r: No such key: grups \(at character 8/)
  wrong('caller.kind == 1', /no such overload/)
  wrong('caller.kind', /yields string/)
  wrong('user.name == "x"', /Unknown variable/)
  wrong('http.method ==', /./)
  wrong('http.path.matches("(a")', /missing closing/)
  wrong('http.path.matches(http.method)', /must be a literal/)
  wrong('http.path == "/" && sql.filtered', /reads http and sql/)
  wrong('cel.bind(x, 1, x == 1)', /bind/)
  wrong('http.json.a.all(x, x.all(y, y.all(z, z == 1)))', /nested 2 deep/)
  refused('- { name: r, then: deny, tables: [a.b], if: http.method == "GET" }', /different protocols/)
})

test('YAML that two readers could read differently does not load', () => {
  for (const text of ['', '---\npolicy: a\n---\npolicy: b\n', 'policy: a\npolicy: b\nrules: []\n', 'policy: a\nrules:\n\t- name: x\n', 'policy: p\nrules: !!js/function "x"\n', 'policy: p\nrules: []\n', 'base: &b { then: allow }\npolicy: p\nrules:\n  - { <<: *b, name: x }\n', 'policy: p\nrules:\n  - { name: r, then: deny, tags: [0123] }\n', '[]', 'policy: p\nrules: [null]\n'])
    assert.notDeepEqual(problemsOf(text), [], JSON.stringify(text))
  const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]', ...'bcdefghi'.split('').map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[index]}`).join(',')}]`)].join('\n')
  assert.ok(work(() => assert.notDeepEqual(problemsOf(bomb), [])) < 2_000)
  assert.deepEqual(problemsOf(policy('- { name: no, then: deny, query: { country: no } }')), [])
})

test('with a problem in one file there is no policy set at all', () => {
  const loaded = loadPolicies([{ file: 'good.yaml', text: policy('- { name: a, then: deny }') }, { file: 'bad.yaml', text: 'rules: []' }], world)
  assert.equal(loaded.policies, undefined)
  assert.ok(loaded.problems?.every(({ file }) => file === 'bad.yaml'))
})

test('words for clients have no control characters', () => {
  const said = (because: string): string => problemsOf(policy(`- { name: a, then: deny, because: "${because}" }`)).join()
  for (const text of ['a\\0b', 'a\\e[2J', 'a\\rb']) assert.match(said(text), /must not contain control characters/)
  assert.equal(said('two\\nlines'), '')
})

test('names are unique', () => {
  assert.match(problemsOf(policy('- { name: a, then: deny }'), policy('- { name: b, then: deny }')).join(), /another policy is called "p"/)
  assert.match(problemsOf(policy('- { name: a, then: deny }\n- { name: a, then: deny }')).join(), /p0\.yaml:4:.*same name/)
})

test('what loads and is probably not meant is said', () => {
  const warned = (rules: string, expected: RegExp, head = 'policy: p') => assert.match(warningsOf(policy(rules, head)).join('\n'), expected)
  warned('- { name: a, then: allow }', /allows everything to everybody/)
  warned('- { name: a, then: allow, methods: [GET] }', /allows any caller/)
  warned('- { name: a, then: deny, methods: [] }', /matches nothing.*nothing is held or denied/)
  warned('- { name: a, then: deny, methods: [GET] }', /without "because"[^]*without "instead"/)
  warned('- { name: a, then: deny, tables: [x.y] }', /no service can meet/, 'policy: p\nservices: [orders-api]')
  warned('- { name: d, then: deny, paths: ["/admin/**"] }\n- { name: a, then: allow, methods: [GET], paths: ["/admin/x"] }', /p\/a: never has an effect.*p\/d/)
  warned(`- { name: d, then: deny, if: 'http.path.matches("x")' }`, /anywhere in the text/)
  assert.deepEqual(warningsOf(policy('- { name: d, then: deny, methods: [PUT], because: No., instead: Ask. }\n- { name: a, then: allow, methods: [GET], callers: { kind: agent } }')), [])
})

test('tags come from every reading of a path', () => {
  const { tagsOf } = load('classification:\n  orders-api:\n    paths: { "/v1/customers/**": [pii], "/v1/**": [internal] }\n  crm-db:\n    tables: { public.customers: [pii] }\n')
  assert.deepEqual(tagsOf('orders-api', 'path', '/v1/customers/7'), ['internal', 'pii'])
  assert.deepEqual(tagsOf('orders-api', 'path', '//v1;a/customers/7'), ['internal', 'pii'])
  assert.deepEqual(tagsOf('orders-api', 'path', '/V1/Customers/7'), ['internal', 'pii'])
  assert.deepEqual(tagsOf('orders-api', 'path', '/v2'), [])
  assert.deepEqual(tagsOf('crm-db', 'table', 'public.customers'), ['pii'])
  assert.deepEqual(tagsOf('nowhere', 'path', '/v1'), [])
})
