import assert from 'node:assert/strict'
import { test } from 'node:test'
import { policy, problemsOf, warningsOf } from './world.ts'

const HOLD = 'approval: { from: { groups: [dba] } }, because: x'
const DENY = 'because: x, instead: x'
const ALLOW = 'callers: { groups: [agents] }'

const warn = (rule: string, head = 'policy: p\nservices: [crm-db]'): string => warningsOf(policy(`- { name: r, ${rule} }`, head)).join('\n')
const said = (rule: string, expected: RegExp, head?: string): void => assert.match(warn(rule, head), expected)
const quiet = (rule: string, head?: string): void => assert.equal(warn(rule, head), '')

test('rules that no service of their policy can meet say why', () => {
  said(`then: allow, ${ALLOW}, columns: [public.a.b]`, /no service can meet this rule: it speaks of postgres or mysql, and its policy is about services of http/, 'policy: p\nservices: [orders-api]')
  said(`then: deny, ${DENY}, paths: ["/x"]`, /it speaks of http, and its policy is about services of postgres/)
  said(`then: deny, ${DENY}, actions: [sql.ddl], labels: { environment: nowhere }`, /: no service can meet this rule$/m)
})

test('kinds that a rule cannot match, or that are more than is meant', () => {
  said(`then: allow, ${ALLOW}, tables: [public.a]`, /allows every kind of statement/)
  said(`then: hold, ${HOLD}, callers: { kind: agent }`, /holds every statement, BEGIN, COMMIT and SET too/)
  said(`then: hold, ${HOLD}, actions: [sql.transaction]`, /a COMMIT that waits keeps the locks/)
  said(`then: allow, ${ALLOW}, actions: [sql.merge, sql.select]`, /a MERGE is also what its branches do/)
  said(`then: deny, ${DENY}, actions: [sql.do], tables: [public.a]`, /statements of the kind sql\.do name none of its "tables", so the rule matches nothing/)
  quiet(`then: allow, ${ALLOW}, actions: [sql.merge, sql.update], tables: [public.a]`)
  quiet(`then: deny, ${DENY}, actions: [sql.do]`)
  quiet(`then: deny, ${DENY}, callers: { kind: workload }`)
})

test('names that no object has', () => {
  said(`then: deny, ${DENY}, tables: [public.Customers]`, /"public\.Customers" has capitals/)
  quiet(`then: deny, ${DENY}, tables: ['public."Customers"']`)
  assert.match(problemsOf(policy(`- { name: r, then: deny, tables: [customers] }`)).join(), /did you mean "public\.customers"/)
  assert.match(problemsOf(policy(`- { name: r, then: deny, actions: [sql.delet] }`)).join(), /no action is called "sql\.delet"; did you mean "sql\.delete"/)
  assert.match(problemsOf(policy(`- { name: r, then: allow, actions: [sql.select], approval: { from: { groups: [dba] }, drift: 2x } }`)).join(), /"approval" has no meaning in a rule that says allow/)
})

test('a rule that shows what another one masks for the same callers', () => {
  const READ = `{ name: read, then: allow, ${ALLOW}, actions: [sql.select], tables: ["public.*"], mask: { public.a.b: redact } }`
  const beside = (rule: string): string => warningsOf(policy(`- ${READ}\n- { name: r, ${rule} }`, 'policy: p\nservices: [crm-db]')).join('\n')
  assert.match(beside(`then: allow, ${ALLOW}, actions: [sql.copy.out], tables: [public.a]`), /rule p\/r: allows sql\.copy\.out without the mask of public\.a\.b that rule "read" has for the same callers/)
  assert.match(beside(`then: allow, ${ALLOW}, actions: [sql.select, sql.insert]`), /allows sql\.insert without the mask/)
  assert.match(beside(`then: allow, ${ALLOW}, actions: [sql.delete], tables: [public.a]`), /allows sql\.delete without the mask/)
  for (const rule of [
    `then: hold, ${HOLD}, ${ALLOW}, actions: [sql.delete], tables: [public.a]`,
    `then: allow, ${ALLOW}, actions: [sql.copy.out], tables: [public.c]`,
    `then: allow, ${ALLOW}, actions: [sql.copy.out], tables: [public.a], mask: { public.a.b: hash }`,
    `then: allow, ${ALLOW}, actions: [sql.select], tables: [public.a]`,
    `then: allow, ${ALLOW}, actions: [sql.insert], tables: [public.a]`,
    'then: allow, callers: { groups: [dba] }, actions: [sql.copy.out], tables: [public.a]',
  ]) assert.equal(beside(rule), '', rule)
})

test('a mask for a table that its rule does not allow is for nothing', () => {
  said(`then: allow, ${ALLOW}, actions: [sql.select], tables: [public.a], mask: { public.b.email: redact }`, /"public\.b\.email" is a column of a table that the rule does not allow/)
  quiet(`then: allow, ${ALLOW}, actions: [sql.select], tables: ["public.*"], mask: { public.b.email: redact }`)
  quiet(`then: allow, ${ALLOW}, actions: [sql.select], tables: { not: [public.c] }, mask: { public.b.email: redact }`)
})

test('comparisons of a fact with what it never is', () => {
  const condition = (text: string, expected: RegExp): void => said(`then: deny, ${DENY}, if: '${text}'`, expected)
  condition('sql.transaction == "open"', /"sql\.transaction" is never "open": it is one of none, clean, written/)
  condition('!("begun" != sql.transaction)', /never "begun"/)
  condition('sql.statement == "DELETE"', /"sql\.statement" is never "DELETE"/)
  condition('sql.statement in ["delete", "delte"]', /never "delte"; did you mean "delete"/)
  condition('action.verb == "sql.drop"', /"action\.verb" is never "sql\.drop"/)
  condition('sql.pure && caller.kind == "person"', /never "person": it is one of human, workload, agent/)
  condition('"delete" in sql.verbs', /"sql\.verbs" never has "delete"; did you mean "sql\.delete"/)
  condition('"customers" in sql.tables', /"sql\.tables" has names with their schema: "customers" names no schema/)
  condition('"public.customers.email" in sql.columns', /names of columns alone, such as "email"/)
  for (const text of ['sql.transaction == "written"', '"sql.delete" in sql.verbs', '"public.customers" in sql.tablesWritten', '"email" in sql.columns', '"refresh" in sql.functions', 'sql.statement in ["delete", "copy.out"]', '"7" in sql.parameters', 'caller.subject == "anybody"']) quiet(`then: deny, ${DENY}, if: '${text}'`)
})
