import { Refusal } from '../../../model/refusal.ts'
import { brokenRow, CountingWriter, dataRow, pass, type Allowance, type RowWriter } from './writer.ts'

/** What stands in place of a field, its length in front of it. `undefined` as a whole: the field passes. */
export type FieldMask = Buffer | ((value: Buffer) => Buffer) | undefined

/** A row is read whole before it is masked: its length stands in front. Longer ones are refused. */
export const LONGEST_ROW = 64 << 20

/**
 *   'D' │ length 4, itself included │ fields 2 │ (length 4, −1 for NULL │ bytes)…
 *
 * One output buffer for one chunk: what lies between masked fields is copied in runs, and the row's length is written afterwards.
 * Only the row that the end of a chunk cuts is kept.
 */
export class MaskingWriter implements RowWriter {
  rows = 0
  masked = 0
  over = false
  readonly #masks: readonly FieldMask[]
  readonly #hiding: readonly boolean[]
  /** One behind the last field that has a mask: what comes after it need not be looked at. */
  readonly #upTo: number
  readonly #allowance: Allowance
  #swallow: CountingWriter | undefined
  #kept: Buffer[] = []
  #keptBytes = 0
  #needed = 0
  #target: Buffer = none
  #written = 0

  /** `hiding`: where a mask stands in place of NULL, too. */
  constructor(masks: readonly FieldMask[], allowance: Allowance, hiding: readonly boolean[] = []) {
    this.#masks = masks
    this.#hiding = hiding
    this.#upTo = masks.findLastIndex((mask) => mask !== undefined) + 1
    this.#allowance = allowance
  }

  get open(): boolean {
    return this.#keptBytes > 0 || (this.#swallow?.open ?? false)
  }

  push(chunk: Buffer, at: number, out: Buffer[]): number {
    let pos = at
    if (this.#keptBytes > 0) {
      pos = this.#keep(chunk, at)
      if (this.#needed === 0 || this.#keptBytes < this.#needed) return pos
      const row = Buffer.concat(this.#kept, this.#keptBytes)
      this.#kept = []
      this.#keptBytes = this.#needed = 0
      this.#rewrite(row, 0, out)
    }
    pos = this.#rewrite(chunk, pos, out)
    if (this.over) return this.#skip(chunk, pos)
    return pos < chunk.length && chunk[pos] === dataRow ? this.#keep(chunk, pos) : pos
  }

  #skip(chunk: Buffer, at: number): number {
    this.#swallow ??= new CountingWriter({ left: 0 })
    return this.#swallow.push(chunk, at, [])
  }

  /** Takes what belongs to the cut row: its header first, then as much as that announces. */
  #keep(chunk: Buffer, at: number): number {
    let pos = at
    if (this.#needed === 0) {
      pos = this.#take(chunk, pos, 5 - this.#keptBytes)
      if (this.#keptBytes < 5) return pos
      const head = Buffer.concat(this.#kept)
      this.#kept = [head]
      this.#needed = lengthOf(head, 0)
    }
    return this.#take(chunk, pos, this.#needed - this.#keptBytes)
  }

  #take(chunk: Buffer, at: number, most: number): number {
    const to = Math.min(chunk.length, at + most)
    if (to > at) this.#kept.push(chunk.subarray(at, to))
    this.#keptBytes += to - at
    return to
  }

  /** Masks all whole rows from `at` on, and says where they end. */
  #rewrite(chunk: Buffer, at: number, out: Buffer[]): number {
    if (this.over) return at
    const end = chunk.length
    const before = this.masked
    this.#written = 0
    let pos = at
    let copied = at
    while (end - pos >= 5 && chunk[pos] === dataRow) {
      if (this.#allowance.left <= 0) {
        this.over = true
        break
      }
      const length = lengthOf(chunk, pos)
      if (length > end - pos) break
      copied = this.#row(chunk, pos, pos + length, copied)
      pos += length
      this.rows++
      this.#allowance.left--
    }
    if (this.masked === before) pass(chunk, at, pos, out)
    else {
      this.#run(chunk, copied, pos, 0)
      out.push(this.#target.subarray(0, this.#written))
      this.#target = none
    }
    return pos
  }

  /** Bytes up to `copied` are written. Gives the new `copied`. */
  #row(chunk: Buffer, at: number, end: number, copied: number): number {
    if (((chunk[at + 5] as number) << 8 | (chunk[at + 6] as number)) !== this.#masks.length) throw brokenRow('a row has other columns than were announced')
    let [pos, from, header, grown] = [at + 7, copied, -1, 0]
    for (let field = 0; field < this.#upTo; field++) {
      if (pos + 4 > end) throw brokenRow('a row ends too early')
      const length = (chunk[pos] as number) << 24 | (chunk[pos + 1] as number) << 16 | (chunk[pos + 2] as number) << 8 | (chunk[pos + 3] as number)
      const to = length === -1 ? pos + 4 : pos + 4 + length
      if (length < -1 || to > end) throw brokenRow('a field is longer than its row')
      const mask = this.#masks[field]
      if (mask !== undefined && (length !== -1 || this.#hiding[field] === true)) {
        const shown = typeof mask === 'function' ? mask(chunk.subarray(pos + 4, to)) : mask
        if (header < 0) header = this.#written + at - from
        this.#run(chunk, from, pos, shown.length)
        this.#write(shown)
        grown += shown.length - (to - pos)
        from = to
        this.masked++
      }
      pos = to
    }
    if (header >= 0) this.#target.writeUInt32BE(end - at - 1 + grown, header + 1)
    return from
  }

  /** Copies a run; `more`: bytes that will follow it. */
  #run(chunk: Buffer, from: number, to: number, more: number): void {
    const size = this.#written + to - from + more
    if (size > this.#target.length) {
      const larger = Buffer.allocUnsafe(Math.max(size, chunk.length + 1024, Math.ceil(this.#target.length * 1.5)))
      this.#target.copy(larger, 0, 0, this.#written)
      this.#target = larger
    }
    chunk.copy(this.#target, this.#written, from, to)
    this.#written += to - from
  }

  #write(shown: Buffer): void {
    const target = this.#target
    let at = this.#written
    for (let byte = 0; byte < shown.length; byte++) target[at++] = shown[byte] as number
    this.#written = at
  }
}

const none = Buffer.alloc(0)

/** All of the row, its type included. */
const lengthOf = (chunk: Buffer, at: number): number => {
  const length = chunk.readUInt32BE(at + 1) + 1
  if (length < 7) throw brokenRow(`a row announces the impossible length ${length}`)
  if (length > LONGEST_ROW) throw new Refusal('too-large', `A row with masked columns is longer than ${LONGEST_ROW >> 20} MiB. Ask for fewer columns, or for a part of the value.`)
  return length
}
