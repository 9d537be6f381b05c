import type { Action } from '../model/action.ts'
import type { Caller } from '../model/caller.ts'
import type { Decision } from '../model/decision.ts'

/** All policies of the deployment, compiled. Immutable; a reload makes another one. */
export interface PolicySet {
  /** `sha256:` over the canonical form of every policy, the classification and the services' labels. */
  readonly version: string
  /** Pure and total: never throws, never waits. No match is a deny. */
  decide(caller: Caller, action: Action, now: number): Decision
  /**
   * Whether an action of this service and verb on this path can meet a rule that holds it or that looks into its body.
   * If not, the protocol may decide without reading the body and stream it.
   */
  needsBody(service: string, verb: string, path: string): boolean
  /** Data tags of a resource by the classification. */
  tagsOf(service: string, kind: 'path' | 'table' | 'column' | 'tool', name: string): readonly string[]
}
