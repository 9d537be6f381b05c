import type { Backlog } from './backlog.ts'
import type { Frame } from './codec/frame.ts'
import { makeFrameReader, type FrameReader } from './codec/frames.ts'
import { frontend, frontendRules } from './codec/frontend.ts'
import type { PostgresListenerOptions } from './options.ts'

/** Bytes that wait before no more is read from the client. */
const most = 4 << 20
/** What everybody may send, however much others have sent. */
const little = 256 << 10
/** What a frame costs beside its bytes. */
const frameBytes = 160

/** What one client has sent and nobody has looked at yet. */
export class Inbox {
  /** What came is not the protocol; all before it is to be served. */
  broken: unknown
  /** Behind what waits there is nothing more. */
  farewell = false
  readonly #reader: FrameReader
  readonly #backlog: Backlog
  #frames: Frame[] = []
  #at = 0
  #bytes = 0
  /** Its part of the backlog. */
  #counted = 0

  constructor(limits: PostgresListenerOptions['limits'], backlog: Backlog) {
    this.#reader = makeFrameReader(frontendRules(limits))
    this.#backlog = backlog
  }

  get size(): number {
    return this.#frames.length - this.#at
  }

  get full(): boolean {
    return this.#bytes + this.#reader.kept > most
  }

  /** All clients together have sent too much, and this one is among them. */
  get isCrowdedOut(): boolean {
    return this.#backlog.full && this.#counted > little
  }

  feed(chunk: Buffer): void {
    try {
      this.#reader.feed(chunk)
      for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) this.push(frame)
    } catch (error) {
      this.broken = error
    }
    this.#count(this.#bytes + this.#reader.kept)
  }

  push(frame: Frame): void {
    this.#frames.push(frame)
    this.#bytes += frame.bytes.length + frameBytes
    if (frame.type === frontend.terminate) this.farewell = true
  }

  next(): Frame | undefined {
    const frame = this.#frames[this.#at]
    if (frame === undefined) {
      this.#frames = []
      this.#at = 0
      this.#count(this.#reader.kept)
      return undefined
    }
    this.#frames[this.#at++] = undefined as unknown as Frame
    this.#bytes -= frame.bytes.length + frameBytes
    return frame
  }

  /** Nobody will look at what is left. */
  drop(): void {
    this.#frames = []
    this.#at = this.#bytes = 0
    this.#count(0)
  }

  #count(bytes: number): void {
    this.#backlog.add(bytes - this.#counted)
    this.#counted = bytes
  }
}
