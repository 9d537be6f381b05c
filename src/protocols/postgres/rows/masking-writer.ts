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
  made: ArrayBufferLike | undefined
  readonly #masks: readonly FieldMask[]
  readonly #hiding: readonly boolean[]
  /** One behind the last field that has a mask: what comes after it need not be looked at. */
  readonly #upTo: number
  readonly #allowance: Allowance
  #swallow: CountingWriter | undefined
  /** A cut row, as far as it has come. */
  #kept: Buffer = none
  #keptBytes = 0
  #needed = 0
  #target: Buffer = none
  #written = 0
  /** The same bytes: numbers are read and written in them at once. */
  #source: DataView = noBytes
  #sink: DataView = noBytes

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
    this.made = undefined
    if (this.#keptBytes > 0) {
      pos = this.#keep(chunk, at)
      if (this.#needed === 0 || this.#keptBytes < this.#needed) return pos
      const row = this.#kept.subarray(0, this.#keptBytes)
      this.#kept = none
      this.#keptBytes = this.#needed = 0
      this.#rewrite(row, 0, out, chunk.length - pos)
    }
    pos = this.#rewrite(chunk, pos, out, 0)
    this.#emit(out)
    this.#source = this.#sink = noBytes
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
      this.#needed = checked(this.#kept.readUInt32BE(1) + 1)
    }
    return this.#take(chunk, pos, this.#needed - this.#keptBytes)
  }

  /** Copies, for the chunk is somebody else's afterwards. Grows by doubling: no announced length is ever allocated. */
  #take(chunk: Buffer, at: number, most: number): number {
    const to = Math.min(chunk.length, at + most)
    const size = this.#keptBytes + to - at
    if (size > this.#kept.length) {
      const larger = Buffer.allocUnsafe(Math.max(size, Math.min(this.#needed, Math.max(1_024, 2 * size))))
      this.#kept.copy(larger, 0, 0, this.#keptBytes)
      this.#kept = larger
    }
    chunk.copy(this.#kept, this.#keptBytes, at, to)
    this.#keptBytes = size
    return to
  }

  /** Masks all whole rows from `at` on, and says where they end. `more`: bytes that will follow them. */
  #rewrite(chunk: Buffer, at: number, out: Buffer[], more: number): number {
    if (this.over) return at
    const end = chunk.length
    const source = (this.#source = new DataView(chunk.buffer, chunk.byteOffset, end))
    const before = this.masked
    let pos = at
    let copied = at
    while (end - pos >= 5 && chunk[pos] === dataRow) {
      if (this.#allowance.left <= 0) {
        this.over = true
        break
      }
      const length = checked(source.getUint32(pos + 1) + 1)
      if (length > end - pos) break
      copied = this.#row(chunk, pos, pos + length, copied, more)
      pos += length
      this.rows++
      this.#allowance.left--
    }
    if (this.masked > before) this.#run(chunk, copied, pos, more)
    else {
      this.#emit(out)
      pass(chunk, at, pos, out)
    }
    return pos
  }

  #emit(out: Buffer[]): void {
    if (this.#written > 0) out.push(this.#target.subarray(0, this.#written))
    this.#target = none
    this.#written = 0
  }

  /** Bytes up to `copied` are written. Gives the new `copied`. */
  #row(chunk: Buffer, at: number, end: number, copied: number, more: number): number {
    const source = this.#source
    if (source.getUint16(at + 5) !== this.#masks.length) throw brokenRow('a row has other columns than were announced')
    let [pos, from, header, grown] = [at + 7, copied, -1, 0]
    for (let field = 0; field < this.#upTo; field++) {
      if (pos + 4 > end) throw brokenRow('a row ends too early')
      const length = source.getInt32(pos)
      const to = length === -1 ? pos + 4 : pos + 4 + length
      if (length < -1 || to > end) throw brokenRow('a field is longer than its row')
      const mask = this.#masks[field]
      if (mask !== undefined && (length !== -1 || this.#hiding[field] === true)) {
        const shown = typeof mask === 'function' ? mask(chunk.subarray(pos + 4, to)) : mask
        if (header < 0) header = this.#written + at - from
        this.#run(chunk, from, pos, shown.length + more)
        this.#write(shown)
        grown += shown.length - (to - pos)
        from = to
        this.masked++
      }
      pos = to
    }
    if (header >= 0) this.#sink.setUint32(header + 1, end - at - 1 + grown)
    return from
  }

  /** Copies a run; `more`: bytes that will follow it. */
  #run(chunk: Buffer, from: number, to: number, more: number): void {
    const size = to - from
    const needed = this.#written + size + more
    if (needed > this.#target.length) this.#grow(Math.max(needed, chunk.length + 1_024, Math.ceil(this.#target.length * 1.5)))
    if (size > longestShort) chunk.copy(this.#target, this.#written, from, to)
    else copyShort(this.#source, from, to, this.#sink, this.#written)
    this.#written += size
  }

  #grow(size: number): void {
    const own = size >= least
    const larger = own ? Buffer.allocUnsafeSlow(size) : Buffer.allocUnsafe(size)
    this.#target.copy(larger, 0, 0, this.#written)
    this.#target = larger
    if (own) this.made = larger.buffer
    this.#sink = new DataView(larger.buffer, larger.byteOffset, size)
  }

  #write(shown: Buffer): void {
    const target = this.#target
    let at = this.#written
    for (let byte = 0; byte < shown.length; byte++) target[at++] = shown[byte] as number
    this.#written = at
  }
}

const none = Buffer.alloc(0)
const noBytes = new DataView(new ArrayBuffer(0))

/** Memory of its own; less is taken from what many share. */
const least = 8_192

/** Up to here it costs less to copy here than to call for it. */
const longestShort = 256

/** Eight bytes at a time, and never one past the end. */
const copyShort = (source: DataView, from: number, to: number, sink: DataView, at: number): void => {
  const shift = at - from
  let pos = from
  for (; pos + 16 <= to; pos += 16) {
    sink.setBigInt64(pos + shift, source.getBigInt64(pos, true), true)
    sink.setBigInt64(pos + shift + 8, source.getBigInt64(pos + 8, true), true)
  }
  for (; pos + 4 <= to; pos += 4) sink.setInt32(pos + shift, source.getInt32(pos, true), true)
  for (; pos < to; pos++) sink.setUint8(pos + shift, source.getUint8(pos))
}

/** All of a row, its type included. */
const checked = (length: number): number => {
  if (length < 7) throw brokenRow(`a row announces the impossible length ${length}`)
  if (length > LONGEST_ROW) throw new Refusal('too-large', `A row with masked columns is longer than ${LONGEST_ROW >> 20} MiB. Ask for fewer columns, or for a part of the value.`)
  return length
}
