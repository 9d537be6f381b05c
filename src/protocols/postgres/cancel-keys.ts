import { randomBytes, timingSafeEqual } from 'node:crypto'

export interface CancelKey {
  readonly key: Buffer
  /** Called by whoever shows the key. One listener at a time. */
  listen(listener: () => void): void
  remove(): void
}

interface Entry {
  readonly key: Buffer
  listener: (() => void) | undefined
}

/** Keys of our own in place of the servers': what a client holds can stop its own session here and nothing at any server. */
export interface CancelKeys {
  /** `pid` is the server's own: drivers compare it with what the server calls their session. */
  issue(pid: number, bytes: number): CancelKey
  /** Does nothing, and says nothing, where the key is not right. */
  cancel(pid: number, key: Buffer): void
}

export const makeCancelKeys = (): CancelKeys => {
  /** Sessions at different servers may have the same pid. */
  const byPid = new Map<number, Set<Entry>>()
  return {
    issue(pid, bytes) {
      const entries = byPid.get(pid) ?? new Set<Entry>()
      byPid.set(pid, entries)
      let key = randomBytes(bytes)
      while (isTaken(entries, key)) key = randomBytes(bytes)
      const entry: Entry = { key, listener: undefined }
      entries.add(entry)
      return {
        key,
        listen: (listener) => void (entry.listener = listener),
        remove() {
          entries.delete(entry)
          if (entries.size === 0) byPid.delete(pid)
        },
      }
    },
    cancel(pid, key) {
      for (const entry of byPid.get(pid) ?? []) if (isSame(entry.key, key)) entry.listener?.()
    },
  }
}

const isSame = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b)

const isTaken = (entries: ReadonlySet<Entry>, key: Buffer): boolean => {
  for (const entry of entries) if (isSame(entry.key, key)) return true
  return false
}
