import type { Digest } from './action.ts'
import type { Party } from './caller.ts'
import type { GrantBounds } from './decision.ts'
import type { Outcome } from './outcome.ts'

/** One action that ran by a grant, or may have. */
export interface GrantUse {
  readonly attempt: string
  readonly replica: string
  readonly digest: Digest
  readonly at: number
  /** What it counts of the rows: as many as it may change, and once that is known, as many as it did. */
  readonly rows?: number
  readonly outcome?: Outcome
}

export type GrantEnd = 'used-up' | 'revoked' | 'ended'

/**
 * What approvers let through beforehand, beside the one action that they approved: so many more of its kind, by the same caller, until then.
 * A value: each change is a new one with the next revision. Who gave it and for what stands in its hold.
 */
export interface Grant {
  readonly id: string
  readonly revision: number
  readonly hold: string
  readonly bounds: GrantBounds
  /** The store's clock, like every time here. */
  readonly madeAt: number
  readonly until: number
  readonly uses: readonly GrantUse[]
  readonly ended?: { readonly why: GrantEnd; readonly at: number; readonly cause?: string; readonly by?: Party }
}

/** What the rules that hold an action keep of it, for others to be of its kind. */
export interface Pinned {
  readonly policyVersion: string
  /** The path of a request, with `*` for the segments that may differ. */
  readonly path?: string
  /** All values that their conditions look at. */
  readonly values: string
}

/** Every row that it may have changed counts. */
export const rowsUsed = ({ uses }: Pick<Grant, 'uses'>): number => uses.reduce((sum, { rows = 0 }) => sum + rows, 0)
