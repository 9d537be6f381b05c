import { Refusal } from '../../../model/refusal.ts'

export const malformed = (text: string): Refusal => new Refusal('malformed', text)

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8 and nothing else. */
const utf8 = (bytes: Buffer, start: number, end: number): string | undefined => {
  const text = bytes.toString('utf8', start, end)
  // Only where a replacement character stands must be found out who put it there.
  if (!text.includes('\ufffd')) return text
  try {
    return strict.decode(bytes.subarray(start, end))
  } catch {
    return undefined
  }
}

/** Reads one message from front to back. Whatever is missing or left over makes it malformed. */
export class Reader {
  readonly #bytes: Buffer
  #at: number
  readonly #end: number
  readonly #broken: (text: string) => Error

  /** `broken`: whose fault it is. */
  constructor(bytes: Buffer, start = 0, end = bytes.length, broken: (text: string) => Error = malformed) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    this.#broken = broken
  }

  get left(): number {
    return this.#end - this.#at
  }

  #take(length: number): number {
    if (length > this.#end - this.#at) throw this.#broken('A message ends too early.')
    const at = this.#at
    this.#at += length
    return at
  }

  byte(): number {
    return this.#bytes[this.#take(1)] as number
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.#take(2))
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#take(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4))
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  /** A view. */
  slice(length: number): Buffer {
    const at = this.#take(length)
    return this.#bytes.subarray(at, at + length)
  }

  /** Up to the next NUL, which it takes as well. */
  text(): string {
    const from = this.#at
    const text = utf8(this.#bytes, from, this.#nul())
    if (text === undefined) throw this.#broken('A text is not valid UTF-8.')
    return text
  }

  /** For what a server says: its encoding may be another one before it has agreed to ours. */
  looseText(): string {
    const from = this.#at
    return this.#bytes.toString('utf8', from, this.#nul())
  }

  #nul(): number {
    const found = this.#bytes.indexOf(0, this.#at)
    if (found < 0 || found >= this.#end) throw this.#broken('A text has no end.')
    this.#at = found + 1
    return found
  }

  done(): void {
    if (this.#at !== this.#end) throw this.#broken('A message is longer than what it says.')
  }
}
