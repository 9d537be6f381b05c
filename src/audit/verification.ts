import { emptyHash } from '../lib/leaf-hash.ts'
import { claimedCheckpoint, openCheckpoint, type Checkpoint } from './checkpoint.ts'
import { cosignaturesOf, type Cosignature } from './cosignature.ts'
import { keptOf, type KeptCheckpoint, type KeptOfReplica } from './kept-checkpoint.ts'
import type { Finding, FindingKind, LogReport, Witnessed } from './log-report.ts'
import { MerkleTree } from './merkle-tree.ts'
import { misplaced, recordOf, type GivenLine, type GivenRecord } from './record-order.ts'
import { BadNote, splitNote, type NoteVerifier } from './signed-note.ts'

/** A replica signs each second. What goes on for so long without is not what a replica wrote. */
const longestUnsignedMs = 60_000

export interface Evidence {
  /** Whose signatures count. They come from whoever checks, never from what is checked. */
  readonly keys: readonly NoteVerifier[]
  /** Signed checkpoints that were kept elsewhere. */
  readonly checkpoints: readonly KeptCheckpoint[]
  /** Whose word counts for when a checkpoint was seen. */
  readonly witnesses?: readonly NoteVerifier[]
}

/** A witness answers within seconds. What it says of older checkpoints is not compared. */
const mostRoots = 10_000
/** So many sign one log. Whoever makes up others gains nothing by it. */
const mostWitnesses = 100

/** One replica's records in the order in which they were kept, checked against each other and against what was signed. */
export const verifyLog = (replica: string, lines: Iterable<GivenLine>, evidence: Evidence): LogReport => {
  const check = new LogCheck(replica, evidence)
  for (const line of lines) {
    check.take(line)
    if (check.isOver) break
  }
  return check.report()
}

/** The same, line by line, for who does something else with the lines as well. */
export class LogCheck {
  #waiting: GivenLine | undefined
  readonly #replica: string
  readonly #evidence: Evidence
  readonly #kept: KeptOfReplica
  #finding: Finding | undefined
  #first: GivenRecord | undefined
  #before: GivenRecord | undefined
  #earlier: GivenRecord | undefined
  /** Of the current start. */
  #tree = new MerkleTree()
  /** Its records are there from the first on: only then there is a root to compare. */
  #whole = false
  #uncompared = false
  /** So many of its records are signed. */
  #good = 0
  #records = 0
  #signed = 0
  #behind = 0
  /** The first record behind the last signature. */
  #firstBehind: GivenRecord | undefined
  /** What was signed of the current start, by its size; the newest. */
  #roots = new Map<number, { readonly root: Buffer; readonly records: number }>()
  /** The newest size of the current start that stands in the log as seen, by who signed that. */
  #seenSizes = new Map<string, number>()
  readonly #witnessed = new Map<string, Witnessed>()
  /** How many records there are of each start. */
  readonly #sizes = new Map<number, number>()

  constructor(replica: string, evidence: Evidence) {
    this.#replica = replica
    this.#evidence = evidence
    this.#kept = keptOf(replica, evidence.checkpoints)
  }

  /** Something is wrong: what follows is not looked at. */
  get isOver(): boolean {
    return this.#finding !== undefined
  }

  take(line: GivenLine): void {
    if (this.#waiting !== undefined && !this.isOver) this.#take(this.#waiting, line)
    this.#waiting = line
  }

  /** There are no more lines. */
  report(): LogReport {
    if (this.#waiting !== undefined && !this.isOver) this.#take(this.#waiting, undefined)
    this.#waiting = undefined
    if (this.#finding === undefined) this.#compareEnds()
    if (this.#finding === undefined) this.#lookBehind()
    return {
      replica: this.#replica,
      records: this.#records,
      signed: this.#signed,
      behind: this.#behind,
      uncompared: this.#uncompared,
      beginsLate: this.#first !== undefined && !(this.#first.seq === 0 && this.#first.epoch === 1),
      ...(this.#first === undefined ? {} : { first: this.#first.id }),
      ...(this.#before === undefined ? {} : { last: this.#before.id }),
      ...(this.#evidence.witnesses === undefined ? {} : { witnessed: [...this.#witnessed.values()] }),
      ...(this.#finding === undefined ? {} : { finding: this.#finding }),
    }
  }

  #id(epoch: number, seq: number): string {
    return `${this.#replica}/${epoch}/${seq}`
  }

  #wrong(kind: FindingKind, at: string, text: string): void {
    this.#finding ??= { kind, at, text }
  }

  #take(line: GivenLine, nextLine: GivenLine | undefined): void {
    const record = recordOf(line)
    if (record === undefined) return this.#wrong('unreadable', this.#before === undefined ? this.#id(1, 0) : this.#id(this.#before.epoch, this.#before.seq + 1), line.whole ? 'this line is no record' : 'the last line is cut off')
    if (this.#before === undefined) this.#begin(record)
    else {
      this.#finding = misplaced(this.#replica, record, { before: this.#before, earlier: this.#earlier, next: nextLine && recordOf(nextLine) })
      if (this.#finding === undefined && record.epoch !== this.#before.epoch) this.#begin(record)
    }
    if (this.#finding === undefined && record.signed !== undefined) this.#checkSignature(record, record.signed)
    if (this.#finding === undefined && record.cosigned !== undefined) this.#checkCosignature(record, record.cosigned)
    if (this.#finding !== undefined) return
    this.#tree.append(record.hash)
    this.#records++
    if (!(record.cosigned !== undefined && this.#saysMore(record.cosigned)) && ++this.#behind === 1) this.#firstBehind = record
    this.#sizes.set(record.epoch, record.seq + 1)
    this.#first ??= record
    this.#earlier = this.#before
    this.#before = record
    this.#compare(record)
  }

  #begin(record: GivenRecord): void {
    this.#tree = new MerkleTree()
    this.#roots = new Map()
    this.#seenSizes = new Map()
    this.#whole = record.seq === 0
    this.#good = 0
    if (!this.#whole && this.#kept.has(record.epoch)) return this.#wrong('truncated', this.#id(record.epoch, 0), `the first ${record.seq} records of this start are not here, and a checkpoint from elsewhere is of them`)
    if (this.#before === undefined && record.seq === 0 && record.epoch === 1 && record.prev !== emptyHash) this.#wrong('changed', record.id, 'the first record of all has nothing before it, and says otherwise')
  }

  /** A signature in the log is of all records of its start before it, and by the chain of all that came before those. */
  #checkSignature(record: GivenRecord, signed: string): void {
    let checkpoint: Checkpoint
    try {
      checkpoint = openCheckpoint(signed, this.#evidence.keys)
    } catch (error) {
      if (!(error instanceof BadNote)) throw error
      return this.#wrong('forged', record.id, error.message)
    }
    if (!isOf(checkpoint, this.#replica, record.epoch) || checkpoint.size !== record.seq) return this.#wrong('forged', record.id, `its signature is of ${checkpoint.size} records of ${checkpoint.origin}`)
    this.#behind = -1 // the record that it stands in comes next
    if (!this.#whole) return void (this.#uncompared = true)
    if (!this.#tree.root().equals(checkpoint.root)) return this.#wrong('changed', this.#id(record.epoch, this.#good), `the records from here to ${record.id} are not those that were signed, and have been chained anew`)
    this.#good = record.seq
    this.#signed = this.#records
    this.#roots.set(record.seq, { root: checkpoint.root, records: this.#records })
    if (this.#roots.size > mostRoots) this.#roots.delete(this.#roots.keys().next().value ?? 0)
  }

  /** A witness says that it has seen what a signature before this record is of. */
  #checkCosignature(record: GivenRecord, cosigned: string): void {
    let checkpoint: Checkpoint
    let seen: readonly Cosignature[]
    try {
      checkpoint = openCheckpoint(cosigned, this.#evidence.keys)
      seen = cosignaturesOf(cosigned, this.#evidence.witnesses ?? [])
    } catch (error) {
      if (!(error instanceof BadNote)) throw error
      return this.#wrong('forged', record.id, error.message)
    }
    if (!isOf(checkpoint, this.#replica, record.epoch) || checkpoint.size > record.seq) return this.#wrong('forged', record.id, `it is of ${checkpoint.size} records of ${checkpoint.origin}`)
    const here = this.#roots.get(checkpoint.size)
    if (here === undefined) return
    if (!here.root.equals(checkpoint.root)) return this.#wrong('forked', this.#id(record.epoch, 0), `somewhere from here on these are not the ${checkpoint.size} records that a witness has seen`)
    this.#note(seen, checkpoint, record.epoch, here.records)
  }

  /** What a witness has signed of this log speaks for itself, once: only of a later checkpoint than before has it more to say. */
  #saysMore(cosigned: string): boolean {
    const { size } = claimedCheckpoint(cosigned)
    const by = splitNote(cosigned).signatures.map(({ name, bytes }) => `${name} ${bytes.toString('hex', 0, 4)}`).filter((who) => !this.#evidence.keys.some(({ name, id }) => who === `${name} ${id.toString('hex')}`))
    const news = by.filter((who) => (this.#seenSizes.get(who) ?? -1) < size && (this.#seenSizes.has(who) || this.#seenSizes.size < mostWitnesses))
    for (const who of news) this.#seenSizes.set(who, size)
    return news.length > 0
  }

  #note(seen: readonly Cosignature[], { size }: Checkpoint, epoch: number, records: number): void {
    for (const { witness, time } of seen) {
      if ((this.#witnessed.get(witness)?.records ?? 0) <= records) this.#witnessed.set(witness, { witness, upTo: this.#id(epoch, size - 1), records, at: new Date(time * 1_000).toISOString() })
    }
  }

  #compare(record: GivenRecord): void {
    const all = this.#whole ? this.#kept.get(record.epoch)?.get(record.seq + 1) : undefined
    const here = all && this.#tree.root()
    for (const kept of all ?? []) {
      const { size, root, seen } = kept
      if (!here?.equals(root)) return this.#wrong('forked', this.#id(record.epoch, this.#good), `somewhere from here on these are not the ${size} records that a checkpoint from elsewhere is of`)
      this.#good = size
      this.#signed = this.#records
      this.#behind = 0
      this.#note(seen ?? [], kept, record.epoch, this.#records)
    }
  }

  /** Records without a signature are nobody's until there is one; so many that there should be one are somebody else's. */
  #lookBehind(): void {
    const [first, last] = [this.#firstBehind, this.#before]
    if (this.#behind <= 0 || first === undefined || last === undefined) return
    const span = last.time - first.time
    if (!(span < longestUnsignedMs)) this.#wrong('unsigned', first.id, `from here on ${this.#behind} records of ${Math.round(span / 1_000)} s have no signature`)
  }

  /** What was kept elsewhere is here as well. */
  #compareEnds(): void {
    for (const [epoch, kept] of this.#kept) {
      const here = this.#sizes.get(epoch) ?? 0
      const size = [...kept.keys()].reduce((one, other) => Math.max(one, other), 0)
      if (here < size) this.#wrong('truncated', this.#id(epoch, here), `there are ${here} records of this start, and a checkpoint from elsewhere is of ${size}`)
    }
  }
}

const isOf = ({ origin }: Checkpoint, replica: string, epoch: number): boolean => origin.endsWith(`/${replica}/${epoch}`)
