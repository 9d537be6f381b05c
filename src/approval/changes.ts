import { setTimeout as pause } from 'node:timers/promises'
import type { HoldChange, HoldStore } from './hold-store.ts'

const againMs = 500

/** Hears of every change of a hold from now on, until the signal fires; after trouble it goes on from the last one it heard of. Never rejects. */
export const followChanges = async (store: HoldStore, signal: AbortSignal, hear: (change: HoldChange) => void, failed: (error: unknown) => void = () => {}): Promise<void> => {
  let cursor: string | undefined
  while (!signal.aborted) {
    try {
      for await (const change of store.changes(cursor, signal)) {
        cursor = change.cursor
        hear(change)
      }
    } catch (error) {
      failed(error)
      await pause(againMs, undefined, { signal }).catch(() => {})
    }
  }
}
