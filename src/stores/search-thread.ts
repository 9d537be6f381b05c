import { Worker } from 'node:worker_threads'
import type { AuditSearch } from '../audit/search/audit-search.ts'
import { Refusal, type RefusalCode } from '../model/refusal.ts'

export interface Asked {
  readonly n: number
  readonly what: 'search' | 'record' | 'caseOf' | 'prove' | 'traces' | 'nodes' | 'state'
  readonly args: readonly unknown[]
}

export interface Answered {
  readonly n: number
  readonly value?: unknown
  readonly refusal?: { readonly code: RefusalCode; readonly message: string }
  readonly failure?: string
}

/** What went wrong, for whoever asked. */
export const failureOf = (n: number, error: unknown): Answered =>
  error instanceof Refusal ? { n, refusal: { code: error.code, message: error.message } } : { n, failure: error instanceof Error ? `${error.message}\n${error.stack ?? ''}` : String(error) }

const answerWithinMs = 20_000
const mostWaiting = 64
/** A thread that cannot start (the disk is full) is not started again and again. */
const againMs = 5_000

const unavailable = (cause: unknown): Refusal => new Refusal('store-unavailable', 'The index of the audit log does not answer. The log itself is not touched by that. Try again later.', { cause, retryAfterSeconds: 5 })

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  readonly late: NodeJS.Timeout
}

/** An index in a thread of its own. It begins to read the log at once, or when somebody asks, and never stands in the way of whoever writes it. */
export const openSearchThread = (script: URL, options: object, warn: (fields: object, message: string) => void, begin: boolean): AuditSearch & AsyncDisposable => {
  const waiting = new Map<number, Waiting>()
  let worker: Worker | undefined
  let failedAt = Number.NEGATIVE_INFINITY
  let closed = false
  let n = 0

  const settle = (one: number): Waiting | undefined => {
    const found = waiting.get(one)
    waiting.delete(one)
    clearTimeout(found?.late)
    if (waiting.size === 0) worker?.unref()
    return found
  }

  const gone = (of: Worker, cause: unknown): void => {
    if (worker !== of) return
    worker = undefined
    failedAt = performance.now()
    for (const one of waiting.keys()) settle(one)?.reject(unavailable(cause))
    if (!closed) warn({ cause: String(cause) }, 'the index of the audit log stopped; it is started again when somebody asks')
  }

  const start = (): Worker => {
    const made = new Worker(script, { workerData: options, execArgv: [], resourceLimits: { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 16 } })
    made.on('message', ({ n: one, value, refusal, failure }: Answered) => {
      const found = settle(one)
      if (refusal !== undefined) found?.reject(new Refusal(refusal.code, refusal.message))
      else if (failure !== undefined) found?.reject(unavailable(failure))
      else found?.resolve(value)
    })
    made.on('error', (error) => gone(made, error))
    made.on('exit', () => gone(made, 'its thread has ended'))
    made.unref()
    return made
  }
  if (begin) worker = start()

  const ask = (what: Asked['what'], ...args: readonly unknown[]): Promise<unknown> => {
    if (closed) return Promise.reject(unavailable('closed'))
    if (waiting.size >= mostWaiting) return Promise.reject(unavailable('too many questions at once'))
    if (worker === undefined && performance.now() - failedAt < againMs) return Promise.reject(unavailable('it stopped a moment ago'))
    const to = (worker ??= start())
    const one = n++
    return new Promise((resolve, reject) => {
      waiting.set(one, { resolve, reject, late: setTimeout(() => settle(one)?.reject(unavailable('no answer in time')), answerWithinMs) })
      to.ref()
      to.postMessage({ n: one, what, args } satisfies Asked)
    })
  }

  return {
    search: (question, page) => ask('search', question, page) as ReturnType<AuditSearch['search']>,
    record: (id) => ask('record', id) as ReturnType<AuditSearch['record']>,
    caseOf: (name) => ask('caseOf', name) as ReturnType<AuditSearch['caseOf']>,
    prove: (id) => ask('prove', id) as ReturnType<AuditSearch['prove']>,
    traces: (question, limit) => ask('traces', question, limit) as ReturnType<AuditSearch['traces']>,
    nodes: (name, limit) => ask('nodes', name, limit) as ReturnType<AuditSearch['nodes']>,
    state: () => ask('state') as ReturnType<AuditSearch['state']>,
    async [Symbol.asyncDispose]() {
      closed = true
      const last = worker
      if (last === undefined) return
      const ended = new Promise((resolve) => last.once('exit', resolve))
      last.ref()
      last.postMessage('close')
      await ended
    },
  }
}
