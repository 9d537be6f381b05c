import type { Digest } from '../../../masking/mask.ts'
import type { Obligations } from '../../../model/decision.ts'
import type { SessionNames } from '../catalog/session-names.ts'
import type { StatementReading } from '../sql/reading.ts'
import type { RowWriter } from './writer.ts'

export interface RowQuestion {
  readonly obligations: Obligations
  /** All statements of the text; of an EXECUTE or FETCH the statement itself, its body is looked up. */
  readonly statements: readonly StatementReading[]
  readonly names: SessionNames
  /** Data tags of a table (`public.users`) or a column (`public.users.email`), as the classification gives them for this service. */
  readonly tagsOf: (kind: 'table' | 'column', name: string) => readonly string[]
  /** For masks that hash; one key for one service, so that equal values stay equal. */
  readonly digest: Digest
}

/** What is to be done with the rows of one Query or one Execute. */
export type RowPlan =
  /** Forward what comes. */
  | { readonly does: 'pass' }
  /** It cannot run with these obligations: deny it. */
  | { readonly does: 'refuse'; readonly because: string; readonly instead: string }
  | Watch

/** Look at each row. */
export interface Watch {
  readonly does: 'watch'
  /** Errors and notices of the session must lose their texts from now until it ends (`guardDiagnostic`): they quote values. */
  readonly guarded: boolean
  /** Without one, RowDescriptions need not be kept: `begin` may be called without. */
  readonly masks: boolean
  /**
   * `description`: the whole RowDescription frame of the result that begins. `formats`: the result formats of the Bind, where the description
   * is that of a statement and not of a portal. Throws where the frame is not well formed: end the session.
   * Each result set of a Query has a RowDescription of its own. Rows that come without one must not be passed on.
   */
  begin(description: Buffer | undefined, formats?: readonly number[]): RowWriter
}
