import { leafHash } from '../lib/leaf-hash.ts'
import { parseLine } from './line.ts'
import type { Finding } from './log-report.ts'

export interface GivenLine {
  readonly text: string
  /** False for what stands behind the last newline. */
  readonly whole: boolean
}

/** As it was given. */
export interface GivenRecord {
  readonly id: string
  readonly epoch: number
  readonly seq: number
  readonly prev: string
  readonly time: number
  readonly hash: string
  readonly text: string
  readonly signed: string | undefined
  readonly cosigned: string | undefined
}

export const recordOf = ({ text, whole }: GivenLine): GivenRecord | undefined => {
  const line = whole ? parseLine(text) : undefined
  if (line === undefined) return undefined
  const [, epoch = ''] = line.id.split('/')
  return { id: line.id, epoch: Number(epoch), seq: line.seq, prev: line.prev, time: Date.parse(line.time), hash: leafHash(text), text, signed: line.type === 'checkpoint' ? String(line['signed']) : undefined, cosigned: line.type === 'cosigned' ? String(line['signed']) : undefined }
}

/** The records around one: the two before it, and the one behind. */
export interface Neighbours {
  readonly before: GivenRecord
  readonly earlier: GivenRecord | undefined
  readonly next: GivenRecord | undefined
}

/** What is wrong if a record does not belong behind the one before. What the record behind it says of it tells which of two is the false one. */
export const misplaced = (replica: string, record: GivenRecord, { before, earlier, next }: Neighbours): Finding | undefined => {
  const id = (epoch: number, seq: number): string => `${replica}/${epoch}/${seq}`
  const expected = record.epoch === before.epoch ? before.seq + 1 : 0
  const confirmed = next !== undefined && next.prev === record.hash
  if (record.epoch < before.epoch) return { kind: 'moved', at: record.id, text: 'it is of an earlier start than the record before it' }
  if (record.seq > expected) {
    const at = id(record.epoch, expected)
    if (next?.epoch === record.epoch && next.seq === expected) return { kind: 'moved', at, text: 'it stands behind the one that followed it' }
    return { kind: 'missing', at, text: record.seq - expected === 1 ? 'this record is missing' : `this record and those up to ${record.seq - 1} are missing` }
  }
  if (record.seq < expected) {
    if (record.text === before.text || record.text === earlier?.text) return { kind: 'repeated', at: id(before.epoch, expected), text: `it is ${record.id} once more` }
    if (confirmed) return { kind: 'inserted', at: before.id, text: 'another record has its number, and the one after that vouches for the other' }
    return { kind: 'inserted', at: record.id, text: 'there is another record of this number before it' }
  }
  if (record.prev === before.hash) return undefined
  if (record.epoch > before.epoch + 1) return { kind: 'missing', at: id(before.epoch + 1, 0), text: `the starts between ${before.epoch} and ${record.epoch} are missing, or the end of ${before.epoch} is` }
  if (confirmed || next === undefined) return { kind: 'changed', at: before.id, text: 'it is not what the record after it was written behind' }
  return { kind: 'changed', at: record.id, text: 'it fits neither the record before it nor the one after it' }
}
