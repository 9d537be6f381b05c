import type { Permit } from '../../model/permit.ts'
import type { Resolved } from './action.ts'
import type { Execution } from './execution.ts'
import type { CursorAllowance } from './rows/writer.ts'
import type { StatementReading } from './sql/reading.ts'
import type { Watching } from './watching.ts'

/** Where the names in a statement lead. */
export interface Meant {
  readonly relations: readonly Resolved[]
  readonly verbs: readonly string[]
  readonly homes: readonly string[]
}

/** What a name of a prepared statement stands for, whoever made it: a Parse message or SQL. */
export interface Prepared {
  readonly sql: string
  /** `undefined`: several statements, which no server takes. `empty`: none. */
  readonly reading: StatementReading | 'empty' | undefined
  /** Parameter types as declared, 0 where the server finds out. */
  readonly types: readonly number[]
  /** Where its names led when it was prepared: the server looks them up then, and not again when a new object takes the name of one. */
  readonly then: Meant | undefined
  /** Parameter types as the server has found out. */
  found?: readonly number[]
}

/** The values of one Bind message, and how results are to be sent. */
export interface Bound {
  readonly formats: readonly number[]
  readonly values: readonly (Buffer | null)[]
  readonly resultFormats: readonly number[]
  /** The message behind its two names: what was bound, byte by byte. */
  readonly bytes: Buffer
}

export interface Portal {
  readonly statement: Prepared
  readonly bound: Bound | undefined
  /** Made by DECLARE: what it runs ran, or was let run, with its declaration. */
  readonly cursor: boolean
  /** It outlives its transaction. */
  readonly held: boolean
  /** It was let run: the server goes on where it stopped, and never runs it again. */
  begun?: Begun | undefined
  /** Of a cursor, where a policy limits its rows: what all its FETCHes may still give. */
  allowance?: CursorAllowance
}

export interface Begun {
  readonly execution: Execution
  readonly permit: Permit
  /** What is to be done with its rows, in all its slices. */
  readonly watch: Watching | undefined
}

interface Pending<T> {
  readonly batch: number
  /** No name: all of them. */
  readonly name: string | undefined
  readonly value: T | undefined
  /** The name was taken when it was asked for: only the server knows what becomes of it. */
  readonly unsure: boolean
}

/** `unsure`: an answer that is on its way decides it. */
export type Found<T> = T | undefined | 'unsure'

/** A change on its way to the server: exactly one of the two is called. */
export interface Change {
  happened(): void
  dropped(): void
}

/** Of all values behind the names of one kind. */
const mostBytes = 32 << 20

/**
 * Names as the server knows them. A change counts once the server has confirmed it. Within one batch it counts at once: if it fails,
 * the server skips what comes after it. Across a Sync nothing is known before the answer.
 */
export class Namespace<T> {
  readonly #known = new Map<string, T>()
  readonly #pending: Pending<T>[] = []
  readonly #most: number
  readonly #left: (value: T) => void
  readonly #bytesOf: (value: T) => number
  #bytes = 0

  /** `bytesOf`: what it takes to keep a value. `left` is told of each value whose name stands for it no more. */
  constructor(most: number, bytesOf: (value: T) => number, left: (value: T) => void = () => {}) {
    this.#most = most
    this.#bytesOf = bytesOf
    this.#left = left
  }

  get full(): boolean {
    return this.#known.size + this.#pending.length >= this.#most || this.#bytes >= mostBytes
  }

  find(name: string, batch: number): Found<T> {
    for (let at = this.#pending.length - 1; at >= 0; at--) {
      const change = this.#pending[at] as Pending<T>
      if (change.name !== undefined && change.name !== name) continue
      return change.unsure || change.batch !== batch ? 'unsure' : change.value
    }
    return this.#known.get(name)
  }

  /** What is confirmed, whatever is on its way. */
  confirmed(name: string): T | undefined {
    return this.#known.get(name)
  }

  change(name: string | undefined, value: T | undefined, batch: number, unsure = false): Change {
    const pending: Pending<T> = { batch, name, value, unsure }
    this.#pending.push(pending)
    if (value !== undefined) this.#bytes += this.#bytesOf(value)
    const remove = (): void => {
      const at = this.#pending[0] === pending ? 0 : this.#pending.indexOf(pending)
      if (at < 0) return
      if (at === 0) this.#pending.shift()
      else this.#pending.splice(at, 1)
      if (value !== undefined) this.#bytes -= this.#bytesOf(value)
    }
    return {
      happened: () => {
        remove()
        this.set(name, value)
      },
      dropped: remove,
    }
  }

  /** Without asking the server: it does so by itself, or has said so already. */
  set(name: string | undefined, value: T | undefined): void {
    if (name === undefined) return this.keep(() => false)
    const before = this.#known.get(name)
    if (value === undefined) this.#known.delete(name)
    else {
      this.#known.set(name, value)
      this.#bytes += this.#bytesOf(value)
    }
    if (before !== undefined) this.#leaves(before)
  }

  /** Forgets what does not live on. */
  keep(test: (value: T) => boolean): void {
    for (const [name, value] of this.#known) {
      if (test(value)) continue
      this.#known.delete(name)
      this.#leaves(value)
    }
  }

  #leaves(value: T): void {
    this.#bytes -= this.#bytesOf(value)
    this.#left(value)
  }
}
