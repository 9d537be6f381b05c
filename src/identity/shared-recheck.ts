import type { Verified } from './verification.ts'

/** One fresh look at a token serves everybody who asks within this time after it began. */
const sharedMs = 1_000
const mostTokens = 1_000

interface Look {
  readonly began: number
  readonly verified: Promise<Verified>
}

export interface SharedRecheck {
  ask(key: string, verify: () => Promise<Verified>): Promise<Verified>
}

/**
 * Thousands of holds of one session are released at one moment: what the issuer says about their token is asked once for all of them.
 * A signature cannot change meanwhile; that the token ends, or that its key is withdrawn, is looked at each time. A no is never kept.
 */
export const makeSharedRecheck = (now: () => number): SharedRecheck => {
  const looks = new Map<string, Look>()

  const begin = (key: string, verify: () => Promise<Verified>): Promise<Verified> => {
    if (looks.size >= mostTokens) looks.clear()
    const verified = verify()
    const look: Look = { began: now(), verified }
    looks.set(key, look)
    verified.catch(() => { if (looks.get(key) === look) looks.delete(key) })
    return verified
  }

  return {
    async ask(key, verify) {
      const look = looks.get(key)
      const age = look === undefined ? Infinity : now() - look.began
      if (look === undefined || age < 0 || age >= sharedMs) return await begin(key, verify)
      const found = await look.verified
      if (now() < found.caller.expiresAt && found.key?.live !== false) return found
      if (looks.get(key) === look) looks.delete(key)
      return await begin(key, verify)
    },
  }
}
