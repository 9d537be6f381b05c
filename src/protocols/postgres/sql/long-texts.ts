import { Worker } from 'node:worker_threads'
import { unread } from './read.ts'
import type { Reading } from './reading.ts'

/** A text that takes longer is not understood by people either. */
const deadline = 1_500

/** Texts that may wait for their turn. */
const waitingBound = 32

interface Job {
  readonly text: string
  readonly answer: (reading: Reading) => void
}

/** The tree of a text may be a hundred times as large as the text. */
const resourceLimits = { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 }

/** Reads texts in a thread of its own, that is ended when a text takes too long or too much memory. */
export class LongTexts {
  #worker: Worker | undefined
  #busy: Job | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  readonly #waiting: Job[] = []

  read(text: string): Promise<Reading> {
    if (this.#isClosed) return Promise.resolve(unread(text, 'the reader is closed'))
    if (this.#waiting.length >= waitingBound) return Promise.resolve(unread(text, 'too many long texts wait to be read'))
    return new Promise((answer) => {
      this.#waiting.push({ text, answer })
      this.#next()
    })
  }

  #next(): void {
    if (this.#busy !== undefined) return
    this.#busy = this.#waiting.shift()
    if (this.#busy === undefined) {
      this.#worker?.unref()
      return
    }
    const worker = (this.#worker ??= this.#start())
    worker.ref()
    worker.postMessage(this.#busy.text)
    this.#timer = setTimeout(() => this.#end('it takes too long to be read'), deadline)
  }

  #start(): Worker {
    const worker = new Worker(new URL('./reading-worker.ts', import.meta.url), { execArgv: [], resourceLimits })
    worker.on('message', (reading: Reading) => {
      if (worker === this.#worker) this.#done(Object.freeze(reading))
    })
    worker.on('error', () => {
      if (worker === this.#worker) this.#end('it takes too much to be read')
    })
    return worker
  }

  #done(reading: Reading): void {
    clearTimeout(this.#timer)
    const job = this.#busy
    this.#busy = undefined
    job?.answer(reading)
    this.#next()
  }

  /** The text is given up, and the thread with it. */
  #end(problem: string): void {
    const worker = this.#worker
    this.#worker = undefined
    void worker?.terminate()
    this.#done(unread(this.#busy?.text ?? '', problem))
  }

  close(): void {
    this.#isClosed = true
    for (const { text, answer } of this.#waiting.splice(0)) answer(unread(text, 'the reader is closed'))
    if (this.#busy !== undefined || this.#worker !== undefined) this.#end('the reader is closed')
  }
}
