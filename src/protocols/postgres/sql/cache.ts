import type { Reading } from './reading.ts'

interface Entry {
  readonly reading: Reading
  readonly bytes: number
  used: boolean
}

/** Slots of the doorkeeper. Two texts in one slot cost one more parse, nothing else. */
const slots = 1 << 13

/** Longer texts are rarely seen twice. */
const longestKept = 64 * 1024

const hash = (text: string): number => {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  // 0 is an empty slot.
  return value >>> 0 || 1
}

const weigh = (text: string, { statements }: Reading): number =>
  text.length * 4 + 500 + statements.reduce((sum, one) => sum + 500 + 100 * (one.relations.length + one.functions.length + one.types.length + one.operators.length + one.columns.length), 0)

/**
 * Keeps readings of texts that come again. A text gets in at its second sight, so that texts with a different literal each time
 * do not push out those that repeat.
 */
export class ReadingCache {
  readonly #entries = new Map<string, Entry>()
  readonly #seen = new Uint32Array(slots)
  readonly #bound: number
  #bytes = 0

  constructor(bytes: number) {
    this.#bound = bytes
  }

  get bytes(): number {
    return this.#bytes
  }

  get(text: string): Reading | undefined {
    const entry = this.#entries.get(text)
    if (entry === undefined) return undefined
    entry.used = true
    return entry.reading
  }

  /** Takes a reading, if the text is worth it. A problem may be of the moment: it is never kept. */
  offer(text: string, reading: Reading): void {
    if (reading.problem !== undefined || text.length > longestKept || this.#entries.has(text)) return
    const value = hash(text)
    if (this.#seen[value & (slots - 1)] !== value) {
      this.#seen[value & (slots - 1)] = value
      return
    }
    const bytes = weigh(text, reading)
    this.#entries.set(text, { reading, bytes, used: false })
    this.#bytes += bytes
    while (this.#bytes > this.#bound) this.#evict()
  }

  /** The oldest that has not been asked for since it was last looked at. */
  #evict(): void {
    for (const [text, entry] of this.#entries) {
      this.#entries.delete(text)
      if (!entry.used) {
        this.#bytes -= entry.bytes
        return
      }
      entry.used = false
      this.#entries.set(text, entry)
    }
  }
}
