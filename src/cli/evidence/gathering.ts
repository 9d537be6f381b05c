import { setImmediate as turn } from 'node:timers/promises'
import { openCheckpoint } from '../../audit/checkpoint.ts'
import { parseLine } from '../../audit/line.ts'
import { text } from '../../audit/record-data.ts'
import { linesOf } from '../../audit/segment.ts'
import { BadNote, type NoteVerifier } from '../../audit/signed-note.ts'
import type { LogReport } from '../../audit/log-report.ts'
import { LogCheck } from '../../audit/verification.ts'
import { periodLines } from '../audit-export-files.ts'
import { exit, Failure } from '../io.ts'
import type { CaseTable } from './case-table.ts'
import { exceptionIn, type Exception } from './exceptions.ts'
import type { PackFolder } from './pack-folder.ts'
import { StartProofs, type ProvedRecord } from './sample.ts'
import type { Tally } from './tally.ts'

/* Reading the log twice: once for everything that is said of the period, and once for the proofs of the sample. */

/** One start of a replica, as far as it is in the pack. */
export interface Start {
  readonly origin: string
  readonly first: string
  last: string
  from: string
  to: string
  records: number
  readonly begins: boolean
  checkpoints: number
  firstCheckpoint?: number
  lastCheckpoint?: number
  /** The last signature itself, to compare with one that was kept elsewhere. */
  signed?: string
  /** It says itself that it ended. */
  stopped: boolean
  version?: string
}

export interface PolicyChange {
  readonly at: string
  readonly replica: string
  readonly version: string
  readonly previous?: string
  readonly record: string
}

export interface Gathered {
  readonly reports: readonly LogReport[]
  readonly starts: readonly Start[]
  readonly policies: readonly PolicyChange[]
  readonly lines: number
}

export interface Gathering {
  readonly wals: readonly string[]
  readonly from: number
  readonly to: number
  readonly deployment: string
  readonly keys: readonly NoteVerifier[]
  readonly folder: PackFolder
  readonly table: CaseTable
  readonly tally: Tally
  readonly except: (exception: Exception) => void
  readonly progress: (text: string) => void
  readonly signal: AbortSignal
}

const linesATurn = 5_000
const mostPolicies = 5_000
const mostStarts = 10_000

/** Lets signals in, and says how far it is. */
const pause = async ({ signal, progress }: Pick<Gathering, 'signal' | 'progress'>, words: string): Promise<void> => {
  progress(words)
  await turn()
  if (signal.aborted) throw new Failure('stopped; what was written is no pack', exit.interrupted)
}

export const replicaOf = (wal: string): string => wal.split('/').at(-2) ?? ''
export const recordsFile = (replica: string): string => `records/${replica}.ndjson`

export const gather = async (work: Gathering): Promise<Gathered> => {
  const reports: LogReport[] = []
  const starts: Start[] = []
  const policies: PolicyChange[] = []
  let lines = 0
  for (const wal of work.wals) {
    const replica = replicaOf(wal)
    const check = new LogCheck(replica, { keys: work.keys, checkpoints: [] })
    let file: ReturnType<PackFolder['file']> | undefined
    for (const { text: line } of periodLines(wal, work.from, work.to)) {
      if (++lines % linesATurn === 0) await pause(work, `${lines.toLocaleString('en-US')} records read`)
      file ??= work.folder.file(recordsFile(replica))
      file.line(line)
      check.take({ text: line, whole: true })
      const record = parseLine(line)
      if (record === undefined) continue
      startOf(starts, record, work)
      const at = Date.parse(record.time)
      if (!(at < work.to)) continue
      work.tally.record(record, at >= work.from)
      work.table.take(record, at)
      if (at < work.from) continue
      const exception = exceptionIn(record)
      if (exception !== undefined) work.except(exception)
      if (record.type === 'config-loaded' || record.type === 'replica-started') notePolicy(policies, replica, record)
    }
    file?.close()
    if (file !== undefined) reports.push(check.report())
  }
  return { reports, starts, policies, lines }
}

const notePolicy = (policies: PolicyChange[], replica: string, record: NonNullable<ReturnType<typeof parseLine>>): void => {
  const version = text(record['policyVersion'])
  if (version === undefined || policies.length >= mostPolicies || policies.findLast((one) => one.replica === replica)?.version === version) return
  const previous = text(record['previous'])
  policies.push({ at: record.time, replica, version, record: record.id, ...(previous === undefined ? {} : { previous }) })
}

const startOf = (starts: Start[], record: NonNullable<ReturnType<typeof parseLine>>, { deployment, keys }: Gathering): void => {
  const origin = `${deployment}/${record.id.slice(0, record.id.lastIndexOf('/'))}`
  let start = starts.at(-1)
  if (start?.origin !== origin) {
    if (starts.length >= mostStarts) throw new Failure(`there are more than ${mostStarts} starts in this time: make packs of shorter times`)
    start = { origin, first: record.id, last: record.id, from: record.time, to: record.time, records: 0, begins: record.seq === 0, checkpoints: 0, stopped: false }
    starts.push(start)
  }
  start.records++
  start.last = record.id
  start.to = record.time
  if (record.type === 'replica-stopped') start.stopped = true
  const version = text(record['version'])
  if (record.type === 'replica-started' && version !== undefined) start.version = version
  if (record.type !== 'checkpoint') return
  try {
    const { size } = openCheckpoint(String(record['signed']), keys)
    start.checkpoints++
    start.firstCheckpoint ??= size
    start.lastCheckpoint = size
    start.signed = String(record['signed'])
  } catch (error) {
    if (!(error instanceof BadNote)) throw error // the report of the log says what is wrong with it
  }
}

/** The records of the sample with their proofs, out of the files that the pack has. */
export const prove = async (work: Pick<Gathering, 'folder' | 'progress' | 'signal'>, replicas: readonly string[], wanted: ReadonlySet<string>): Promise<ReadonlyMap<string, ProvedRecord>> => {
  const proved = new Map<string, ProvedRecord>()
  let lines = 0
  for (const replica of replicas) {
    let epoch = ''
    let proofs: StartProofs | undefined
    const end = (): void => {
      for (const one of proofs?.proved() ?? []) proved.set(one.id, one)
    }
    for (const { text: line } of linesOf(`${work.folder.path}/${recordsFile(replica)}`)) {
      if (++lines % linesATurn === 0) await pause(work, `${lines.toLocaleString('en-US')} records passed for proofs`)
      const own = /"id":"[^"/]+\/(\d+)\//.exec(line.slice(0, 200))?.[1] ?? epoch
      if (own !== epoch || proofs === undefined) {
        end()
        epoch = own
        proofs = new StartProofs(wanted)
      }
      proofs.take(line)
    }
    end()
  }
  return proved
}
