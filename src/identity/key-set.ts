import { causeText } from '../model/refusal.ts'
import { parseStrictJson } from '../lib/strict-json.ts'
import { FetchProblem } from './bounded-fetch.ts'
import { selectKeys, type VerificationKey, adoptKeys } from './verification-key.ts'
import type { IssuerOptions } from './options.ts'
import { shown, TokenProblem } from './steps.ts'

export interface KeySetState {
  /** `undefined`: none were ever loaded. */
  readonly keysAgeMs: number | undefined
  readonly stale: boolean
  readonly lastError: string | undefined
}

export interface KeySet {
  /** The one key that this header can mean. Throws a `TokenProblem`. */
  keyFor(header: { readonly alg: string; readonly kid: string | undefined }): Promise<VerificationKey>
  /** Loads the keys if there are none. Never rejects; `state` tells how it went. */
  prefetch(): Promise<void>
  state(): KeySetState
}

/** Where keys come from. Rejects with a `FetchProblem`, or with anything for bytes that are no key set. */
export type LoadKeys = () => Promise<Uint8Array>

/** How long somebody who asks waits for a refresh while the old keys would still do. */
const patienceMs = 1_000

/**
 * The keys of one issuer, kept while the issuer is away.
 *
 *     age   0 ──────── maxAge ─────────────────────────── maxStale ────────
 *           as it is    refresh; the old set answers        refresh or refuse
 *                       when that fails or is slow
 *
 * One fetch at a time. After a failed one nobody tries again before `errorBackoffMs`. An unknown key id may ask for one fetch in `cooldownMs`.
 */
export const makeKeySet = (load: LoadKeys, limits: IssuerOptions['jwks'], now: () => number): KeySet => {
  let keys: readonly VerificationKey[] | undefined
  let fetchedAt = 0
  let failedAt: number | undefined
  let missedAt: number | undefined
  let problem: unknown
  let flight: Promise<boolean> | undefined

  const attempt = async (): Promise<boolean> => {
    try {
      keys = adoptKeys(parseStrictJson(await load()), keys ?? [])
      fetchedAt = now()
      failedAt = undefined
      problem = undefined
      return true
    } catch (error) {
      failedAt = now()
      problem = error
      return false
    } finally {
      flight = undefined
    }
  }

  /** Resolves to whether the keys are new; never rejects. */
  const refresh = (): Promise<boolean> => (flight ??= attempt())

  const backingOff = (): boolean => flight === undefined && failedAt !== undefined && since(failedAt) < limits.errorBackoffMs

  /** A clock that was set back makes everything old, never young. */
  const since = (time: number): number => (now() < time ? Infinity : now() - time)

  const unavailable = (): TokenProblem => {
    const reachable = problem instanceof FetchProblem ? problem.reachable : true
    return new TokenProblem(reachable ? 'keys-refused' : 'keys-unavailable', `no keys (${causeText(problem)})`, 'the keys of the issuer', problem)
  }

  /** Whether a fetch was made on the way. */
  const ready = async (): Promise<boolean> => {
    if (keys === undefined) {
      if (backingOff() || !(await refresh())) throw unavailable()
      return true
    }
    const age = since(fetchedAt)
    if (age <= limits.maxAgeMs) return false
    if (age > limits.maxStaleMs) {
      if (backingOff() || !(await refresh())) throw new TokenProblem('keys-stale', `keys that could not be renewed (${causeText(problem)})`, `keys no older than ${limits.maxStaleMs} ms`, problem)
      return true
    }
    if (backingOff()) return false
    const failing = failedAt !== undefined
    const renewal = refresh()
    return failing ? false : patiently(renewal)
  }

  const keyFor: KeySet['keyFor'] = async ({ alg, kid }) => {
    const fresh = await ready()
    let found = selectKeys(keys ?? [], alg, kid)
    if (found.length === 0 && !fresh && !backingOff() && (flight !== undefined || missedAt === undefined || since(missedAt) >= limits.cooldownMs)) {
      missedAt = now()
      await refresh()
      found = selectKeys(keys ?? [], alg, kid)
    }
    const [key, another] = found
    if (key === undefined) throw new TokenProblem('keys', `no key ${shown(kid)} for ${shown(alg)}`, `one of ${shown((keys ?? []).map((known) => known.kid ?? '(no id)'))}`)
    if (another !== undefined) throw new TokenProblem('keys', `several keys that fit ${kid === undefined ? 'a token without key id' : shown(kid)}`, 'exactly one')
    return key
  }

  return {
    keyFor,
    async prefetch() {
      if (keys === undefined) await refresh()
    },
    state: () => ({
      keysAgeMs: keys === undefined ? undefined : Math.max(0, now() - fetchedAt),
      stale: keys === undefined || since(fetchedAt) > limits.maxAgeMs,
      lastError: causeText(problem),
    }),
  }
}

const patiently = async (renewal: Promise<boolean>): Promise<boolean> => {
  let timer: NodeJS.Timeout | undefined
  const patience = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, patienceMs, false)
  })
  try {
    return await Promise.race([renewal, patience])
  } finally {
    clearTimeout(timer)
  }
}
