import { leafHash } from '../lib/leaf-hash.ts'
import { claimedCheckpoint, type Checkpoint } from './checkpoint.ts'
import { lineHead, parseLine } from './line.ts'
import type { FindingKind } from './log-report.ts'
import { MerkleTree } from './merkle-tree.ts'
import type { GivenLine } from './record-order.ts'
import { BadNote, splitNote } from './signed-note.ts'
import { longestEntry } from './tiles.ts'

/** What stops one from going on with a log; `audit verify` says more about it. */
export class DamagedLog extends Error {
  override readonly name = 'DamagedLog'
  readonly kind: FindingKind
  constructor(kind: FindingKind, message: string) {
    super(message)
    this.kind = kind
  }
}

/** How far a start of a replica is signed: by the newest checkpoint in it, with all signatures that the log has of that. */
export type SignedPart = Checkpoint & { readonly note: string }

/**
 * Reads one start of a replica, from its first record on. That its records are those that its signatures are of is checked; whose signatures they are is not: that is for who has the keys.
 * `publishedOf`: what was made of the log of that origin before; it must have grown out of that. Throws `DamagedLog`.
 */
export class SignedPartCheck {
  readonly #log: string
  readonly #publishedOf: (origin: string) => Checkpoint | undefined
  readonly #tree = new MerkleTree()
  #published: Checkpoint | undefined
  #signed: SignedPart | undefined
  #hasGrown = true
  #isCut = false

  constructor(log: string, publishedOf: (origin: string) => Checkpoint | undefined) {
    this.#log = log
    this.#publishedOf = publishedOf
  }

  take({ text, whole }: GivenLine): void {
    const at = `${this.#log}/${this.#tree.size}`
    if (this.#isCut) throw new DamagedLog('unreadable', `${at} is cut off, and more follows`)
    if (!whole) return void (this.#isCut = true) // the end, while it is being written
    const head = lineHead(text)
    if (head === undefined || text.length > longestEntry || /[^\x20-\x7e]/.test(text)) throw new DamagedLog('unreadable', `${at} is no record`)
    if (head.id !== at) throw new DamagedLog(head.seq > this.#tree.size ? 'missing' : 'moved', `${at} is not here: ${head.id} stands in its place`)
    if (head.type === 'checkpoint' || head.type === 'cosigned') this.#takeNote(at, head.type, String(parseLine(text)?.['signed']))
    this.#tree.append(leafHash(text))
  }

  #takeNote(at: string, type: 'checkpoint' | 'cosigned', note: string): void {
    try {
      const claimed = claimedCheckpoint(note)
      if (type === 'cosigned') return this.#join(note)
      if (claimed.size !== this.#tree.size || !claimed.origin.endsWith(`/${this.#log}`)) throw new DamagedLog('forged', `the signature in ${at} is of ${claimed.size} records of ${claimed.origin}`)
      if (!claimed.root.equals(this.#tree.root())) throw new DamagedLog('changed', `the records before ${at} are not those that were signed`)
      if (this.#signed === undefined) this.#hasGrown = (this.#published = this.#publishedOf(claimed.origin)) === undefined
      else if (claimed.origin !== this.#signed.origin) throw new DamagedLog('forged', `the signature in ${at} is of ${claimed.origin}`)
      this.#compare(claimed)
      this.#signed = { ...claimed, note }
    } catch (error) {
      if (error instanceof BadNote) throw new DamagedLog('forged', `${at}: ${error.message}`)
      throw error
    }
  }

  /** What witnesses have signed of the newest checkpoint goes along with it. */
  #join(note: string): void {
    if (this.#signed === undefined) return
    const [mine, theirs] = [splitNote(this.#signed.note), splitNote(note)]
    if (mine.text !== theirs.text) return
    const lines = new Set([...mine.signatures, ...theirs.signatures].map(({ line }) => line))
    this.#signed = { ...this.#signed, note: `${mine.text}\n${[...lines].join('\n')}\n` }
  }

  #compare(claimed: Checkpoint): void {
    if (claimed.size !== this.#published?.size) return
    if (!claimed.root.equals(this.#published.root)) throw new DamagedLog('forked', `the first ${claimed.size} records are others than those of the checkpoint that is there`)
    this.#hasGrown = true
  }

  /** There are no more lines; nothing where nobody has signed any. */
  end(): SignedPart | undefined {
    if (this.#hasGrown) return this.#signed
    const [signed, before] = [this.#signed?.size ?? 0, this.#published?.size ?? 0]
    throw signed < before ? new DamagedLog('truncated', `${signed} records are signed, and the checkpoint that is there is of ${before}`) : new DamagedLog('forked', `the checkpoint that is there is of ${before} records, and nobody has signed so many here`)
  }
}
