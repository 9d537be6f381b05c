import { setTimeout as pause } from 'node:timers/promises'
import type { HoldChange, HoldStore } from './hold-store.ts'

const againMs = 500

/** What happens to holds, at whichever replica. */
export interface News extends AsyncDisposable {
  /** Told of every change from now on, until the signal fires. */
  hear(listener: (change: HoldChange) => void, until: AbortSignal): void
}

/** One reader of the store's changes for all who listen in this process, from the first of them on; after trouble it goes on from the last one it heard of. */
export const makeNews = (store: HoldStore, failed: (error: unknown) => void): News => {
  const closing = new AbortController()
  const listeners = new Set<(change: HoldChange) => void>()
  let reading: Promise<void> | undefined

  /** What one of them makes of it is nothing to the others. */
  const tell = (listener: (change: HoldChange) => void, change: HoldChange): void => {
    try {
      listener(change)
    } catch (error) {
      failed(error)
    }
  }

  const read = async (): Promise<void> => {
    let cursor: string | undefined
    while (!closing.signal.aborted) {
      try {
        for await (const change of store.changes(cursor, closing.signal)) {
          cursor = change.cursor
          for (const listener of listeners) tell(listener, change)
        }
      } catch (error) {
        failed(error)
        await pause(againMs, undefined, { signal: closing.signal }).catch(() => {})
      }
    }
  }

  return {
    hear(listener, until) {
      if (until.aborted) return
      listeners.add(listener)
      until.addEventListener('abort', () => listeners.delete(listener), { once: true })
      reading ??= read()
    },
    async [Symbol.asyncDispose]() {
      closing.abort()
      await reading
    },
  }
}
