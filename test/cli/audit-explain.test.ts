import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { eventText } from '../../src/audit/event-text.ts'
import { keepPolicies, keptPolicies } from '../../src/audit/policy-archive.ts'
import type { RecordData } from '../../src/audit/record-data.ts'
import { replayOf } from '../../src/cli/audit-explain.ts'
import { caseAction } from '../../src/cli/case-action.ts'
import type { Io } from '../../src/cli/io.ts'
import { policiesOf, readPolicyFiles, worldOf } from '../../src/cli/policy-files.ts'
import { issuersOf } from '../../src/cli/policy-world.ts'
import { sqlCaseAction } from '../../src/cli/sql-case-action.ts'
import { protocolEnforces } from '../../src/config/policies.ts'
import { actionRecord, callerRecord, decisionRecord, type AuditEvent } from '../../src/model/audit-event.ts'
import type { Action } from '../../src/model/action.ts'
import type { Caller } from '../../src/model/caller.ts'
import { actionOf, callerOf } from '../../src/policy/cases.ts'
import { loadPolicies } from '../../src/policy/load.ts'
import type { ExplainingPolicySet } from '../../src/policy/policy-set.ts'
import { open, temporaryDirectory } from '../audit/audit-samples.ts'
import { makeShell } from './shell.ts'

const root = resolve(import.meta.dirname, '../..')
const io = { cwd: root } as unknown as Io

interface Decided {
  readonly name: string
  readonly policies: ExplainingPolicySet
  readonly caller: Caller
  readonly action: Action
  readonly now: number
  readonly kept: { readonly policyFiles: readonly { readonly file: string; readonly text: string }[]; readonly policyFacts: object }
}

/** Every case beside the example policies. */
const everyCase = async (): Promise<readonly Decided[]> => {
  const decided: Decided[] = []
  const { cases } = await readPolicyFiles([join(root, 'policies')], io)
  for (const file of cases) {
    const policyFiles = await policiesOf(file, io)
    const world = worldOf([file], protocolEnforces) ?? assert.fail('no world')
    const { policies } = loadPolicies(policyFiles, world)
    assert.ok(policies, file.file)
    for (const source of file.value.cases) {
      const now = Date.parse(source.now ?? '2026-01-14T10:00:00Z')
      const action = await actionOf(source, policies, { makeAction: caseAction, makeSql: sqlCaseAction })
      if (typeof action !== 'object') continue
      decided.push({ name: `${file.file}: ${source.name}`, policies, action, now, caller: callerOf(source.caller, issuersOf(world), now), kept: { policyFiles, policyFacts: { services: world.services, issuers: world.issuers, channels: world.channels, ...(world.groups === undefined ? {} : { groups: world.groups }) } } })
    }
  }
  return decided
}

const eventOf = ({ policies, caller, action, now }: Decided): Extract<AuditEvent, { type: 'decided' }> => {
  const reasons = policies.reasons(caller, action, now)
  return { type: 'decided', attempt: 'try', caller: callerRecord(caller), action: actionRecord(action), decision: decisionRecord(policies.decide(caller, action, now)), ...(reasons === undefined ? {} : { reasons }) }
}

const recordOf = (event: AuditEvent): RecordData => JSON.parse(`{${eventText(event)}`) as RecordData

describe('decisions on record', () => {
  test('each comes to the same when it is replayed from its record, or is said to be of several statements', async () => {
    using directory = temporaryDirectory()
    const all = await everyCase()
    const verdicts = new Map<string, number>()
    let several = 0
    for (const one of all) {
      keepPolicies(directory.path, one.policies.version, one.kept)
      const event = eventOf(one)
      const replayed = replayOf(recordOf(event), directory.path)
      if (typeof replayed === 'string') {
        assert.match(replayed, /statements/, one.name)
        several++
        continue
      }
      assert.ok(replayed.same, `${one.name}: ${JSON.stringify(replayed.rules.filter(({ then, now }) => now !== undefined && now !== then))}`)
      verdicts.set(replayed.verdict, (verdicts.get(replayed.verdict) ?? 0) + 1)
    }
    assert.ok(several < all.length / 10 && ['allow', 'hold', 'deny'].every((verdict) => (verdicts.get(verdict) ?? 0) >= 5), JSON.stringify([...verdicts, several, all.length]))
  })

  test('reasons name the rules that matched and those that came near, and no value of what was sent', async () => {
    const all = await everyCase()
    for (const one of all) {
      const { reasons, decision } = eventOf(one)
      assert.ok(reasons, one.name)
      assert.deepEqual(new Set(reasons.rules.filter(({ matched }) => matched).map(({ policy, rule }) => `${policy}/${rule}`)), new Set(decision.matched.slice(0, 12).map(({ policy, rule }) => `${policy}/${rule}`)), one.name)
      assert.ok(reasons.rules.length <= 12 && JSON.stringify(reasons).length < 12_000)
      for (const { matched, missed } of reasons.rules) assert.ok(matched || missed !== undefined, one.name)
    }
    const [near] = all.flatMap((one) => (one.policies.decide(one.caller, one.action, one.now).verdict === 'deny' ? eventOf(one).reasons?.rules ?? [] : [])).filter(({ matched, lines }) => !matched && lines.length > 0)
    assert.ok(near?.missed, 'of what is denied it is said what would have let it through')
    const secret: Decided = { ...(all.find(({ action }) => action.protocol === 'http') ?? assert.fail('no request')), name: 'secret' }
    const spoiled = { ...secret, caller: { ...secret.caller, claims: { token: 'S3CRET' }, email: 'S3CRET@example.test', address: 'S3CRET', subject: 'S3CRET' }, action: { ...secret.action, text: 'S3CRET', facts: { http: { ...(secret.action.facts['http'] as object), query: { q: ['S3CRET'] }, headers: { x: ['S3CRET'] }, json: { x: 'S3CRET' } } } } }
    for (const policies of new Set(all.map(({ policies: some }) => some))) assert.doesNotMatch(JSON.stringify(policies.reasons(spoiled.caller, spoiled.action, 0) ?? {}), /S3CRET/)
  })

  test('audit explain says it in words, and that it does not come to the same where the policies kept are others', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    const all = await everyCase()
    const denied = all.find(({ policies, caller, action, now, kept }) => policies.decide(caller, action, now).verdict === 'deny' && policies.decide(caller, action, now).matched.length > 0 && kept.policyFiles.length > 0 && action.parts === undefined) ?? assert.fail('nothing is denied')
    {
      await using journal = await open(directory.path)
      await journal.append(eventOf(denied), 'written')
    }
    const explain = (...more: string[]) => shell.run(['audit', 'explain', 'r1/1/0', '-d', directory.path, ...more])
    const without = await explain()
    assert.deepEqual([without.code, /not replayed: the policies of that version are not kept here/.test(without.out)], [0, true])
    keepPolicies(directory.path, denied.policies.version, denied.kept)
    const { code, out } = await explain()
    assert.equal(code, 0, out)
    assert.match(out, /^deny: .*\n {2}decides {2}deny/)
    assert.match(out, /why, as it was recorded:\n {2}matched/)
    assert.match(out, /replayed by the policies of then: the same, deny\n/)
    const { replay, reasons } = JSON.parse((await explain('-o', 'json')).out) as { replay: { same: boolean }; reasons: { evaluator: number } }
    assert.deepEqual([replay.same, reasons.evaluator], [true, 1])
    assert.equal((await shell.run(['audit', 'explain', 'try', '-d', directory.path])).code, 0, 'by its attempt as well')

    // Somebody changes what was kept: the name says what it must hold.
    const [file = ''] = readdirSync(`${directory.path}/.policies`)
    assert.deepEqual([statSync(`${directory.path}/.policies`).mode & 0o777, statSync(`${directory.path}/.policies/${file}`).mode & 0o777], [0o700, 0o600])
    const text = readFileSync(`${directory.path}/.policies/${file}`, 'utf8')
    writeFileSync(`${directory.path}/.policies/${file}`, text.replaceAll('then: deny', 'then: allow'))
    assert.deepEqual(keptPolicies(directory.path, denied.policies.version), [])
    assert.match((await explain()).out, /not replayed/)
    writeFileSync(`${directory.path}/.policies/${file}`, text)
    // Somebody gives a file of theirs the right name: what it says has to come to the version, too.
    const forged = { ...denied.kept, policyFiles: denied.kept.policyFiles.map(({ file, text: own }) => ({ file, text: own.replaceAll('then: deny', 'then: allow') })) }
    keepPolicies(directory.path, denied.policies.version, forged)
    keepPolicies(directory.path, denied.policies.version, { ...denied.kept, policyFacts: {} })
    writeFileSync(`${directory.path}/.policies/${denied.policies.version.slice(7)}-${hash('sha256', 'no JSON').slice(0, 16)}.json`, 'no JSON')
    const among = await explain()
    assert.deepEqual([among.code, /: the same, deny\n/.test(among.out)], [0, true], among.out)
    unlinkSync(`${directory.path}/.policies/${file}`)
    assert.match((await explain()).out, /not replayed: the policies of that version are not kept here, or are not what they were/)
    writeFileSync(`${directory.path}/.policies/${file}`, text)
    // What was held, and denied because nobody was left: who was in the groups is not kept.
    const held = all.find(({ policies, caller, action, now }) => policies.decide(caller, action, now).verdict === 'hold' && action.parts === undefined) ?? assert.fail('nothing is held')
    keepPolicies(directory.path, held.policies.version, held.kept)
    const event = eventOf(held)
    const lonely = { ...event, decision: { ...event.decision, verdict: 'deny' as const, matched: event.decision.matched.map((rule) => (rule.then === 'hold' ? { ...rule, then: 'deny' as const } : rule)) } }
    const alone = replayOf(recordOf(lonely), directory.path)
    assert.ok(typeof alone === 'object' && alone.same && alone.forNobody === true && alone.verdict === 'deny')
    // A record that says something else than its policies do.
    {
      await using journal = await open(directory.path)
      const plain = eventOf(denied)
      await journal.append({ ...plain, decision: { ...plain.decision, verdict: 'allow', matched: [] } }, 'written')
    }
    const wrong = await shell.run(['audit', 'explain', 'r1/2/0', '-d', directory.path])
    assert.deepEqual([wrong.code, /NOT the same, it comes to deny/.test(wrong.out), /did not match then, and does/.test(wrong.out)], [21, true, true])
    assert.equal((await shell.run(['audit', 'explain', 'r1/9/9', '-d', directory.path])).code, 1)
  })
})
