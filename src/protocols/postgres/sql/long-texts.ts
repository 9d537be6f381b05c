import { Worker } from 'node:worker_threads'
import { unread } from './read.ts'
import type { Reading } from './reading.ts'

/** A text that takes longer is not understood by people either. */
const deadline = 1_500

/** Texts that may wait for their turn: of all, and of one. */
const waitingBound = 64
const waitingBoundOfOne = 8

/** For whom a text is read. Each has its turn, however many texts the others have; what nobody waits for any more is not read. */
export interface Turn {
  readonly of: string
  readonly gone: AbortSignal
}

interface Job {
  readonly text: string
  readonly turn: Turn | undefined
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
  /** By whom they are of: in the order of their turns. */
  readonly #waiting = new Map<string, Job[]>()
  #count = 0

  read(text: string, turn?: Turn): Promise<Reading> {
    const whose = turn?.of ?? ''
    const own = this.#waiting.get(whose) ?? []
    if (this.#isClosed) return Promise.resolve(unread(text, 'the reader is closed'))
    if (this.#count >= waitingBound || own.length >= waitingBoundOfOne) return Promise.resolve(unread(text, 'too many long texts wait to be read'))
    return new Promise((answer) => {
      own.push({ text, turn, answer })
      this.#waiting.set(whose, own)
      this.#count++
      this.#next()
    })
  }

  #takeNext(): Job | undefined {
    for (const [whose, own] of this.#waiting) {
      const job = own.shift()
      this.#waiting.delete(whose)
      if (own.length > 0) this.#waiting.set(whose, own)
      if (job === undefined) continue
      this.#count--
      if (job.turn?.gone.aborted !== true) return job
      job.answer(unread(job.text, 'nobody waits for it any more'))
      return this.#takeNext()
    }
    return undefined
  }

  #next(): void {
    if (this.#busy !== undefined) return
    this.#busy = this.#takeNext()
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
    for (const { text, answer } of [...this.#waiting.values()].flat()) answer(unread(text, 'the reader is closed'))
    this.#waiting.clear()
    this.#count = 0
    if (this.#busy !== undefined || this.#worker !== undefined) this.#end('the reader is closed')
  }
}
