import type { Caller } from '../model/caller.ts'
import type { VerificationKey } from './verification-key.ts'

export interface CachedCaller {
  caller: Caller
  /** The promise that answers a caller from the same address: a hit makes nothing new. */
  answer: Promise<Caller>
  readonly until: number
  /** `undefined` where no key vouched for it. */
  readonly key: VerificationKey | undefined
}

export interface CallerCache {
  get(key: string, now: number): CachedCaller | undefined
  set(key: string, entry: CachedCaller): void
  drop(key: string): void
  readonly size: number
}

/**
 * Two generations instead of a list in order of use: what is read moves to the young one; when that is full, the old one is forgotten.
 * A read of a young entry changes nothing, which is what makes it fast. Never more than `entries` in both.
 */
export const makeCallerCache = (entries: number): CallerCache => {
  const half = Math.floor(entries / 2)
  let young = new Map<string, CachedCaller>()
  let old = new Map<string, CachedCaller>()

  const keep = (key: string, entry: CachedCaller): void => {
    if (half === 0) return
    if (young.size >= half && !young.has(key)) {
      old = young
      young = new Map()
    }
    young.set(key, entry)
  }

  return {
    get(key, now) {
      const entry = young.get(key) ?? old.get(key)
      if (entry === undefined) return undefined
      if (entry.until <= now || entry.key?.live === false) {
        young.delete(key)
        old.delete(key)
        return undefined
      }
      if (old.size > 0 && old.delete(key)) keep(key, entry)
      return entry
    },
    set(key, entry) {
      old.delete(key)
      keep(key, entry)
    },
    drop(key) {
      young.delete(key)
      old.delete(key)
    },
    get size() {
      return young.size + old.size
    },
  }
}
