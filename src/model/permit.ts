import type { Action } from './action.ts'
import type { Caller } from './caller.ts'
import type { Decision } from './decision.ts'

/** Leave to run one action once. Only `gate.ts` makes one that redeems: a look-alike, a copy or a second use throws. */
export interface Permit {
  readonly attempt: string
  readonly caller: Caller
  readonly action: Action
  readonly decision: Decision
  readonly hold?: string
  /** Makes a short signed receipt, for protocols that have a place for it; `undefined` where none is wanted. */
  readonly receipt?: () => Promise<string> | undefined
  /** It runs by a grant; `rows`: it may change so many at most. */
  readonly grant?: { readonly id: string; readonly rows?: number }
}
