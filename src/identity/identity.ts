import type { Caller } from '../model/caller.ts'
import type { Claim } from '../model/claim.ts'

export interface Identity {
  /** Throws `bad-identity` or `identity-unavailable`; the cause says which step failed, the public text does not. */
  authenticate(claim: Claim): Promise<Caller>
  /** Before a held action is released: still valid now, still who it was, in the groups it has now. Never answered from the cache: those who ask about one token within a second share one fresh look at it. */
  recheck(caller: Caller, claim: Claim): Promise<Caller>
  /**
   * What the configuration says about everybody in this caller's chain, as a hash: how their tokens are read, whom they are registered as.
   * While it is the same, the same token would make the same caller. `undefined` where that cannot be said without asking the issuer again.
   */
  standing(caller: Caller): string | undefined
}
