import type { Digest } from '../../../masking/mask.ts'
import type { Mask, Obligations } from '../../../model/decision.ts'
import type { SessionNames } from '../catalog/session-names.ts'
import { readRowDescription, type Column } from '../codec/backend.ts'
import type { StatementReading } from '../sql/reading.ts'
import { columnMasks, type ColumnMasks, type TagsOf } from './column-masks.ts'
import { exposureOf } from './exposure.ts'
import { fieldMask } from './field-mask.ts'
import { MaskingWriter, type FieldMask } from './masking-writer.ts'
import { brokenRow, CountingWriter, type Allowance, type RowWriter } from './writer.ts'

export interface RowQuestion {
  readonly obligations: Obligations
  /** All statements of the text; of an EXECUTE or FETCH the statement itself, its body is looked up. */
  readonly statements: readonly StatementReading[]
  readonly names: SessionNames
  /** Data tags of a table (`public.users`) or a column (`public.users.email`), as the classification gives them for this service. One function for one policy version. */
  readonly tagsOf: TagsOf
  /** Of a cursor that was read from before. */
  readonly allowance?: Allowance | undefined
  /** For masks that hash; one key for one service, so that equal values stay equal. */
  readonly digest: Digest
}

/** What is to be done with the rows of one Query or one portal. Slices of a portal share its plan. */
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
  /** Without masks `begin` may be called without a description. */
  readonly masks: boolean
  /**
   * `description`: the whole RowDescription frame of the result that begins, of the statement or of the portal: masks are the same in both formats.
   * Throws a Refusal where the frame is not well formed: end the session.
   * Each result set of a Query has a RowDescription of its own. Rows that come without one must not be passed on.
   */
  begin(description: Buffer | undefined): RowWriter
}

export const planRows = (question: RowQuestion): RowPlan => {
  const { obligations, names, tagsOf, digest } = question
  const { rows } = obligations.limits
  const { allowance = { left: rows ?? Infinity } } = question
  const { masks } = obligations
  const masking = isMasking(masks)
  if (!masking && rows === undefined) return PASS
  if (rows !== undefined && question.statements.some((statement) => statement.answers === 'copy-out')) return refuse('COPY cannot be limited to a number of rows.', 'Use SELECT.')
  const counting: Watch = { does: 'watch', guarded: false, masks: false, begin: () => new CountingWriter(allowance) }
  if (!masking) return counting
  const columns = columnMasks(names.catalog, masks, tagsOf)
  const exposure = exposureOf(question.statements, names, columns)
  if (exposure.does === 'refuse') return exposure
  if (!exposure.touched) return rows === undefined ? PASS : counting
  return {
    does: 'watch',
    guarded: true,
    masks: true,
    begin: (description) => {
      if (description === undefined) throw brokenRow('rows came without a description')
      const fields = readRowDescription({ type: 0x54, bytes: description })
      const shown = fields.map((field) => maskOf(field, names, columns, exposure.computed, digest))
      // Whether an expression is NULL tells of the values in it: `nullif(ssn, '123-45-6789')`.
      return shown.every((mask) => mask === undefined) ? new CountingWriter(allowance) : new MaskingWriter(shown, allowance, fields.map(({ table }) => table === 0))
    },
  }
}

export const PASS: Extract<RowPlan, { readonly does: 'pass' }> = Object.freeze({ does: 'pass' })

const refuse = (because: string, instead: string): RowPlan => ({ does: 'refuse', because, instead })

export const isMasking = (masks: Obligations['masks']): boolean => {
  for (const name in masks) if (masks[name] !== 'none') return true
  return false
}

/**
 * table 0             computed: the server does not say from what
 * table, attribute 0  a whole row
 * table, attribute    that column, through sub-selects and WITH, but not through views
 */
const maskOf = (field: Column, names: SessionNames, columns: ColumnMasks, computed: 'passes' | 'is masked', digest: Digest): FieldMask => {
  const mask = ((): Mask => {
    if (field.table === 0) return computed === 'passes' ? 'none' : 'redact'
    // ctid, xmin and their like.
    if (field.attribute < 0) return 'none'
    const relation = names.catalog.byOid(field.table)
    if (relation === undefined) return 'redact'
    const masked = columns.of(relation)
    if (field.attribute === 0) return masked.size > 0 ? 'redact' : 'none'
    return relation.columns.has(field.attribute) ? (masked.get(field.attribute) ?? 'none') : 'redact'
  })()
  return fieldMask(mask, field.type, field.modifier, digest)
}
