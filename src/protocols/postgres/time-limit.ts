import type { Dialogue } from './dialogue.ts'
import type { Execution } from './execution.ts'
import { timeError } from './rows/diagnostics.ts'

/** How long the server may work for one action. Time in which it works for others, or in which the client asks for no more rows, does not count. */
export class TimeLimit {
  readonly #dialogue: Pick<Dialogue, 'pipeline' | 'stop'>
  readonly #execution: Execution
  readonly #ms: number
  #leftMs: number
  #since = 0
  #timer: NodeJS.Timeout | undefined
  #reached = false

  constructor(dialogue: Pick<Dialogue, 'pipeline' | 'stop'>, execution: Execution, ms: number) {
    this.#dialogue = dialogue
    this.#execution = execution
    this.#ms = this.#leftMs = ms
  }

  /** The server works at it now. May be said again and again. */
  run(): void {
    if (this.#timer !== undefined || this.#reached) return
    this.#since = performance.now()
    this.#timer = setTimeout(() => this.#stop(), Math.max(0, this.#leftMs))
  }

  /** Rows have come and there are more, or it is over. */
  pause(): void {
    this.#reached = false
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#leftMs -= performance.now() - this.#since
  }

  #stop(): void {
    this.#timer = undefined
    this.#leftMs = 0
    this.#reached = true
    if (this.#dialogue.pipeline.running !== this.#execution) return
    this.#execution.stopped = timeError(this.#ms)
    this.#dialogue.stop()
  }
}
