import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../../src/model/caller.ts'
import { work } from '../support/work.ts'
import { agent, http, load, policy, sql, verdict } from './world.ts'

const wide = load(policy(`
- { name: all, then: allow, callers: { kind: [human, workload, agent] } }
- { name: admin, then: hold, methods: [POST, DELETE], paths: ["/admin/**"], approval: { from: { groups: [security] } } }
- { name: internal, then: deny, paths: ["/internal/**"] }
`))

test('no match is deny, and deny beats hold beats allow', () => {
  assert.equal(verdict(wide, http('GET', '/x')), 'allow')
  assert.equal(verdict(wide, http('POST', '/admin/users')), 'hold')
  assert.equal(verdict(wide, http('GET', '/admin/users')), 'allow')
  assert.equal(verdict(wide, http('POST', '/internal')), 'deny')
  assert.equal(verdict(load(policy('- { name: a, then: allow, paths: [/a] }')), http('GET', '/b')), 'deny')
  assert.equal(verdict(wide, http('GET', '/x', { service: 'nowhere' })), 'deny')
})

test('no spelling of a path hides it from a rule that holds or denies', () => {
  for (const path of ['/internal;x=y/keys;z=1', '/internal;/keys', '//internal/keys', '///internal/keys', '/internal//keys', '/internal/', '/./internal/keys', '/x/..//internal/k', '/internal%2fkeys', '/%69nternal/keys', '/internal%3bx=y/keys', '/internal\\keys', '/a;b/../internal/k', '/internal/*', '/internal/$1', '/internal/(.*)+', '/internal/%7Bid%7D', '/internal/%ff', '/internal.', '/internal./keys', '/internal%20', '/internal%20/keys', '/internal.%20.;x/keys', '/internal%2e', '/internal%09', '/internal%00', '/internal%00/keys', '/x/..%20/internal/k', '/.../internal'])
    assert.equal(verdict(wide, http('GET', path)), 'deny', path)
  for (const path of ['/admin;x=y/users;z=1', '//admin/users', '/admin/']) assert.equal(verdict(wide, http('POST', path)), 'hold', path)
  for (const path of ['/internals', '/internals/x', '/x/internal', '/internal.bak', '/intern.al', '/.internal', '/v1./x', '/%20']) assert.equal(verdict(wide, http('GET', path)), 'allow', path)
})

test('an allow rule believes only the path as it stands, and its "not" every reading', () => {
  const narrow = load(policy(`
- { name: exact, then: allow, methods: [GET], paths: [/exposed, "/public/*/x", "/tree/**"] }
- { name: rest, then: allow, methods: [PUT], paths: { not: ["/secret/**"] } }
`))
  for (const path of ['/exposed', '/public/a/x', '/tree', '/tree/a/b']) assert.equal(verdict(narrow, http('GET', path)), 'allow', path)
  for (const path of ['/exposed-extra', '/exposed/', '//exposed', '/exposed;a', '/exposed.', '/exposed%20', '/exposed.bak', '/public/x', '/public/a/b/x', '/**', '/treehouse', '/{any}/x', '/expose%64']) assert.equal(verdict(narrow, http('GET', path)), 'deny', path)
  assert.equal(verdict(narrow, http('PUT', '/other')), 'allow')
  for (const path of ['/secret', '/secret;x/y', '//secret/a', '/%73ecret/a', '/secret./a', '/secret%20']) assert.equal(verdict(narrow, http('PUT', path)), 'deny', path)
})

test('no case of letters hides a path from a rule that holds or denies, and none opens an allow', () => {
  for (const path of ['/Internal/keys', '/INTERNAL', '/internal%2FKEYS', '/%49nternal/keys', '//iNternal/a']) assert.equal(verdict(wide, http('GET', path)), 'deny', path)
  assert.equal(verdict(wide, http('POST', '/Admin/users')), 'hold')
  assert.equal(wide.needsBody('orders-api', 'http.POST', '/ADMIN/users'), true)
  const cased = load(policy(`
- { name: exact, then: allow, methods: [GET], paths: ["/v1/**"] }
- { name: rest, then: allow, methods: [PUT], paths: { not: ["/Secret/**"] } }
- { name: all-but, then: allow, methods: [POST] }
- { name: but, then: deny, methods: [POST], paths: { not: ["/open/**"] } }
- { name: upper, then: deny, paths: ["/v1/Exports"] }
- { name: regex, then: deny, path-regex: ["^/v1/[A-Z]+Admin$", "^/v1/[^A-Z]+$"], callers: { kind: workload } }
`))
  assert.equal(verdict(cased, http('GET', '/v1/a')), 'allow')
  for (const path of ['/V1/a', '/v1/exports', '/v1/Exports', '/v1/EXPORTS/']) assert.equal(verdict(cased, http('GET', path)), 'deny', path)
  for (const path of ['/secret/a', '/Secret/a', '/SECRET']) assert.equal(verdict(cased, http('PUT', path)), 'deny', path)
  assert.equal(verdict(cased, http('PUT', '/other')), 'allow')
  assert.equal(verdict(cased, http('POST', '/open/a')), 'allow')
  assert.equal(verdict(cased, http('POST', '/OPEN/a')), 'deny', 'as it stands it is not on the list')
  const workload = { ...agent, kind: 'workload' as const }
  for (const path of ['/v1/xadmin', '/v1/XAdmin', '/v1/1']) assert.equal(cased.decide(workload, http('GET', path), 0).verdict, 'deny', path)
})

test('path-regex is matched against the whole path, in linear time', () => {
  const regex = load(policy(`- { name: r, then: allow, methods: [GET], path-regex: ["^/(?:[a-z]+/)*[a-z]+/end$", "^/a$|^/b$"] }`))
  assert.equal(verdict(regex, http('GET', '/x/y/end')), 'allow')
  assert.equal(verdict(regex, http('GET', '/b')), 'allow')
  assert.equal(verdict(regex, http('GET', '/b/c')), 'deny')
  assert.ok(work(() => assert.equal(verdict(regex, http('GET', `/${'a/'.repeat(3900)}!`)), 'deny')) < 2_000)
})

test('all values of a query key must match, however it is spelled', () => {
  const search = load(policy(`
- { name: s, then: allow, methods: [GET], paths: [/search], query: { role: user } }
- { name: all, then: allow, methods: [POST], callers: { kind: agent } }
- { name: purge, then: hold, methods: [POST], query: { mode: { not: [dry] } }, approval: { from: { groups: [oncall] } } }
- { name: force, then: deny, methods: [POST], query: { force: ["1", "true"] } }
`))
  assert.equal(verdict(search, http('GET', '/search?role=user')), 'allow')
  assert.equal(verdict(search, http('GET', '/search?role=user&x=1')), 'allow')
  for (const query of ['', '?role=user&role=admin', '?role=admin&role=user', '?role=user&role[]=admin', '?role=user&%72ole=admin', '?role=user;role=admin', '?role=user&x=1;role=admin', '?role=user&Role=admin', '?role=user&role[0]=admin', '?role=user&role=', '?role=user&a;role=admin'])
    assert.equal(verdict(search, http('GET', `/search${query}`)), 'deny', query)
  assert.equal(verdict(search, http('POST', '/x?mode=dry')), 'allow')
  for (const query of ['', '?mode=wet', '?mode=dry&mode=wet', '?mode=dry&mode[]=wet', '?mode=dry;mode=wet']) assert.equal(verdict(search, http('POST', `/x${query}`)), 'hold', query)
  for (const query of ['?mode=dry&force=1', '?mode=dry&force=0&force=true', '?mode=dry&force[]=1', '?mode=dry;force=1']) assert.equal(verdict(search, http('POST', `/x${query}`)), 'deny', query)
})

test('unknown groups match a rule that holds or denies, and no rule that allows', () => {
  const groups = load(policy(`
- { name: a, then: allow, paths: [/a], callers: { groups: [agents] } }
- { name: n, then: allow, paths: [/n], callers: { groups: { not: [support] } } }
- { name: all, then: allow, paths: [/d, /dn], callers: { kind: agent } }
- { name: d, then: deny, paths: [/d], callers: { groups: [support] } }
- { name: dn, then: deny, paths: [/dn], callers: { groups: { not: [support] } } }
`))
  const unknown = { ...agent, groups: undefined }
  const support = { ...agent, groups: ['support'] }
  for (const path of ['/a', '/n', '/d', '/dn']) assert.equal(verdict(groups, http('GET', path), unknown), 'deny', path)
  for (const path of ['/a', '/n', '/d']) assert.equal(verdict(groups, http('GET', path)), 'allow', path)
  assert.equal(verdict(groups, http('GET', '/dn')), 'deny')
  assert.equal(verdict(groups, http('GET', '/n'), support), 'deny')
  assert.equal(verdict(groups, http('GET', '/d'), support), 'deny')
  assert.equal(verdict(groups, http('GET', '/dn'), support), 'allow')
})

test('an empty list matches nothing', () => {
  for (const lists of ['callers: { groups: [] }', 'methods: []', 'paths: []', 'tags: []', 'callers: { kind: [] }', 'callers: { addresses: [] }', 'callers: { subjects: [] }'])
    assert.equal(verdict(load(policy(`- { name: r, then: allow, ${lists} }`)), http('GET', '/x')), 'deny', lists)
})

test('callers by kind, issuer, subject, domain, client, address and chain', () => {
  const rule = (callers: string) => load(policy(`- { name: r, then: allow, methods: [GET], callers: { ${callers} } }`))
  const runner: Caller = { ...agent, issuer: 'https://ci.test', subject: 'repo:acme/app:ref:refs/heads/main', kind: 'workload', clientId: 'deployer', address: '::ffff:10.0.0.7' }
  const delegated: Caller = { ...agent, onBehalfOf: [{ issuer: 'https://idp.test', subject: 'alice', kind: 'human', groups: ['support'] }] }
  const yes = (callers: string, who = runner) => assert.equal(verdict(rule(callers), http('GET', '/x'), who), 'allow', callers)
  const no = (callers: string, who = runner) => assert.equal(verdict(rule(callers), http('GET', '/x'), who), 'deny', callers)
  yes('issuers: [ci]')
  yes('issuers: ["https://ci.test"]')
  no('issuers: ["https://idp.test"]')
  yes('subjects: ["repo:acme/*:ref:refs/heads/main"]')
  yes('subjects: ["repo:acme/**"]')
  no('subjects: ["repo:acme/*:ref:refs/heads/*-main"]')
  no('subjects: ["repo:acme/app"]')
  no('subjects: ["repo/acme:app:ref:refs/heads/main"]')
  yes('client-ids: [deployer]')
  yes('addresses: [10.0.0.0/8]')
  no('addresses: ["192.168.0.0/16", "fd00::/8"]')
  yes('email-domains: [CORP.test]', agent)
  no('email-domains: [test]', agent)
  const { email: _, ...nameless } = agent
  no('email-domains: { not: [evil.test] }', nameless)
  yes('on-behalf-of: { groups: [support] }', delegated)
  no('on-behalf-of: { groups: [support] }', agent)
  yes('on-behalf-of: nobody', agent)
  no('on-behalf-of: nobody', delegated)
  yes('on-behalf-of: anybody', delegated)
})

test('tables: an allow needs all of them, a deny one of them; and they say nothing about other protocols', () => {
  const tables = load(policy(`
- { name: read, then: allow, actions: [sql.select], tables: { not: [public.cards] } }
- { name: only, then: allow, actions: [sql.insert], tables: ["app.*"] }
- { name: no, then: deny, actions: [sql.copy], tables: ["secrets.*"] }
- { name: copies, then: allow, actions: ["sql.*.*"] }
`))
  assert.equal(verdict(tables, sql('sql.select', ['public.t'])), 'allow')
  assert.equal(verdict(tables, sql('sql.select', ['public.t', 'public.cards'])), 'deny')
  assert.equal(verdict(tables, sql('sql.insert', ['app.a', 'app.b'])), 'allow')
  assert.equal(verdict(tables, sql('sql.insert', ['app.a', 'other.b'])), 'deny')
  assert.equal(verdict(tables, sql('sql.insert', [])), 'deny')
  assert.equal(verdict(tables, sql('sql.copy.out', ['secrets.keys'])), 'deny')
  assert.equal(verdict(tables, sql('sql.copy.out', ['app.a'])), 'allow')
})

test('an action that could not be understood is allowed only by a rule that names it', () => {
  const rules = load(policy(`
- { name: all, then: allow, callers: { kind: agent } }
- { name: sql, then: allow, actions: ["sql.*"] }
`))
  assert.equal(verdict(rules, sql('sql.select', [])), 'allow')
  assert.equal(verdict(rules, sql('sql.unknown', [])), 'deny')
  assert.equal(verdict(load(policy('- { name: u, then: allow, actions: [sql.unknown] }')), sql('sql.unknown', [])), 'allow')
})

test('a WebSocket is opened only by a rule that names it', () => {
  const rules = load(policy(`
- { name: paths, then: allow, paths: ["/**"] }
- { name: wild, then: allow, actions: ["http.*"] }
- { name: named, then: allow, actions: [http.websocket], paths: [/ws/chat] }
- { name: closed, then: deny, paths: ["/internal/**"] }
`))
  const upgrade = (path: string) => verdict(rules, { ...http('GET', path), verb: 'http.websocket', verbs: ['http.websocket'] })
  assert.deepEqual([upgrade('/ws/chat'), upgrade('/other'), upgrade('/internal/x')], ['allow', 'deny', 'deny'])
})

test('the glass is broken for all hold rules that match, or for none', () => {
  const glass = (group: string) => `break-glass: { who: { groups: [${group}] } }`
  const rules = load(policy(`
- { name: wide, then: hold, methods: [POST], approval: { from: { groups: [oncall] } }, ${glass('security')} }
- { name: narrow, then: hold, methods: [POST], paths: ["/a/**"], approval: { from: { groups: [dba] } }, ${glass('support')} }
- { name: silent, then: hold, methods: [POST], paths: ["/a/b/**"], approval: { from: { groups: [dba] } } }
`), policy(`
- { name: watched, then: hold, methods: [POST], approval: { from: { groups: [dba] } } }
`, 'policy: observing\nmode: observe'))
  const groups = (path: string) => rules.decide(agent, http('POST', path), 0).terms?.breakGlass?.map((circle) => [circle.rule, circle.groups, circle.reason])
  assert.deepEqual(groups('/x'), [['wide', ['security'], 20]])
  assert.deepEqual(groups('/a/x'), [['narrow', ['support'], 20], ['wide', ['security'], 20]])
  assert.equal(groups('/a/b/c'), undefined)
})

test('terms of all matching hold rules are combined, the more careful one wins', () => {
  const held = load(policy(`
- { name: one, then: hold, methods: [POST], approval: { from: { groups: [oncall] }, within: 20m, run-within: 5m, run: when-approved } }
- { name: two, then: hold, paths: ["/v1/**"], approval: { from: [{ groups: [dba], count: 2 }, { groups: [security] }], within: 1h, run-within: 2m, ask-reason: true } }
`))
  const { terms } = held.decide(agent, http('POST', '/v1/x'), 0)
  assert.deepEqual(terms?.requirements.map(({ rule, groups, count }) => [rule, groups, count]), [['one', ['oncall'], 1], ['two', ['dba'], 2], ['two', ['security'], 1]])
  assert.deepEqual({ ...terms, requirements: 0 }, { requirements: 0, withinMs: 1_200_000, runWithinMs: 120_000, askReason: true, run: 'attached' })
  assert.equal(held.decide(agent, http('GET', '/x'), 0).terms, undefined)
})

test('obligations of all matching rules apply, the stricter one wins; a deny has none', () => {
  const set = load('classification: { crm-db: { columns: { public.t.mail: [pii] } } }', policy(`
- { name: a, then: allow, actions: [sql.select], mask: { pii: partial, public.t.x: redact }, limits: { rows: 1000 } }
- { name: b, then: allow, tables: [public.t], mask: { pii: hash }, limits: { rows: 10, time: 5s } }
- { name: d, then: deny, tables: [public.d] }
`))
  assert.deepEqual(set.decide(agent, sql('sql.select', ['public.t']), 0).obligations, { masks: { 'tag:pii': 'hash', 'column:public.t.x': 'redact' }, limits: { rows: 10, ms: 5000 } })
  assert.deepEqual(set.decide(agent, sql('sql.select', ['public.t', 'public.d']), 0).obligations, { masks: {}, limits: {} })
})

test('a condition that fails while running counts against the caller', () => {
  const set = load(policy(`
- { name: a, then: allow, paths: [/a], if: http.json.amount < 100 }
- { name: all, then: allow, paths: [/d, /h] }
- { name: d, then: deny, paths: [/d], if: http.json.amount > 100 }
- { name: h, then: hold, paths: [/h], if: http.json.amount > 100, approval: { from: { groups: [oncall] } } }
`))
  assert.equal(verdict(set, http('POST', '/a', { json: { amount: 5 } })), 'allow')
  assert.equal(verdict(set, http('POST', '/d', { json: { amount: 5 } })), 'allow')
  for (const json of [undefined, null, [], { amount: 'x' }, { amount: {} }, {}, 'text']) {
    assert.equal(verdict(set, http('POST', '/a', { json })), 'deny', JSON.stringify(json))
    assert.equal(verdict(set, http('POST', '/d', { json })), 'deny', JSON.stringify(json))
    assert.equal(verdict(set, http('POST', '/h', { json })), 'hold', JSON.stringify(json))
  }
})

test('an observed policy is recorded and has no effect', () => {
  const set = load(policy('- { name: a, then: allow, methods: [GET] }'), policy(`
- { name: d, then: deny, paths: ["/**"] }
- { name: more, then: allow, methods: [POST] }
`, 'policy: trial\nmode: observe'))
  const read = set.decide(agent, http('GET', '/x'), 0)
  assert.equal(read.verdict, 'allow')
  assert.deepEqual(read.matched.map(({ rule, observed }) => [rule, observed]), [['a', false], ['d', true]])
  assert.equal(verdict(set, http('POST', '/x')), 'deny')
})

test('labels and services choose where a rule applies', () => {
  const set = load(policy('- { name: a, then: allow, methods: [GET] }\n- { name: s, then: deny, labels: { environment: staging } }', 'policy: p\nservices: ["*-api"]'), policy('- { name: p, then: deny, methods: [POST] }\n- { name: w, then: allow, methods: [POST] }', 'policy: q\nservices: { environment: staging }'))
  assert.equal(verdict(set, http('GET', '/x')), 'allow')
  assert.equal(verdict(set, http('GET', '/x', { service: 'staging-api' })), 'deny')
  assert.equal(verdict(set, http('POST', '/x', { service: 'staging-api' })), 'deny')
})

test('needsBody is true exactly where a rule could hold or look into the body', () => {
  const set = load(policy(`
- { name: a, then: allow, methods: [GET, POST, PUT] }
- { name: h, then: hold, methods: [POST], paths: ["/v1/**"], approval: { from: { groups: [oncall] } } }
- { name: j, then: deny, methods: [PUT], paths: [/json], if: http.json.x == 1 }
- { name: q, then: deny, methods: [PUT], paths: [/head], if: '"x" in http.query' }
`))
  assert.equal(set.needsBody('orders-api', 'http.POST', '/v1/x'), true)
  assert.equal(set.needsBody('orders-api', 'http.POST', '//v1;a/x'), true)
  assert.equal(set.needsBody('orders-api', 'http.POST', '/v2/x'), false)
  assert.equal(set.needsBody('orders-api', 'http.GET', '/v1/x'), false)
  assert.equal(set.needsBody('orders-api', 'http.PUT', '/json'), true)
  assert.equal(set.needsBody('orders-api', 'http.PUT', '/head'), false)
})

test('the same set of rules yields the same frozen decision', () => {
  const first = wide.decide(agent, http('GET', '/x'), 0)
  assert.equal(wide.decide(agent, http('GET', '/y'), 0), first)
  assert.ok(Object.isFrozen(first) && Object.isFrozen(first.matched))
})

test('the version depends on what is said, not on the order or the layout', () => {
  const rules = ['- { name: a, then: allow, methods: [GET] }', '- { name: b, then: deny, methods: [PUT] }']
  const version = load(policy(rules.join('\n'))).version
  assert.match(version, /^sha256:[0-9a-f]{64}$/)
  assert.equal(load(policy(rules.toReversed().join('\n'))).version, version)
  assert.notEqual(load(policy(rules.join('\n').replace('PUT', 'POST'))).version, version)
})

test('explain says for each rule whether it matched, or what did not fit', () => {
  const { rules, decision } = wide.explain(agent, http('GET', '/admin/x'), 0)
  assert.equal(decision.verdict, 'allow')
  assert.deepEqual(rules.map(({ rule, matched, failed }) => [rule.rule, matched, failed?.key, failed?.saw]), [['all', true, undefined, undefined], ['admin', false, 'methods', 'http.GET'], ['internal', false, 'paths', '/admin/x']])
})

test('a member called constructor is data like any other', () => {
  const rules = load(policy(`
- { name: all, then: allow, methods: [POST] }
- { name: admin, then: deny, methods: [POST], if: has(http.json.a) && has(http.json.a.admin) }
- { name: named, then: deny, methods: [POST], if: has(http.json.constructor) && http.json.constructor == "x" }
- { name: asked, then: deny, methods: [POST], if: '"constructor" in http.query && http.query.constructor == ["no"]' }
`))
  const decided = (json: string, target = '/'): string => verdict(rules, http('POST', target, { json: JSON.parse(json) as unknown }))
  assert.equal(decided('{"a":{"constructor":{"prototype":{"admin":true}}}}'), 'allow')
  assert.equal(decided('{"a":{"constructor":null}}'), 'allow')
  assert.equal(decided('{"a":{"constructor":1,"admin":true}}'), 'deny')
  assert.equal(decided('{"a":[{"constructor":{}}],"constructor":"y"}'), 'allow')
  assert.equal(decided('{"constructor":"x"}'), 'deny')
  assert.equal(decided('{}', '/?constructor=yes'), 'allow')
  assert.equal(decided('{}', '/?constructor=no'), 'deny')
})
