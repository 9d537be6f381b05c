import type { Dialogue } from './dialogue.ts'
import type { Execution } from './execution.ts'
import { timeError } from './rows/diagnostics.ts'

/** How long the server may work for one action. Time in which it works for others, or in which the client asks for no more rows, does not count. */
export class TimeLimit {
  readonly #dialogue: Dialogue
  readonly #execution: Execution
  readonly #ms: number
  #leftMs: number
  #since = 0
  #timer: NodeJS.Timeout | undefined
  /** Counts the calls of `run`, so that one that waits for its turn notices that it is out of date. */
  #runs = 0

  constructor(dialogue: Dialogue, execution: Execution, ms: number) {
    this.#dialogue = dialogue
    this.#execution = execution
    this.#ms = this.#leftMs = ms
  }

  /** It was sent. */
  run(): void {
    const run = ++this.#runs
    const isNext = (): boolean => this.#execution.over || this.#dialogue.pipeline.running === this.#execution
    this.#dialogue.until(isNext).then(
      () => {
        if (run !== this.#runs || this.#execution.over) return
        this.#since = performance.now()
        this.#timer = setTimeout(() => this.#reached(), Math.max(0, this.#leftMs))
      },
      () => {},
    )
  }

  /** Rows have come and there are more, or it is over. */
  pause(): void {
    this.#runs++
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#leftMs -= performance.now() - this.#since
  }

  #reached(): void {
    this.#timer = undefined
    this.#execution.stopped = timeError(this.#ms)
    this.#dialogue.stop()
  }
}
