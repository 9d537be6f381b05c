import { setTimeout as pause } from 'node:timers/promises'
import type { HoldChange, HoldStore } from '../../approval/hold-store.ts'
import type { HoldState } from '../../model/hold.ts'
import { connect, whenReady, type Connection, type RedisStoreOptions } from './connection.ts'

const deadlineMs = 4_000
const blockMs = 1_000

/** The stream in which every step on a hold stands, for all who listen in this process. */
export interface Changes {
  readonly after: HoldStore['changes']
  /** When `closing` has been aborted and nothing is read any more. */
  ended(): Promise<void>
}

export interface ChangesParts {
  readonly writer: Connection
  /** Ends with the answer, or with `store-unavailable` in time. */
  readonly ask: <T>(step: () => Promise<T>) => Promise<T>
  readonly closing: AbortSignal
}

export const makeChanges = (options: RedisStoreOptions, stream: string, { writer, ask, closing }: ChangesParts): Changes => {
  const waker = makeWaker(options, stream, closing)

  const after = async function* (from: string | undefined, signal: AbortSignal): AsyncGenerator<HoldChange> {
    const ended = AbortSignal.any([signal, closing])
    let cursor = from !== undefined && /^\d{1,15}-\d{1,15}$/.test(from) ? from : await ask(() => lastChange(writer, stream))
    while (!ended.aborted) {
      const woken = waker.next(ended) // listen first, then look: what comes in between is seen by one of the two
      const found = await ask(() => writer.xrange(stream, `(${cursor}`, '+', 'COUNT', 500))
      for (const [at, fields] of found) {
        if (ended.aborted) return
        cursor = at
        yield { cursor: at, id: fields[1] ?? '', state: fields[3] as HoldState }
      }
      if (found.length === 0) await woken
    }
  }

  return { after, ended: waker.ended }
}

const lastChange = async (connection: Connection, stream: string): Promise<string> => (await connection.xrevrange(stream, '+', '-', 'COUNT', 1))[0]?.[0] ?? '0-0'

/** One blocked connection a process tells every listener that the stream grew. It is opened with the first listener. */
const makeWaker = (options: RedisStoreOptions, stream: string, closing: AbortSignal) => {
  const listeners = new Set<() => void>()
  let loop: Promise<void> | undefined
  let reader: Connection | undefined
  const wakeAll = (): void => {
    for (const wake of listeners) wake()
  }
  const run = async (): Promise<void> => {
    let cursor: string | undefined
    while (!closing.aborted) {
      reader ??= connect(options, 'changes')
      try {
        await whenReady(reader, deadlineMs)
        if (cursor === undefined) {
          cursor = await lastChange(reader, stream)
          wakeAll()
        }
        const found = await Promise.race([reader.xread('COUNT', 1_000, 'BLOCK', blockMs, 'STREAMS', stream, cursor), pause(blockMs + deadlineMs, 'late' as const, { ref: false })])
        if (found === 'late') throw new Error('the reader of changes hangs')
        const last = found?.[0]?.[1].at(-1)?.[0]
        if (last === undefined) continue
        cursor = last
        wakeAll()
      } catch {
        reader.disconnect()
        reader = undefined
        cursor = undefined // after a failover the stream may end earlier than what we have seen
        await pause(200, undefined, { signal: closing }).catch(() => {})
      }
    }
  }
  closing.addEventListener('abort', () => { reader?.disconnect(); wakeAll() }, { once: true })
  return {
    next: (signal: AbortSignal): Promise<void> =>
      new Promise((resolve) => {
        const wake = (): void => {
          clearTimeout(fallback)
          listeners.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        const fallback = setTimeout(wake, 2_000)
        if (signal.aborted) return wake()
        listeners.add(wake)
        signal.addEventListener('abort', wake, { once: true })
        loop ??= run()
      }),
    ended: async (): Promise<void> => { await loop },
  }
}
