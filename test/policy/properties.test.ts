import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Action, ActionPart } from '../../src/model/action.ts'
import type { Caller } from '../../src/model/caller.ts'
import { agent, http, load, policy, service, world } from './world.ts'
import { loadPolicies } from '../../src/policy/load.ts'
import type { ExplainingPolicySet, PolicySet } from '../../src/policy/policy-set.ts'

const PATHS = ['/**', '/a', '/a/**', '/a/*', '/*/b', '/**/b', '/b/**', '/a/b', '/a/*/c', '/b*']
const TARGETS = ['/', '/a', '/a/', '/a/b', '//a/b', '/a;x/b', '/b', '/bb', '/a/x/c', '/%61/b', '/c/b', '/a/./b']
const METHODS = ['GET', 'POST', 'PUT', 'DELETE']
const GROUPS = ['agents', 'oncall', 'security']
const HOSTS = ['orders-api', 'staging-api', 'third-api']
const CONDITIONS = ['http.json.n > 1', '"x" in http.query', 'caller.kind == "agent"', 'http.json.list.all(i, i > 0)']

interface RandomRule {
  readonly then: 'allow' | 'hold' | 'deny'
  readonly service: string
  readonly methods: readonly string[] | undefined
  readonly paths: readonly string[] | undefined
  readonly not: boolean
  readonly group: string | undefined
  readonly condition: string | undefined
}

const someRule = (then: readonly RandomRule['then'][]): fc.Arbitrary<RandomRule> =>
  fc.record({
    then: fc.constantFrom(...then),
    service: fc.constantFrom('*', ...HOSTS),
    methods: fc.option(fc.subarray(METHODS), { nil: undefined }),
    paths: fc.option(fc.subarray(PATHS, { minLength: 1, maxLength: 3 }), { nil: undefined }),
    not: fc.boolean(),
    group: fc.option(fc.constantFrom(...GROUPS), { nil: undefined }),
    condition: fc.option(fc.constantFrom(...CONDITIONS), { nil: undefined, freq: 4 }),
  })

const ruleText = (rule: RandomRule, index: number): string =>
  JSON.stringify({
    policy: `p${index}`,
    services: [rule.service],
    rules: [{
      name: 'r', then: rule.then, methods: rule.methods, paths: rule.paths === undefined ? undefined : rule.not ? { not: rule.paths } : rule.paths,
      callers: rule.group === undefined ? undefined : { groups: rule.not ? { not: [rule.group] } : [rule.group] }, if: rule.condition,
      approval: rule.then === 'hold' ? { from: { groups: ['security'] } } : undefined,
    }],
  })

const wider = { ...world, services: HOSTS.map((name) => service(name)) }

const compile = (rules: readonly (readonly [RandomRule, number])[]): PolicySet => {
  const loaded = loadPolicies(rules.map(([rule, index]) => ({ file: `${index}.yaml`, text: ruleText(rule, index) })), wider)
  assert.ok(loaded.policies, JSON.stringify(loaded.problems))
  return loaded.policies
}

const someCaller: fc.Arbitrary<Caller> = fc.option(fc.subarray(GROUPS), { nil: undefined }).map((groups) => ({ ...agent, groups }))
const someAction: fc.Arbitrary<Action> = fc
  .record({ method: fc.constantFrom(...METHODS), target: fc.constantFrom(...TARGETS), service: fc.constantFrom(...HOSTS), json: fc.constantFrom(undefined, { n: 2 }, { n: 0, list: [1] }, { list: 'x' }) })
  .map(({ method, target, ...more }) => http(method, target, more))
const someRequests = fc.array(fc.tuple(someCaller, someAction), { minLength: 1, maxLength: 12 })

const numbered = (rules: readonly RandomRule[]): readonly (readonly [RandomRule, number])[] => rules.map((rule, index) => [rule, index] as const)
const STRICTNESS = { allow: 0, hold: 1, deny: 2 }

test('adding a rule that holds or denies never widens access', () => {
  fc.assert(
    fc.property(fc.array(someRule(['allow', 'hold', 'deny']), { minLength: 1, maxLength: 8 }), someRule(['deny', 'hold']), someRequests, (rules, added, requests) => {
      const before = compile(numbered(rules))
      const after = compile([...numbered(rules), [added, 99]])
      for (const [caller, action] of requests) {
        const [was, is] = [before.decide(caller, action, 0).verdict, after.decide(caller, action, 0).verdict]
        if (added.then === 'deny') assert.ok(STRICTNESS[is] >= STRICTNESS[was], `${was} became ${is}`)
        else {
          // A hold may take the place of "no rule matched"; it never turns anything into an allow.
          assert.ok(is !== 'allow' || was === 'allow', `${was} became ${is}`)
          if (was === 'deny' && is === 'hold') assert.ok(!before.decide(caller, action, 0).matched.some(({ then }) => then === 'deny'))
        }
      }
    }),
    { numRuns: 2000 },
  )
})

test('the order of files never matters', () => {
  fc.assert(
    fc.property(fc.array(someRule(['allow', 'hold', 'deny']), { minLength: 2, maxLength: 8 }), fc.infiniteStream(fc.nat()), someRequests, (rules, seeds, requests) => {
      const sorted = numbered(rules)
      const shuffled = sorted.map((rule) => [seeds.next().value, rule] as const).toSorted(([a], [b]) => a - b).map(([, rule]) => rule)
      const [one, other] = [compile(sorted), compile(shuffled)]
      assert.equal(one.version, other.version)
      for (const [caller, action] of requests) assert.deepEqual(one.decide(caller, action, 0), other.decide(caller, action, 0))
    }),
    { numRuns: 200 },
  )
})

test('the index answers as the rules one by one do, and explain agrees with decide', () => {
  fc.assert(
    fc.property(fc.array(someRule(['allow', 'hold', 'deny']), { minLength: 1, maxLength: 8 }), someRequests, (rules, requests) => {
      const set = loadPolicies(numbered(rules).map(([rule, index]) => ({ file: `${index}.yaml`, text: ruleText(rule, index) })), wider).policies
      assert.ok(set)
      for (const [caller, action] of requests) {
        const { decision, rules: explained } = set.explain(caller, action, 0)
        assert.deepEqual(explained.filter(({ matched }) => matched).map(({ rule }) => rule), decision.matched)
        const held = decision.matched.some(({ then }) => then === 'hold')
        if (held) assert.ok(set.needsBody(action.service, action.verb, action.resources[0]?.name ?? ''))
      }
    }),
    { numRuns: 300 },
  )
})

test('decide never throws, whatever the action carries', () => {
  const set = load('classification: { orders-api: { paths: { "/a/**": [pii] } } }', policy(`
- { name: a, then: allow, paths: ["/**"], query: { a: b } }
- { name: b, then: allow, tags: { not: [pii] }, if: 'http.json.a.exists(x, x == http.json.b) || http.headers["x"] == "y"' }
- { name: c, then: hold, path-regex: ["^/(a|b)+$"], if: 'http.path.matches("^(a+)+$")', approval: { from: { groups: [security] } } }
- { name: d, then: deny, callers: { addresses: [10.0.0.0/8], email-domains: [x.test], on-behalf-of: { kind: human } } }
`))
  fc.assert(
    fc.property(fc.string(), fc.webPath(), fc.object({ maxDepth: 3 }), fc.dictionary(fc.string(), fc.anything()), fc.string(), (verb, path, json, query, address) => {
      const action = { ...http('GET', '/'), verb, verbs: [verb], resources: [{ kind: 'path' as const, name: path, access: 'read' as const, tags: [] }], facts: { http: { json, query, path } } }
      const { verdict } = set.decide({ ...agent, address, email: address }, action, 0)
      assert.ok(verdict in STRICTNESS)
    }),
    { numRuns: 1000 },
  )
})

const VERBS = ['sql.select', 'sql.update', 'sql.delete', 'sql.ddl', 'sql.transaction', 'sql.set', 'sql.unknown']
const TABLES = ['public.t', 'public.cards', 'app.t', 't']

interface SqlRule {
  readonly then: 'allow' | 'hold' | 'deny'
  readonly verbs: readonly string[] | undefined
  readonly tables: readonly string[] | undefined
  readonly not: boolean
  readonly condition: string | undefined
}

const someSqlRule = (then: readonly SqlRule['then'][]): fc.Arbitrary<SqlRule> =>
  fc.record({
    then: fc.constantFrom(...then),
    verbs: fc.option(fc.subarray([...VERBS, 'sql.*', 'sql.**'], { minLength: 1 }), { nil: undefined }),
    tables: fc.option(fc.subarray(['public.t', 'public.*', '*.t', '**'], { minLength: 1 }), { nil: undefined }),
    not: fc.boolean(),
    condition: fc.option(fc.constantFrom('sql.filtered', 'sql.estimatedRows > 10', "sql.tables.exists(t, t == 'app.t')"), { nil: undefined, freq: 4 }),
  })

const sqlRuleText = ({ then, verbs, tables, not, condition }: SqlRule, index: number): string =>
  JSON.stringify({
    policy: `p${index}`,
    services: ['crm-db'],
    rules: [{ name: 'r', then, actions: verbs, tables: tables === undefined ? undefined : not ? { not: tables } : tables, if: condition, approval: then === 'hold' ? { from: { groups: ['security'] } } : undefined }],
  })

const compileSql = (rules: readonly SqlRule[]): ExplainingPolicySet => {
  const loaded = loadPolicies(rules.map((rule, index) => ({ file: `${index}.yaml`, text: sqlRuleText(rule, index) })), { ...world, services: [service('crm-db', 'postgres')] })
  assert.ok(loaded.policies, JSON.stringify(loaded.problems))
  return loaded.policies
}

const somePart: fc.Arbitrary<ActionPart> = fc
  .record({ verbs: fc.subarray(VERBS, { minLength: 1, maxLength: 3 }), tables: fc.subarray(TABLES), filtered: fc.option(fc.boolean(), { nil: undefined }), estimatedRows: fc.option(fc.constantFrom(5, 50), { nil: undefined }) })
  .map(({ verbs, tables, ...facts }) => ({ verb: verbs[0] ?? '', verbs, effect: 'write', tags: [], resources: tables.map((name) => ({ kind: 'table', name, access: 'write', tags: [] })), facts: { sql: { ...facts, tables } } }))
const someStatements = fc.array(fc.array(somePart, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 8 })

const alone = (part: ActionPart): Action => ({ protocol: 'postgres', service: 'crm-db', text: '', textCut: false, digest: 'sha256:aa', shape: 's', ...part })
const asText = (parts: readonly ActionPart[]): Action => ({ ...alone({ ...(parts[0] as ActionPart), verbs: parts.flatMap(({ verbs }) => verbs), resources: parts.flatMap(({ resources }) => resources) }), parts })

test('SQL: adding a rule that holds or denies never widens access, for one statement or for several', () => {
  fc.assert(
    fc.property(fc.array(someSqlRule(['allow', 'hold', 'deny']), { minLength: 1, maxLength: 8 }), someSqlRule(['deny', 'hold']), someStatements, (rules, added, texts) => {
      const [before, after] = [compileSql(rules), compileSql([...rules, added])]
      for (const action of texts.flatMap((parts) => [...parts.map(alone), asText(parts)])) {
        const [was, is] = [before.decide(agent, action, 0).verdict, after.decide(agent, action, 0).verdict]
        if (added.then === 'deny') assert.ok(STRICTNESS[is] >= STRICTNESS[was], `${was} became ${is}`)
        else assert.ok(is !== 'allow' || was === 'allow', `${was} became ${is}`)
      }
    }),
    { numRuns: 1000 },
  )
})

test('SQL: several statements are decided as the gravest of them, whatever their order, and explain agrees', () => {
  fc.assert(
    fc.property(fc.array(someSqlRule(['allow', 'hold', 'deny']), { minLength: 1, maxLength: 8 }), someStatements, (rules, texts) => {
      const set = compileSql(rules)
      for (const parts of texts) {
        const decision = set.decide(agent, asText(parts), 0)
        const single = parts.map((part) => set.decide(agent, alone(part), 0))
        assert.equal(STRICTNESS[decision.verdict], Math.max(...single.map(({ verdict }) => STRICTNESS[verdict])))
        assert.deepEqual(decision, set.decide(agent, asText(parts.toReversed()), 0))
        assert.equal(decision.terms === undefined, decision.verdict !== 'hold')
        const explained = set.explain(agent, asText(parts), 0)
        assert.deepEqual(new Set(explained.rules.filter(({ matched }) => matched).map(({ rule }) => rule)), new Set(decision.matched))
        if (decision.verdict === 'hold') for (const one of single) for (const requirement of one.terms?.requirements ?? []) assert.ok(decision.terms?.requirements.includes(requirement))
      }
    }),
    { numRuns: 500 },
  )
})
