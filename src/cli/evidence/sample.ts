import { hash } from 'node:crypto'
import { lineHead, parseLine } from '../../audit/line.ts'
import { inclusionPath, rootOf, split } from '../../audit/merkle-proof.ts'
import { nodeHash } from '../../audit/merkle-tree.ts'
import { proofOfPath } from '../../audit/proof.ts'
import { leafHash } from '../../lib/leaf-hash.ts'
import { isHeld, type CaseRow } from './case-row.ts'

/* Which cases are looked at one by one, and the proofs of their records. */

/** The order in which cases are drawn: anybody who has the seed and the names draws the same. */
export const drawOf = (seed: string, name: string): string => hash('sha256', `${seed}\n${name}`)

interface Drawn {
  readonly order: string
  readonly row: CaseRow
}

/** The first ones in the order of the draw. */
class Draw {
  readonly #most: number
  #drawn: Drawn[] = []

  constructor(most: number) {
    this.#most = most
  }

  offer(one: Drawn): void {
    const last = this.#drawn.at(-1)
    if (this.#drawn.length >= this.#most && last !== undefined && one.order >= last.order) return
    this.#drawn = [...this.#drawn, one].sort((a, b) => (a.order < b.order ? -1 : 1)).slice(0, this.#most)
  }

  rows(): readonly CaseRow[] {
    return this.#drawn.map(({ row }) => row)
  }
}

export interface Sample {
  offer(row: CaseRow): void
  rows(): readonly CaseRow[]
}

/** So many of those that people were asked about, and a fifth as many of the others. */
export const makeSample = (seed: string, size: number): Sample => {
  const [held, others] = [new Draw(size), new Draw(Math.ceil(size / 5))]
  return {
    offer: (row) => (isHeld(row) ? held : others).offer({ order: drawOf(seed, row.name), row }),
    rows: () => [...held.rows(), ...others.rows()],
  }
}

const blockLeaves = 256

interface Signed {
  readonly size: number
  readonly note: string
  /** The leaves of the block that was not full then. */
  readonly tail: readonly Buffer[]
}

export interface ProvedRecord {
  readonly id: string
  readonly text: string
  /** `undefined`: nothing is signed behind it. */
  readonly proof?: string
}

/** The tree over one start of a replica, for proofs of a few of its records: whole blocks of leaves are kept as one hash, but for those that a wanted record is in. */
export class StartProofs {
  readonly #wanted: ReadonlySet<string>
  readonly #blocks: Buffer[] = []
  readonly #kept = new Map<number, readonly Buffer[]>()
  readonly #found: { readonly id: string; readonly seq: number; readonly text: string }[] = []
  #open: Buffer[] = []
  #isWanted = false
  #size = 0
  #signed: Signed | undefined

  constructor(wanted: ReadonlySet<string>) {
    this.#wanted = wanted
  }

  take(text: string): void {
    const head = lineHead(text)
    if (head?.type === 'checkpoint') this.#signed = { size: this.#size, note: String(parseLine(text)?.['signed']), tail: [...this.#open] }
    if (head !== undefined && this.#wanted.has(head.id)) {
      this.#found.push({ id: head.id, seq: this.#size, text })
      this.#isWanted = true
    }
    this.#open.push(Buffer.from(leafHash(text), 'base64'))
    this.#size++
    if (this.#open.length < blockLeaves) return
    if (this.#isWanted) this.#kept.set(this.#blocks.length, this.#open)
    this.#blocks.push(rootOf(this.#open, 0, blockLeaves))
    this.#open = []
    this.#isWanted = false
  }

  proved(): readonly ProvedRecord[] {
    const signed = this.#signed
    return this.#found.map(({ id, seq, text }) => (signed === undefined || seq >= signed.size ? { id, text } : { id, text, proof: proofOfPath(inclusionPath(signed.size, seq, (from, to) => this.#root(from, to, signed)), seq, signed.note) }))
  }

  #root(from: number, to: number, signed: Signed): Buffer {
    const block = Math.floor(from / blockLeaves)
    if (to - from === blockLeaves && from % blockLeaves === 0 && this.#blocks[block] !== undefined) return this.#blocks[block]
    if (to - from < blockLeaves || (to - from === blockLeaves && from % blockLeaves === 0)) {
      const leaves = this.#kept.get(block) ?? (block === this.#blocks.length ? this.#open : undefined) ?? (Math.floor(signed.size / blockLeaves) === block ? signed.tail : undefined)
      if (leaves === undefined) throw new Error('a part of the tree was asked for that was not kept')
      return rootOf(leaves, from - block * blockLeaves, to - block * blockLeaves)
    }
    const middle = from + split(to - from)
    return nodeHash(this.#root(from, middle, signed), this.#root(middle, to, signed))
  }
}
