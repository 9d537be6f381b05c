import type { Frame } from './frame.ts'

/** What one side may send. */
export interface FrameRules {
  /** Most bytes of a message of this type, its type and length included; 0: there is no such message here. `streamed`: it passes as it comes, nothing of it is kept. */
  limit(type: number, streamed: boolean): number
  /** Made when the bytes cannot be what they should be. Nothing can be read after it. */
  broken(text: string): Error
}

/**
 * A walk over a stream of messages, whatever pieces it comes in. A cursor and not a list of objects: most bytes only pass through.
 *
 *     walk.feed(chunk)
 *     while (walk.next()) … walk.type, walk.chunk from walk.start to walk.end
 *
 * Each step is one whole message, or a run of rows. Steps follow each other without gaps, so what may be passed on is
 * `walk.chunk` from where the caller began to `walk.end`. A cut message stays here until its end has come.
 */
export interface FrameWalk {
  /** Adds what has been read. All steps of the last chunk must have been taken. */
  feed(chunk: Buffer): void
  /** Goes to the next step. False: more must be fed, and of the last chunk nothing is held any more. */
  next(): boolean
  readonly type: number
  /** The bytes that `start` and `end` are about. It is the fed chunk unless a message was cut. */
  readonly chunk: Buffer
  readonly start: number
  readonly end: number
  /** How many rows begin in this step. */
  readonly rows: number
  /** Behind `end` begins a message: something may be put in between. */
  readonly whole: boolean
  /** Bytes that wait for the rest of their message. */
  readonly kept: number
  /** Takes back all that has not been a step yet; the walk is over. */
  rest(): Buffer
  /** True: each row is a step of its own and comes whole, as all other messages do. False, as at first: neighbouring rows are one step, and a row may be cut. */
  rowByRow: boolean
}

const dataRow = 0x44
const copyData = 0x64
const header = 5

/** `streams`: DataRow and CopyData may pass in pieces. Only for what comes from the server. */
export const makeFrameWalk = (rules: FrameRules, streams: boolean): FrameWalk => new Walk(rules, streams)

const none = Buffer.alloc(0)

class Walk implements FrameWalk {
  type = 0
  chunk: Buffer = none
  start = 0
  end = 0
  rows = 0
  whole = true
  rowByRow = false
  readonly #rules: FrameRules
  readonly #streams: boolean
  /** A cut message, as far as it has come. */
  #store: Buffer = none
  #kept = 0
  #needed = 0
  /** Bytes of a cut row that are still to come. */
  #owed = 0
  #owedType = 0

  constructor(rules: FrameRules, streams: boolean) {
    this.#rules = rules
    this.#streams = streams
  }

  get kept(): number {
    return this.#kept
  }

  feed(chunk: Buffer): void {
    if (this.end !== this.chunk.length) throw new Error('the last chunk has not been walked to its end')
    this.start = this.end = 0
    if (this.#kept === 0) {
      this.chunk = chunk
      return
    }
    this.#append(chunk)
    this.chunk = none
    if (this.#kept < header) return
    if (this.#needed === 0) this.#needed = this.#lengthOf(this.#store, 0, this.#mayPass())
    if (this.#kept < this.#needed && !this.#mayPass()) return
    this.chunk = this.#store.subarray(0, this.#kept)
    this.#store = none
    this.#kept = this.#needed = 0
  }

  next(): boolean {
    const { chunk } = this
    this.start = this.end
    this.rows = 0
    if (this.#owed > 0 && this.start < chunk.length) this.#takeOwed()
    while (this.end < chunk.length) {
      const left = chunk.length - this.end
      if (left < header) {
        if (this.end > this.start) return true
        return this.#keep(0)
      }
      const type = chunk[this.end] as number
      const streamed = this.#streams && !this.rowByRow && (type === dataRow || type === copyData)
      if (this.end > this.start && (!streamed || type !== this.type)) return true
      const length = this.#lengthOf(chunk, this.end, streamed)
      if (length > left && !streamed) return this.#keep(length)
      this.type = type
      this.whole = length <= left
      this.rows = streamed || type === dataRow ? this.rows + 1 : 0
      this.end += Math.min(length, left)
      if (!streamed) return true
      if (length > left) {
        this.#owed = length - left
        this.#owedType = type
      } else this.#takeWhole(type)
    }
    if (this.end > this.start) return true
    this.chunk = none
    this.start = this.end = 0
    return false
  }

  rest(): Buffer {
    const rest = this.#kept > 0 ? this.#store.subarray(0, this.#kept) : this.chunk.subarray(this.end)
    this.chunk = this.#store = none
    this.start = this.end = this.#kept = this.#needed = 0
    return rest
  }

  #takeOwed(): void {
    const take = Math.min(this.#owed, this.chunk.length - this.start)
    this.type = this.#owedType
    this.end += take
    this.#owed -= take
    this.whole = this.#owed === 0
  }

  /** Most of a result is whole rows behind each other. The first that is cut, too long or no row is left to `next`. */
  #takeWhole(type: number): void {
    const { chunk } = this
    const most = this.#rules.limit(type, true)
    let [at, rows] = [this.end, this.rows]
    while (chunk.length - at >= header && chunk[at] === type) {
      const announced = chunk.readUInt32BE(at + 1)
      if (announced < 4 || announced >= most || announced >= chunk.length - at) break
      at += announced + 1
      rows++
    }
    this.end = at
    this.rows = rows
  }

  /** What is kept is a row that may pass as it comes. */
  #mayPass(): boolean {
    const type = this.#store[0]
    return this.#streams && !this.rowByRow && (type === dataRow || type === copyData)
  }

  #keep(needed: number): false {
    const tail = this.chunk.subarray(this.end)
    this.#needed = needed
    this.#append(tail)
    this.chunk = none
    this.start = this.end = 0
    return false
  }

  /** Grows by doubling: a message that comes byte by byte costs no more than one that comes whole, and no announced length is ever allocated. */
  #append(piece: Buffer): void {
    const kept = this.#kept + piece.length
    if (kept > this.#store.length) {
      const store = Buffer.allocUnsafeSlow(Math.max(kept, Math.min(2 * this.#store.length, Math.max(this.#needed, 64))))
      this.#store.copy(store, 0, 0, this.#kept)
      this.#store = store
    }
    piece.copy(this.#store, this.#kept)
    this.#kept = kept
  }

  /** All of the message, its type included. The announced length is believed only within its limit. */
  #lengthOf(bytes: Buffer, at: number, streamed: boolean): number {
    const type = bytes[at] as number
    const announced = bytes.readUInt32BE(at + 1)
    const limit = this.#rules.limit(type, streamed)
    if (limit === 0) throw this.#rules.broken(`There is no message of type ${named(type)} here.`)
    if (announced < 4) throw this.#rules.broken(`A message of type ${named(type)} announces the impossible length ${announced}.`)
    if (announced + 1 > limit) throw this.#rules.broken(`A message of type ${named(type)} announces ${announced} bytes, more than the ${limit} that it may have.`)
    return announced + 1
  }
}

const named = (type: number): string => (type > 0x20 && type < 0x7f ? `"${String.fromCharCode(type)}"` : `0x${type.toString(16).padStart(2, '0')}`)

/** Whole messages one by one, for a side whose every message is looked at. */
export interface FrameReader {
  feed(chunk: Buffer): void
  /** A view into what was fed. */
  next(): Frame | undefined
  /** Bytes that wait for the rest of their message. */
  readonly kept: number
  /** Takes back all that has not been a message yet; the reader is done. */
  rest(): Buffer
}

export const makeFrameReader = (rules: FrameRules): FrameReader => {
  const walk = makeFrameWalk(rules, false)
  return {
    feed: (chunk) => walk.feed(chunk),
    next: () => (walk.next() ? { type: walk.type, bytes: walk.chunk.subarray(walk.start, walk.end) } : undefined),
    get kept() {
      return walk.kept
    },
    rest: () => walk.rest(),
  }
}
