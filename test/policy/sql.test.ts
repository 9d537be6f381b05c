import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dottedName, dottedSegments, everyColumn } from '../../src/lib/dotted-name.ts'
import type { Action, ActionPart, Resource } from '../../src/model/action.ts'
import { agent, load, policy, problemsOf, verdict, warningsOf } from './world.ts'

interface Statement {
  readonly verbs: readonly string[]
  readonly tables?: readonly string[]
  readonly columns?: readonly string[]
  readonly functions?: readonly string[]
  readonly tags?: readonly string[]
  readonly facts?: Readonly<Record<string, unknown>>
}

const resource = (kind: Resource['kind']) => (name: string): Resource => ({ kind, name, access: 'read', tags: [] })

const part = ({ verbs, tables = [], columns = [], functions = [], tags = [], facts = {} }: Statement): ActionPart => ({
  verb: verbs[0] ?? '', verbs, effect: 'write', tags, facts: { sql: facts },
  resources: [...tables.map(resource('table')), ...columns.map(resource('column')), ...functions.map(resource('function'))],
})

/** One statement as an action; several as an action with parts. */
const asked = (first: Statement, ...more: readonly Statement[]): Action => {
  const parts = [first, ...more].map(part)
  const [only] = parts
  assert.ok(only)
  const whole: ActionPart = parts.length === 1 ? only : { ...only, verbs: parts.flatMap(({ verbs }) => verbs), resources: parts.flatMap(({ resources }) => resources), tags: parts.flatMap(({ tags }) => tags) }
  return { protocol: 'postgres', service: 'crm-db', text: 'sql', textCut: false, digest: 'sha256:aa', shape: 's', ...whole, ...(parts.length > 1 ? { parts } : {}) }
}

const select = (...tables: readonly string[]): Statement => ({ verbs: ['sql.select'], tables })
const BEGIN: Statement = { verbs: ['sql.transaction'] }
const SET: Statement = { verbs: ['sql.set'] }

test('an allow rule answers for everything that a statement does, a hold or a deny for one thing of it', () => {
  const set = load(policy(`
- { name: read, then: allow, actions: [sql.select] }
- { name: both, then: allow, actions: [sql.select, sql.update], tables: ["app.*"] }
- { name: delete, then: hold, actions: [sql.delete], approval: { from: { groups: [dba] } } }
- { name: grant, then: deny, actions: [sql.grant] }
- { name: rest, then: deny, actions: { not: ["sql.select", "sql.update", "sql.delete", "sql.transaction", "sql.set"] }, tables: ["app.*"] }
`))
  assert.equal(verdict(set, asked(select('public.t'))), 'allow')
  assert.equal(verdict(set, asked({ verbs: ['sql.update', 'sql.select'], tables: ['public.t'] })), 'deny')
  assert.equal(verdict(set, asked({ verbs: ['sql.update', 'sql.select'], tables: ['app.t'] })), 'allow')
  assert.equal(verdict(set, asked({ verbs: ['sql.update', 'sql.select'], tables: ['app.t', 'public.t'] })), 'deny')
  assert.equal(verdict(set, asked({ verbs: ['sql.delete', 'sql.select'], tables: ['public.t'] })), 'hold')
  assert.equal(verdict(set, asked({ verbs: ['sql.grant', 'sql.select'], tables: ['public.t'] })), 'deny')
  assert.equal(verdict(set, asked({ verbs: ['sql.select', 'sql.lock'], tables: ['app.t'] })), 'deny', 'a lock is on no list')
  assert.equal(verdict(set, asked({ verbs: [], tables: ['app.t'] })), 'deny', 'what does nothing that we know is not allowed')
})

test('of several statements one denied denies all, one held holds all, and each needs its own rule', () => {
  const set = load(policy(`
- { name: read, then: allow, actions: [sql.select], tables: { not: [secrets.keys] }, limits: { rows: 100 } }
- { name: insert, then: allow, actions: [sql.insert], limits: { time: 5s } }
- { name: delete, then: hold, actions: [sql.delete], approval: { from: { groups: [dba] } } }
- { name: update, then: hold, actions: [sql.update], approval: { from: { groups: [security] } } }
- { name: drop, then: deny, actions: [sql.ddl] }
`))
  const insert: Statement = { verbs: ['sql.insert'], tables: ['public.t'] }
  const [remove, change, drop]: readonly Statement[] = [{ verbs: ['sql.delete'] }, { verbs: ['sql.update'] }, { verbs: ['sql.ddl'] }]
  assert.ok(remove && change && drop)
  const both = set.decide(agent, asked(select('public.t'), insert), 0)
  assert.deepEqual([both.verdict, both.obligations.limits, both.matched.map(({ rule }) => rule)], ['allow', { rows: 100, ms: 5_000 }, ['insert', 'read']])
  assert.equal(verdict(set, asked(select('public.t'), select('secrets.keys'))), 'deny', 'no rule for the second')
  assert.equal(verdict(set, asked(select('secrets.keys'), remove)), 'deny', 'a hold of one is no allow of the other')
  const held = set.decide(agent, asked(select('public.t'), remove, change), 0)
  assert.deepEqual([held.verdict, held.terms?.requirements.map(({ groups }) => groups.join()).toSorted()], ['hold', ['dba', 'security']])
  assert.equal(verdict(set, asked(remove, drop)), 'deny')
  assert.equal(verdict(set, asked(BEGIN, select('public.t'), SET, { verbs: ['sql.transaction'] })), 'allow')
  assert.equal(verdict(set, { ...asked(select('public.t')), parts: [] }), 'deny')
})

test('what touches no data needs no rule, and heeds one that holds or denies', () => {
  const none = load(policy('- { name: read, then: allow, actions: [sql.select] }'))
  for (const statement of [BEGIN, SET, { verbs: ['sql.transaction', 'sql.set'] }]) assert.equal(verdict(none, asked(statement)), 'allow')
  for (const statement of [{ verbs: ['sql.session'] }, { verbs: ['sql.session', 'sql.set'] }, { verbs: ['sql.lock', 'sql.transaction'] }, { verbs: ['sql.set'], tables: ['public.t'] }, { verbs: [] }]) assert.equal(verdict(none, asked(statement)), 'deny', JSON.stringify(statement))
  assert.equal(verdict(none, { ...asked(BEGIN), service: 'nowhere' }), 'deny')
  const denied = load(policy('- { name: no, then: deny, actions: [sql.transaction] }\n- { name: settings, then: hold, actions: [sql.set], approval: { from: { groups: [dba] } } }'))
  assert.deepEqual([verdict(denied, asked(BEGIN)), verdict(denied, asked(SET)), verdict(denied, asked(SET, BEGIN))], ['deny', 'hold', 'deny'])
  const observed = load(policy('- { name: no, then: deny, actions: [sql.transaction] }', 'policy: trial\nmode: observe'))
  const { verdict: seen, matched } = observed.decide(agent, asked(BEGIN), 0)
  assert.deepEqual([seen, matched.length], ['allow', 1])
})

test('the machine under the database, and what is not understood, are allowed only by name', () => {
  const wide = load(policy(`
- { name: all, then: allow, callers: { kind: agent } }
- { name: sql, then: allow, actions: ["sql.**"] }
`))
  assert.equal(verdict(wide, asked({ verbs: ['sql.copy.out'] })), 'allow')
  for (const verb of ['sql.unknown', 'sql.server', 'sql.copy.program']) {
    assert.equal(verdict(wide, asked({ verbs: [verb] })), 'deny', verb)
    assert.equal(verdict(wide, asked({ verbs: [verb, 'sql.select'] })), 'deny', verb)
    assert.equal(verdict(load(policy(`- { name: named, then: allow, actions: [${verb}] }`)), asked({ verbs: [verb] })), 'allow')
  }
  assert.equal(verdict(load(policy('- { name: all, then: allow, actions: ["sql.*", "sql.copy.*"] }\n- { name: copies, then: deny, actions: [sql.copy] }')), asked({ verbs: ['sql.copy.out'] })), 'deny')
})

test('columns: a name for all of them is on every list that counts against the caller', () => {
  const set = load(policy(`
- { name: some, then: allow, actions: [sql.select], columns: [public.t.id, public.t.name] }
- { name: but, then: allow, actions: [sql.update], columns: { not: [public.t.ssn] } }
- { name: all, then: allow, actions: [sql.insert] }
- { name: no, then: deny, actions: [sql.insert], columns: [public.t.ssn] }
- { name: only, then: deny, actions: [sql.insert], columns: { not: ["public.*.*"] } }
`))
  const with_ = (verb: string, ...columns: readonly string[]): string => verdict(set, asked({ verbs: [verb], columns }))
  assert.deepEqual([with_('sql.select', 'public.t.id'), with_('sql.select', 'public.t.id', 'public.t.ssn'), with_('sql.select', 'public.t.*'), with_('sql.select')], ['allow', 'deny', 'deny', 'deny'])
  assert.deepEqual([with_('sql.update', 'public.t.id'), with_('sql.update', 'public.t.ssn'), with_('sql.update', 'public.t.*'), with_('sql.update', 'public.u.*'), with_('sql.update', 'ssn')], ['allow', 'deny', 'deny', 'allow', 'deny'])
  assert.deepEqual([with_('sql.insert', 'public.t.id'), with_('sql.insert', 'public.t.ssn'), with_('sql.insert', 'public.t.*'), with_('sql.insert', 'other.t.id'), with_('sql.insert', 't.ssn')], ['allow', 'deny', 'deny', 'deny', 'deny'])
  assert.equal(with_('sql.update', everyColumn('public', 't')), 'deny')
})

test('functions: a call without a schema may be any of that name, which an allow rule does not believe', () => {
  const set = load(policy(`
- { name: refresh, then: allow, actions: [sql.call], functions: [app.refresh] }
- { name: read, then: allow, actions: [sql.select] }
- { name: sleep, then: deny, functions: [pg_sleep, app.purge] }
`))
  const calls = (verb: string, ...functions: readonly string[]): string => verdict(set, asked({ verbs: [verb], functions }))
  assert.deepEqual([calls('sql.call', 'app.refresh'), calls('sql.call', 'refresh'), calls('sql.call', 'app.refresh', 'app.other')], ['allow', 'deny', 'deny'])
  assert.deepEqual([calls('sql.select', 'lower'), calls('sql.select', 'pg_sleep'), calls('sql.select', 'pg_catalog.pg_sleep'), calls('sql.select', 'purge'), calls('sql.select', 'app.purge'), calls('sql.select', 'other.purge')], ['allow', 'deny', 'deny', 'deny', 'deny', 'allow'])
})

test('a name with a dot in it passes for no other name', () => {
  assert.deepEqual([dottedName('public', 'customers'), dottedName('a.b', 'c'), dottedName('a', 'say "x"'), dottedName('a', '*'), everyColumn('a', 'b')], ['public.customers', '"a.b".c', 'a."say ""x"""', 'a."*"', 'a.b.*'])
  for (const names of [['a.b', 'c'], ['a', 'b.c'], ['a', '".'], ['"', '.'], ['x"y.z', '""']]) {
    const segments = dottedSegments(dottedName(...names))
    assert.equal(segments.length, 2, names.join(' | '))
    assert.deepEqual(segments.map((segment) => (segment.startsWith('"') ? segment.slice(1, -1).replaceAll('""', '"') : segment)), names)
  }
  const set = load(policy('- { name: read, then: allow, actions: [sql.select], tables: ["public.*", a.b.c.**] }\n- { name: secrets, then: deny, tables: ["secrets.*"] }'))
  assert.equal(verdict(set, asked(select('public.t'))), 'allow')
  assert.equal(verdict(set, asked(select(dottedName('secrets', 'a.b')))), 'deny')
  assert.equal(verdict(set, asked(select(dottedName('public', 'a.b')))), 'allow')
  assert.equal(verdict(set, asked(select(dottedName('public.a', 'b')))), 'deny')
})

test('a name without its schema does not load, nor does a mask of no one column', () => {
  const first = (rules: string, ...more: readonly string[]): string => problemsOf(policy(rules), ...more)[0] ?? 'loaded'
  assert.match(first('- { name: r, then: deny, tables: [customers] }'), /"customers" names no schema: did you mean "public\.customers"/)
  assert.match(first('- { name: r, then: deny, tables: [db.public.customers] }'), /is no table: a name is schema\.table/)
  assert.match(first('- { name: r, then: deny, columns: [customers.email] }'), /did you mean "public\.customers\.email"/)
  assert.match(first('- { name: r, then: deny, functions: [a.b.c] }'), /is no function/)
  assert.match(first('- { name: r, then: allow, actions: [sql.select], mask: { "public.customers.*": hash } }'), /is no one column/)
  assert.match(first('- { name: r, then: allow, actions: [sql.select], mask: { customers.email: hash } }'), /names no schema/)
  assert.match(first('- { name: r, then: deny, methods: [GET] }', 'classification: { crm-db: { tables: { customers: [pii] } } }'), /names no schema/)
  assert.match(first('- { name: r, then: deny, tables: [public.t], paths: [/a] }'), /no action has both/)
  assert.match(first('- { name: r, then: allow, methods: [GET], limits: { rows: 5 } }'), /orders-api \(http\) cannot limit rows/)
  assert.match(warningsOf(policy('- { name: r, then: deny, tables: [public.Customers], because: x, instead: y }')).join(), /has capitals/)
  assert.match(warningsOf(policy('- { name: r, then: allow, callers: { groups: [agents] }, tables: [public.t] }')).join(), /allows every kind of statement/)
})

test('tags: all columns of a table carry the tags of each of them', () => {
  const set = load('classification: { crm-db: { tables: { public.cards: [pci] }, columns: { public.t.mail: [pii], "*.t.note": [pii, secret] } } }', policy('- { name: d, then: deny, tags: [pii, pci, secret] }'))
  const tags = (kind: 'table' | 'column', name: string): string => set.tagsOf('crm-db', kind, name).join()
  assert.deepEqual([tags('table', 'public.cards'), tags('table', 'public.t'), tags('column', 'public.t.mail'), tags('column', 'public.t.id'), tags('column', 'public.t.*'), tags('column', 'other.t.*'), tags('column', 'public.u.*')], ['pci', '', 'pii', '', 'pii,secret', 'pii,secret', ''])
})

test('sql facts: what is absent makes a condition fail, which counts against the caller', () => {
  const set = load(policy(`
- { name: read, then: allow, actions: [sql.select], if: "!sql.tables.exists(t, t == 'public.cards') && sql.pure" }
- { name: all, then: allow, actions: [sql.update, sql.delete] }
- { name: bulk, then: hold, actions: [sql.update, sql.delete], if: "!sql.filtered || sql.estimatedRows > 100", approval: { from: { groups: [dba] } } }
- { name: mid, then: deny, actions: [sql.delete], if: "sql.transaction == 'written' || sql.statements > 3 || '1' in sql.parameters || 'public.t' in sql.tablesWritten" }
`))
  const update = (facts: Readonly<Record<string, unknown>>): string => verdict(set, asked({ verbs: ['sql.update'], facts }))
  assert.deepEqual([update({ filtered: true, estimatedRows: 100 }), update({ filtered: true, estimatedRows: 101 }), update({ filtered: false, estimatedRows: 1 }), update({ filtered: true }), update({ filtered: false }), update({ estimatedRows: 3 })], ['allow', 'hold', 'hold', 'hold', 'hold', 'hold'])
  const remove = (facts: Readonly<Record<string, unknown>>): string => verdict(set, asked({ verbs: ['sql.delete'], facts: { filtered: true, estimatedRows: 1, transaction: 'none', statements: 1, parameters: ['2'], tablesWritten: [], ...facts } }))
  assert.deepEqual([remove({}), remove({ transaction: 'written' }), remove({ statements: 4 }), remove({ parameters: ['1'] }), remove({ tablesWritten: ['public.t'] }), remove({ transaction: undefined, parameters: undefined })], ['allow', 'deny', 'deny', 'deny', 'deny', 'deny'])
  const read = (facts: Readonly<Record<string, unknown>>): string => verdict(set, asked({ verbs: ['sql.select'], facts }))
  assert.deepEqual([read({ tables: ['public.t'], pure: true }), read({ tables: ['public.cards'], pure: true }), read({ tables: [] }), read({ pure: true })], ['allow', 'deny', 'deny', 'deny'])
})

test('an estimate is needed where a rule that could be met looks at it, or lets its approval go by it', () => {
  const set = load(policy(`
- { name: read, then: allow, actions: [sql.select] }
- { name: bulk, then: hold, actions: [sql.update], tables: [public.t], callers: { groups: [support] }, if: "sql.estimatedRows > 100", approval: { from: { groups: [dba] } } }
- { name: drift, then: hold, actions: [sql.delete], approval: { from: { groups: [dba] }, drift: 2x } }
`, 'policy: p\nservices: [crm-db]'))
  const needs = (...statements: readonly [Statement, ...Statement[]]): boolean => set.needsEstimate('crm-db', asked(...statements))
  const bulk: Statement = { verbs: ['sql.update'], tables: ['public.t'] }
  assert.deepEqual([needs(select('public.t')), needs(bulk), needs({ ...bulk, tables: ['public.u'] }), needs({ verbs: ['sql.delete'] }), needs(select('public.t'), bulk), needs(select('public.t'), select('public.u'))], [false, true, false, true, true, false])
  assert.equal(set.needsEstimate('orders-api', asked(bulk)), false)
})

test('drift: the terms carry the narrowest of all rules', () => {
  const set = load(policy(`
- { name: one, then: hold, actions: [sql.delete], approval: { from: { groups: [dba] }, drift: 2x } }
- { name: two, then: hold, tables: [public.t], approval: { from: { groups: [dba] }, drift: 1.5x } }
- { name: three, then: hold, tables: ["public.*"], approval: { from: { groups: [dba] }, drift: 100 rows } }
- { name: four, then: hold, actions: [sql.update], approval: { from: { groups: [dba] } } }
`, 'policy: p\nservices: [crm-db]'))
  const drift = (verb: string, ...tables: readonly string[]) => set.decide(agent, asked({ verbs: [verb], tables }), 0).terms?.drift
  assert.deepEqual([drift('sql.delete'), drift('sql.delete', 'public.t'), drift('sql.insert', 'public.u'), drift('sql.update')], [{ factor: 2 }, { factor: 1.5, rows: 100 }, { rows: 100 }, undefined])
  const first = (rule: string, head?: string): string => problemsOf(policy(rule, head))[0] ?? 'loaded'
  assert.match(first('- { name: r, then: hold, actions: [sql.delete], approval: { from: { groups: [dba] }, drift: 0.5x } }'), /less than what the approvers are shown/)
  for (const drift of ['2', 'x', '100', '-1 rows', '2 x']) assert.match(first(`- { name: r, then: hold, actions: [sql.delete], approval: { from: { groups: [dba] }, drift: "${drift}" } }`), /so many times as many rows/)
  assert.match(first('- { name: r, then: hold, methods: [POST], approval: { from: { groups: [dba] }, drift: 2x } }'), /nobody counts its rows/)
})

test('explain says for a text of several statements what decide says', () => {
  const set = load(policy(`
- { name: read, then: allow, actions: [sql.select] }
- { name: drop, then: deny, actions: [sql.ddl] }
- { name: cards, then: deny, tables: [public.cards] }
`))
  const { decision, rules } = set.explain(agent, asked(select('public.t'), { verbs: ['sql.ddl'] }), 0)
  assert.equal(decision.verdict, 'deny')
  assert.deepEqual(rules.map(({ rule, matched, failed }) => [rule.rule, matched, failed?.key]), [['drop', true, undefined], ['read', true, undefined], ['cards', false, 'tables']])
})

test('every mask that a service has, whoever asks and whatever for', () => {
  const set = load(policy(`
- { name: read, then: allow, actions: [sql.select], tables: [public.t], mask: { public.t.a: partial, public.t.b: hash } }
- { name: dba, then: hold, callers: { groups: [dba] }, actions: [sql.select], mask: { public.t.a: redact }, approval: { from: { groups: [dba] } } }
`))
  assert.deepEqual(set.masksOf('crm-db'), { 'column:public.t.a': 'redact', 'column:public.t.b': 'hash' })
  assert.deepEqual(set.masksOf('crm-db', agent), { 'column:public.t.a': 'partial', 'column:public.t.b': 'hash' })
  assert.deepEqual(set.masksOf('crm-db', { ...agent, groups: ['dba'] }), { 'column:public.t.a': 'redact', 'column:public.t.b': 'hash' })
  assert.deepEqual(set.masksOf('orders-api'), {})
  assert.deepEqual(set.masksOf('nobody'), {})
  assert.equal(set.masksOf('crm-db'), set.masksOf('crm-db'))
  assert.deepEqual(load(policy('- { name: read, then: allow, actions: [sql.select], mask: { public.t.a: redact } }', 'policy: p\nmode: observe')).masksOf('crm-db'), {}, 'what only observes asks for nothing')
})
