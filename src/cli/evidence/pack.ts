import { BadReceipt } from '../../audit/receipts/envelope.ts'
import { casesIn, receiptOf, signReceipt } from '../../audit/receipts/making.ts'
import { text } from '../../audit/record-data.ts'
import type { NoteSigner } from '../../audit/signed-note.ts'
import { verbText } from '../../channels/words.ts'
import { decidedWithinMs, endStateOf, stateOf, type CaseRow } from './case-row.ts'
import type { CaseTable } from './case-table.ts'
import { exceptionsOf, type Exception, type ExceptionKind } from './exceptions.ts'
import { prove, type Gathered, type Gathering } from './gathering.ts'
import { csvLine, type PackFolder } from './pack-folder.ts'
import type { Sampled } from './report.ts'
import { makeSample, type ProvedRecord, type Sample } from './sample.ts'
import type { Tally } from './tally.ts'

/* The files of a pack, one after the other. */

const shownOfEach = 25

export interface ExceptionList {
  readonly shown: Exception[]
  readonly counts: Map<ExceptionKind, number>
  add(exception: Exception): void
  close(): void
}

/** All of them go into the file; the first of each kind are shown. */
export const openExceptions = (folder: PackFolder): ExceptionList => {
  const file = folder.file('exceptions.ndjson')
  const counts = new Map<ExceptionKind, number>()
  const shown: Exception[] = []
  return {
    shown,
    counts,
    add(exception) {
      const before = counts.get(exception.kind) ?? 0
      counts.set(exception.kind, before + 1)
      if (before < shownOfEach) shown.push(exception)
      file.line(JSON.stringify(exception))
    },
    close: () => file.close(),
  }
}

/** What is wrong with the logs themselves. */
export const logExceptions = ({ reports, starts }: Gathered): readonly Exception[] => [
  ...reports.flatMap(({ replica, finding, signed, records }): Exception[] => (finding !== undefined ? [{ kind: 'log not whole', at: '', name: finding.at, text: `${replica}: ${finding.kind}: ${finding.text}` }] : signed === 0 ? [{ kind: 'log not whole', at: '', name: replica, text: `none of its ${records} records can be compared with a signature` }] : [])),
  ...starts.flatMap(({ origin, begins, first, from }): Exception[] => (begins ? [] : [{ kind: 'log not whole', at: from, name: first, text: `the first records of ${origin} are not here` }])),
]

const head = ['case', 'code', 'asked', 'last', 'state', 'end', 'requester', 'requester issuer', 'kind', 'on behalf of', 'service', 'verb', 'on', 'tags', 'rules', 'policy version', 'digest', 'approvers', 'refusers', 'seconds to first vote', 'released', 'started', 'ended', 'status', 'rows', 'starts', 'grant', 'broke glass', 'reviewed', 'records', 'first record']

const moment = (at: number | undefined): string | undefined => (at === undefined || !(Math.abs(at) <= 8.64e15) ? undefined : new Date(at).toISOString())
const named = (votes: CaseRow['votes'], verdict: string): string => votes.filter((vote) => vote.verdict === verdict).map(({ by, channel, assurance }) => `${by} (${channel}/${assurance})`).join('; ')

const cellsOf = (row: CaseRow): readonly (string | number | undefined)[] => {
  const [firstVote] = row.votes.map((vote) => decidedWithinMs(row, vote)).filter((ms) => ms !== undefined).toSorted((a, b) => a - b)
  return [
    row.name, row.code, moment(row.first), moment(row.last), stateOf(row), endStateOf(row), row.requester, row.issuer, row.kind, row.behalf, row.service, row.verb, row.on?.join('; '), row.tags?.join('; '), row.rules?.join('; '), row.policy, row.digest,
    named(row.votes, 'approve'), named(row.votes, 'deny'), firstVote === undefined ? undefined : Math.round(firstVote / 100) / 10, moment(row.releasedAt), moment(row.startedAt), moment(row.endedAt), row.status, row.rows, row.starts, row.grant, moment(row.brokeGlassAt), moment(row.reviewedAt), row.records, row.ids[0],
  ]
}

/** One line a case, in the order in which they were asked for; on the way everything is counted, judged and drawn from. */
export const writePopulation = (folder: PackFolder, table: CaseTable, parts: { readonly from: number; readonly tally: Tally; readonly exceptions: ExceptionList; readonly seed: string; readonly size: number }): Sample => {
  const sample = makeSample(parts.seed, parts.size)
  const [csv, ndjson] = [folder.file('population/cases.csv'), folder.file('population/cases.ndjson')]
  csv.line(csvLine(head))
  for (const row of table.rows()) {
    const isWithin = row.first >= parts.from
    parts.tally.case(row, isWithin ? 'within' : row.last >= parts.from ? 'carried' : 'before')
    if (row.last >= parts.from) for (const one of exceptionsOf(row)) parts.exceptions.add(one)
    if (!isWithin) continue
    csv.line(csvLine(cellsOf(row)))
    const { first, last, ...rest } = row
    ndjson.line(JSON.stringify({ ...rest, state: stateOf(row), end: endStateOf(row), asked: moment(first), last: moment(last) }))
    sample.offer(row)
  }
  csv.close()
  ndjson.close()
  return sample
}

/** A name that is one folder, whatever stands in the record. */
const folderName = (name: string): string => `${/^[A-Za-z0-9]/.test(name) ? '' : 'c'}${name.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(0, 100)}`

const stepOf = ({ text: line }: ProvedRecord): string => {
  const record = JSON.parse(line) as Readonly<Record<string, unknown>>
  const { time, id, type, decision, vote, outcome, state, code } = record
  const more = [text((decision as { verdict?: unknown } | undefined)?.verdict), text((vote as { verdict?: unknown; by?: { subject?: unknown } } | undefined)?.by?.subject), text((vote as { verdict?: unknown } | undefined)?.verdict), text((outcome as { result?: unknown } | undefined)?.result), text(state), type === 'refused' ? text(code) : undefined].filter((one) => one !== undefined)
  return `${String(time).slice(0, 23).replace('T', ' ')}  ${String(type).replaceAll('-', ' ')}${more.length > 0 ? `: ${more.join(', ')}` : ''}  (${String(id)})`
}

export interface Receipts {
  readonly deployment: string
  readonly signers: readonly NoteSigner[]
  readonly made: number
}

/** Of a case with more records the others are in its `records.ndjson`, and checked with the log. */
const mostProofFiles = 24

/** A folder for each case of the sample: its records, when what happened, a receipt, and the proof of each record. */
export const writeSample = async (work: Pick<Gathering, 'folder' | 'progress' | 'signal'>, rows: readonly CaseRow[], replicas: readonly string[], { deployment, signers, made }: Receipts): Promise<readonly Sampled[]> => {
  const proved = await prove(work, replicas, new Set(rows.flatMap(({ ids }) => ids)))
  return rows.map((row, at) => {
    const plain = folderName(row.name)
    // Names that differ only in what no folder is called by.
    const folder = `sample/${rows.slice(0, at).some(({ name }) => folderName(name) === plain) ? `${plain}-${at}` : plain}`
    const records = [...new Set(row.ids)].flatMap((id) => proved.get(id) ?? []).toSorted((a, b) => (timeOf(a) < timeOf(b) ? -1 : timeOf(a) > timeOf(b) ? 1 : 0))
    work.folder.write(`${folder}/records.ndjson`, records.map(({ text: line }) => line).join('\n'))
    const steps = records.map(stepOf)
    work.folder.write(`${folder}/timeline.txt`, `${verbText(row.verb ?? '')} ${row.on?.[0] ?? ''}: ${stateOf(row)}, ${endStateOf(row)}\n\n${steps.join('\n')}`)
    for (const { id, text: line, proof } of records.slice(0, mostProofFiles)) {
      const name = `${folder}/${folderName(id)}`
      work.folder.write(`${name}.json`, line)
      if (proof !== undefined) work.folder.write(`${name}.tlog-proof`, proof)
    }
    const receipt = receiptFor(row, records, { deployment, signers, made })
    if (receipt !== undefined) work.folder.write(`${folder}/receipt.json`, receipt)
    return { row, folder, steps, proved: records.slice(0, mostProofFiles).filter(({ proof }) => proof !== undefined).length }
  })
}

/** Of records that are not ours there is none. */
const receiptFor = (row: CaseRow, records: readonly ProvedRecord[], { deployment, signers, made }: Receipts): string | undefined => {
  const own = casesIn(records).find(({ name }) => name === row.name)
  try {
    const receipt = own && receiptOf(own, deployment, made, row.records > row.ids.length)
    return receipt && signReceipt(receipt, signers)
  } catch (error) {
    if (error instanceof BadReceipt) return undefined
    throw error
  }
}

const timeOf = ({ text: line }: ProvedRecord): string => /"time":"([^"]+)"/.exec(line.slice(0, 400))?.[1] ?? ''
