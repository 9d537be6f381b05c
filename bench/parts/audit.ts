import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, statSync } from 'node:fs'
import { openJournal } from '../../src/audit/file-journal.ts'
import type { Durability, Journal } from '../../src/audit/journal.ts'
import type { AuditQuestion } from '../../src/audit/search/question.ts'
import { noteSigner } from '../../src/audit/signed-note.ts'
import type { Resource } from '../../src/model/action.ts'
import type { AuditEvent, CallerRecord, DecisionRecord } from '../../src/model/audit-event.ts'
import { openAuditIndex, type AuditIndex } from '../../src/stores/embedded/audit-index/audit-index.ts'
import { median, row, type Part, type PartOptions, type Row } from '../frame.ts'

const agents = 500
const tables = 97
/** One of them is approved by somebody. */
const approvedEvery = 50

export const auditPart: Part = {
  name: 'audit',
  packages: [],
  explanation: [
    'A log as a busy replica writes it: 500 agents for 301 people at 40 services and 97 tables, one action of 50 approved by somebody; signed once a second.',
    '"Rebuild" reads all of it into an empty index, as `countersign audit index --rebuild` does. Questions are answered with 50 records each, counted up to 1000, each record with its whole action; the median of 21, after a first one.',
    'Appends are records of which each waits for its place in the file (`written`) or on the disk (`synced`).',
  ].join('\n'),
  run: async (options) => {
    const directory = `${options.directory}/journal`
    const many = options.quick ? 100_000 : 1_000_000
    options.log(`${many} records`)
    const appended = await write(directory, many, options.signal)
    const rows: Row[] = [row('audit', 'append, in order, in memory first', appended, '/s', '', undefined, `${many} records, signed once a second, one thread`)]
    rows.push(...(await appends(options)))
    options.log('rebuild')
    using index = openAuditIndex(`${directory}/search.db`, directory)
    rows.push(rebuild(index, directory, options))
    rows.push(...questions(index))
    return rows
  },
}

/** Callers, resources of a table and decisions come back, as the records of sessions and rules do. */
const callers: readonly CallerRecord[] = Array.from({ length: agents }, (_, n) => ({ issuer: 'https://idp.example', subject: `agent-${n}`, kind: 'agent', groups: ['agents', 'billing'], email: `agent-${n}@example.org`, session: `s${n}aaaaaaaa`, address: '10.1.2.3', onBehalfOf: [{ issuer: 'https://idp.example', subject: `person-${n % 301}`, kind: 'human', groups: ['dev'], name: `Person Number${n % 301}` }] }))
const resources: readonly (readonly Resource[])[] = Array.from({ length: tables }, (_, n) => Object.freeze([{ kind: 'table', name: `public.orders_${n}`, access: 'write', tags: ['pii'] }, { kind: 'column', name: `public.orders_${n}.email`, access: 'read', tags: ['pii.email'] }] as const))
const decisions: readonly DecisionRecord[] = Array.from({ length: 1_000 }, (_, n) => ({ verdict: 'allow', matched: [{ policy: 'orders', rule: 'change-orders', then: 'allow', at: 'policies/orders.yaml:12', because: `Whoever works on case ${n} may change orders`, observed: false }], policyVersion: `sha256:${'cd'.repeat(32)}` }))

const started = (attempt: string, n: number, hold?: string): AuditEvent => ({
  type: 'started', attempt,
  caller: callers[n % agents]!,
  action: { protocol: 'postgres', service: `service-${n % 40}`, verb: 'sql.update', resources: resources[n % tables]!, tags: ['pii', 'pii.email'], digest: `sha256:${n.toString(16).padStart(64, '0')}`, shape: `service-${n % 40} sql.update update orders_${n % tables} set status = ? where id = ?` },
  decision: decisions[n % 1_000]!,
  ...(hold === undefined ? {} : { hold }),
})

const digest = `sha256:${'ab'.repeat(32)}` as const
const storyOf = (n: number): readonly AuditEvent[] => {
  const attempt = `0b0e7f6e-1111-4222-8333-${String(n).padStart(12, '0')}`
  const end: AuditEvent = { type: 'finished', attempt, outcome: { result: 'executed', status: 'UPDATE 1', rows: 1, ms: 3.5 } }
  if (n % approvedEvery !== 0) return [started(attempt, n), end]
  const subject = { hold: `hold_${n}`, code: `CS-${n.toString(36).toUpperCase()}`, digest }
  const { caller, action } = started(attempt, n) as Extract<AuditEvent, { type: 'started' }>
  const vote = { verdict: 'approve', by: { issuer: 'https://idp.example', subject: `approver-${n % 7}`, kind: 'human', groups: ['oncall'], name: `Approver ${n % 7}` }, channel: 'console', assurance: 'console', digest, reason: `ticket ${n}`, at: 1 } as const
  return [{ type: 'held', attempt, caller, action, ...subject, deadline: 1, terms: { requirements: [], withinMs: 1, runWithinMs: 1, askReason: false, run: 'attached' } }, { type: 'voted', vote, state: 'approved', ...subject }, { type: 'released', attempt, votes: [vote], policyVersion: 'v', heldUnder: 'v', ...subject }, started(attempt, n, subject.hold), { ...end, hold: subject.hold }]
}

const openLog = (directory: string) => openJournal({ directory, replica: 'bench', durability: { read: 'written', write: 'synced', held: 'synced' }, segmentBytes: 64 << 20, minFreeBytes: 0 }, { now: Date.now, signer: noteSigner('bench', generateKeyPairSync('ed25519').privateKey) })

/** Records a second, none of which is waited for. */
const write = async (directory: string, many: number, signal: AbortSignal): Promise<number> => {
  await using journal = await openLog(directory)
  const began = performance.now()
  for (let n = 0, records = 0; records < many; n++) {
    let last: Promise<void> | undefined
    for (const event of storyOf(n)) {
      last = journal.append(event, 'queued')
      records++
    }
    if (n % 1_000 === 0) {
      signal.throwIfAborted()
      await last
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return many / ((performance.now() - began) / 1_000)
}

const appends = async ({ directory, quick }: PartOptions): Promise<readonly Row[]> => {
  await using journal = await openLog(`${directory}/appends`)
  const measured: Row[] = []
  for (const [durability, inFlight, count, target] of [['written', 1, 5_000, '<= 1'], ['synced', 1, 1_000, undefined], ['synced', 64, quick ? 30_000 : 150_000, undefined]] as const) {
    const { p50, rate } = await append(journal, durability, inFlight, count)
    if (inFlight === 1) measured.push(row('audit', `append, ${durability}, one at a time, p50`, p50, 'ms', '', target, `${Math.round(rate)} records a second`))
    else measured.push(row('audit', `append, ${durability}, ${inFlight} in flight`, rate, '/s', '', '>= 50000', `p50 ${p50.toFixed(2)} ms`))
  }
  return measured
}

const append = async (journal: Journal, durability: Durability, inFlight: number, count: number) => {
  const times: number[] = []
  let next = 0
  const began = performance.now()
  await Promise.all(Array.from({ length: inFlight }, async () => {
    for (let n = next++; n < count; n = next++) {
      const from = performance.now()
      await journal.append(started(`try-${n}`, n), durability)
      times.push(performance.now() - from)
    }
  }))
  return { p50: median(times), rate: count / ((performance.now() - began) / 1_000) }
}

const rebuild = (index: AuditIndex, directory: string, { signal }: PartOptions): Row => {
  const began = performance.now()
  while (!index.advance(500)) signal.throwIfAborted()
  const seconds = (performance.now() - began) / 1_000
  const { records, bytes } = index.state()
  const size = readdirSync(directory).filter((name) => name.startsWith('search.db')).reduce((sum, name) => sum + statSync(`${directory}/${name}`).size, 0)
  return row('audit', 'rebuild the index', records / seconds, '/s', '', '>= 10000', `${records} records of ${(bytes / 1e6).toFixed(0)} MB in ${seconds.toFixed(1)} s, index of ${(size / 1e6).toFixed(0)} MB`)
}

const asked: readonly (readonly [name: string, question: AuditQuestion, target?: string])[] = [
  ['search by case (a hold)', { fields: { case: 'hold_1000' } }, '<= 50'],
  ['search by person', { fields: { who: '=agent-7' } }, '<= 50'],
  ['search by person and table', { fields: { for: 'person-42', on: 'public.orders_7' } }],
  ['search by approver and table', { fields: { approver: 'approver-3', on: 'public.orders_7' } }],
  ['free text, a rare word', { fields: {}, text: 'ticket 1000' }, '<= 300'],
  ['free text, words of every record', { fields: {}, text: '"may change orders" started' }, '<= 300'],
  ['free text, a beginning', { fields: {}, text: 'appro* orders_7' }, '<= 300'],
]

const questions = (index: AuditIndex): readonly Row[] => [
  ...asked.map(([name, question, target]) => {
    const { count, counted } = index.search(question, { limit: 50 })
    return row('audit', name, median(Array.from({ length: 21 }, () => took(() => index.search(question, { limit: 50 })))), 'ms', '', target, `${counted === 'more' ? 'more than ' : ''}${count} records`)
  }),
  ...([['who touched a table', { on: '=public.orders_7' }], ['what an agent touched', { who: '=agent-7' }]] as const).map(([name, fields]) => row('audit', `lineage, ${name}`, median(Array.from({ length: 7 }, () => took(() => index.traces({ fields }, 5_000)))), 'ms', '', undefined, `${index.traces({ fields }, 5_000).traces.length} kinds and hours`)),
  row('audit', 'one record proved', median(Array.from({ length: 21 }, (_, n) => took(() => index.prove(`bench/1/${n * 4_001}`)))), 'ms', ''),
]

const took = (work: () => unknown): number => {
  const began = performance.now()
  work()
  return performance.now() - began
}
