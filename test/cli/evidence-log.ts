import assert from 'node:assert/strict'
import { openJournal } from '../../src/audit/file-journal.ts'
import { keepPolicies } from '../../src/audit/policy-archive.ts'
import { withApprovalKey } from '../../src/config/approval-key.ts'
import type { Config } from '../../src/config/config.ts'
import { logSigner } from '../../src/config/deployment-keys.ts'
import { compilePolicies } from '../../src/config/policies.ts'
import type { AuditEvent, CallerRecord, DecisionRecord } from '../../src/model/audit-event.ts'
import type { Digest } from '../../src/model/action.ts'
import type { HoldState, Vote } from '../../src/model/hold.ts'
import { action, caller, options } from '../audit/audit-samples.ts'

/* A real log of two replicas with everything in it that an auditor asks about. */

const issuer = 'https://idp.test'
const person = (subject: string) => ({ issuer, subject, kind: 'human' as const, groups: ['oncall'] })
const terms = { requirements: [{ policy: 'orders', rule: 'write', groups: ['oncall'], users: [], count: 1, assurance: 'console' as const, sharesPeople: false }], withinMs: 60_000, runWithinMs: 60_000, askReason: false, run: 'attached' as const }
export const laws = { policyFiles: [{ file: '/etc/countersign/policies/orders.yaml', text: 'policy: orders\nrules:\n  - name: barred\n    then: deny\n' }], policyFacts: { services: [], issuers: [], channels: [] } }
export const lawsVersion = compilePolicies(laws).policies?.version ?? assert.fail('the policies of the log are none')
export const otherVersion = `sha256:${'2'.repeat(64)}`
const decisionOf = (verdict: 'allow' | 'hold' | 'deny'): DecisionRecord => ({ verdict, matched: [{ policy: 'orders', rule: verdict === 'hold' ? 'write' : verdict, then: verdict, at: 'orders.yaml:3', observed: false }], policyVersion: lawsVersion })

export const beginning = Date.parse('2026-10-05T09:00:00Z')

export interface Writing {
  at: number
  add(event: AuditEvent, afterMs?: number): Promise<void>
}

const digestOf = (name: string): Digest => `sha256:${Buffer.from(name.padEnd(32, '.')).toString('hex').slice(0, 64)}`

interface Story {
  readonly who?: CallerRecord
  readonly by?: string
  readonly afterMs?: number
}

/** The steps of one held action, under one name. */
export const storyOf = (log: Writing, name: string, { who = caller, by = 'bob', afterMs = 20_000 }: Story = {}) => {
  const digest = digestOf(name)
  const subject = { hold: `hold_${name}`, code: `CS-${name.toUpperCase()}`, digest }
  const records = { attempt: `try-${name}`, caller: who, action: { ...action, digest } }
  const vote = (verdict: 'approve' | 'deny', brokeGlass = false): Vote => ({ verdict, by: person(by), channel: 'console', assurance: 'console', digest, at: log.at + afterMs, ...(brokeGlass ? { brokeGlass: true as const, reason: 'Everything is down.' } : { reason: 'ticket 4711' }) })
  return {
    async hold() {
      await log.add({ type: 'decided', ...records, decision: decisionOf('hold') })
      await log.add({ type: 'held', ...records, ...subject, deadline: log.at + 60_000, terms })
    },
    vote: (verdict: 'approve' | 'deny', state: HoldState = verdict === 'approve' ? 'approved' : 'denied') => log.add({ type: 'voted', ...subject, vote: vote(verdict), state }, afterMs),
    breakGlass: () => log.add({ type: 'broke-glass', ...subject, vote: vote('approve', true), skipped: { groups: ['oncall'], users: [] }, deadline: log.at + 60_000 }, afterMs),
    ownVote: () => log.add({ type: 'vote-refused', ...subject, by: person('alice'), refusal: 'self-approval', cause: 'own action' }),
    expire: (from: HoldState = 'pending') => log.add({ type: 'hold-expired', from, ...subject }, 60_000),
    withdraw: () => log.add({ type: 'hold-withdrawn', by: person('alice'), ...subject }),
    review: () => log.add({ type: 'break-glass-reviewed', by: person('carol'), note: 'Looked at.', ...subject }),
    overdue: () => log.add({ type: 'review-overdue', deadline: log.at, ...subject }),
    release: () => log.add({ type: 'released', ...subject, attempt: `try-${name}`, votes: [], policyVersion: 'v', heldUnder: 'v' }),
    start: () => log.add({ type: 'started', ...records, decision: decisionOf('hold'), hold: `hold_${name}` }),
    end: (result: 'executed' | 'failed' = 'executed') => log.add({ type: 'finished', attempt: `try-${name}`, hold: `hold_${name}`, outcome: { result, status: result === 'executed' ? '200' : '500', rows: 1, ms: 2 } }),
    lend: () => log.add({ type: 'credential-lent', attempt: `try-${name}`, hold: `hold_${name}`, service: 'orders', lease: `lease-${name}`, caller: who }),
    giveBack: (cause?: string) => log.add({ type: 'credential-returned', attempt: `try-${name}`, hold: `hold_${name}`, service: 'orders', lease: `lease-${name}`, ...(cause === undefined ? {} : { cause }) }),
    unknown: () => log.add({ type: 'outcome-unknown', attempt: `try-${name}`, hold: `hold_${name}`, digest }),
    async approved() {
      await this.hold()
      await this.vote('approve')
      await this.release()
      await this.start()
      await this.end()
    },
    async allowed(verdict: 'allow' | 'deny' = 'allow') {
      if (verdict === 'deny') return log.add({ type: 'decided', ...records, decision: decisionOf('deny') })
      await log.add({ type: 'started', ...records, decision: decisionOf('allow') })
      await log.add({ type: 'finished', attempt: `try-${name}`, outcome: { result: 'executed', status: '200', ms: 1 } })
    },
  }
}

/** What spreadsheets, pages and file names would make something of. */
export const hostile: CallerRecord = { ...caller, subject: '=HYPERLINK("http://x","y")<script>alert(1)</script>\u202e' }

export const fill = async (config: Config, replica: string, write: (log: Writing) => Promise<void>, from = beginning): Promise<void> => {
  const log = { at: from }
  await using journal = await openJournal(options(config.journal.directory, { replica }), { now: () => log.at, signer: logSigner(config), checkpointMs: 3_600_000 })
  const writing: Writing = {
    get at() { return log.at },
    set at(value) { log.at = value },
    add: async (event, afterMs = 500) => {
      log.at += afterMs
      await journal.append(event, 'queued')
    },
  }
  await journal.append({ type: 'replica-started', version: '0.1.0', policyVersion: lawsVersion }, 'queued')
  await write(writing)
  await writing.add({ type: 'replica-stopped', cause: 'drained' })
}

export const day = 86_400_000

/** Every exception, and every way to end, on two replicas and in three starts. */
export const fillAll = async (config: Config): Promise<void> => {
  keepPolicies(config.journal.directory, lawsVersion, laws)
  // Somebody who can write there gives a file a name of their own, and another one what is no policy.
  keepPolicies(config.journal.directory, otherVersion, laws)
  keepPolicies(config.journal.directory, lawsVersion, { ...laws, policyFacts: {} })
  // Before the period: one that goes on in it.
  await fill(config, 'a', async (log) => {
    log.at = beginning - 5 * day
    await storyOf(log, 'old').approved()
    await storyOf(log, 'carried').hold()
    log.at = beginning
    await storyOf(log, 'carried').vote('deny')
    for (const [at, name] of ['a1', 'a2', 'a3', 'a4', 'a5'].entries()) {
      log.at = beginning + at * day
      await storyOf(log, name, { afterMs: 40_000 }).approved()
    }
    await log.add({ type: 'config-loaded', policyVersion: otherVersion, generation: 2, previous: lawsVersion })
    await log.add({ type: 'config-rejected', problems: ['policies/orders.yaml:3: unknown key'], policyVersion: otherVersion })
    for (let at = 0; at < 6; at++) await storyOf(log, `quick${at}`, { by: 'dave', afterMs: 900 }).approved()
    const self = storyOf(log, 'self')
    await self.hold()
    await self.ownVote()
    await self.vote('deny')
    const late = storyOf(log, 'late')
    await late.hold()
    await late.expire()
    await late.start()
    await late.end()
    await storyOf(log, 'x1', { who: hostile }).approved()
    await storyOf(log, 'free').allowed()
    await storyOf(log, 'barred').allowed('deny')
  }, beginning - 6 * day)
  await fill(config, 'b', async (log) => {
    const glass = storyOf(log, 'glass')
    await glass.hold()
    await glass.breakGlass()
    await glass.release()
    await glass.start()
    await glass.end()
    await glass.overdue()
    const lost = storyOf(log, 'lost')
    await lost.hold()
    await lost.vote('approve')
    await lost.release()
    await lost.start()
    await lost.unknown()
    const back = storyOf(log, 'back')
    await back.hold()
    await back.withdraw()
    const unused = storyOf(log, 'unused')
    await unused.hold()
    await unused.vote('approve')
    await unused.expire('approved')
    const silent = storyOf(log, 'silent')
    await silent.hold()
    await silent.expire()
    const broken = storyOf(log, 'broken')
    await broken.hold()
    await broken.vote('approve')
    await broken.release()
    await broken.lend()
    await broken.start()
    await broken.end('failed')
    await broken.giveBack()
    const kept = storyOf(log, 'kept')
    await kept.hold()
    await kept.vote('approve')
    await kept.release()
    await kept.lend()
    await kept.start()
    await kept.end()
    await kept.giveBack('the database did not answer')
    await storyOf(log, 'open').hold()
    await storyOf(log, 'own', { by: 'alice' }).approved()
    await log.add({ type: 'store-tampered', hold: 'hold_a1', cause: 'the seal does not fit the record' })
    await log.add({ type: 'records-lost', sink: 'siem', count: 3, cause: 'answered 400' })
    await log.add({ type: 'audit-read-refused', by: person('dave'), query: 'search everything', refusal: 'denied' })
  }, beginning + 2 * day)
  // What was asked at one replica and decided and run at another.
  await fill(config, 'c', async (log) => {
    await storyOf(log, 'shared').hold()
  }, beginning + 3 * day)
  await fill(config, 'd', async (log) => {
    const shared = storyOf(log, 'shared')
    await shared.vote('approve')
    await shared.release()
    await shared.start()
    await shared.end()
  }, beginning + 3 * day + 60_000)
}

export const withKey = (config: Config): Config => withApprovalKey(config)
