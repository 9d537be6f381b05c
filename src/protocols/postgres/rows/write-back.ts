import { isMasked } from '../../../masking/mask.ts'
import type { SessionNames } from '../catalog/session-names.ts'
import type { StatementReading } from '../sql/reading.ts'
import type { ColumnMasks } from './column-masks.ts'

const WRITES = new Set(['insert', 'update', 'merge'])

export interface WriteQuestion {
  readonly statement: StatementReading
  readonly names: SessionNames
  /** Everything that anybody of this service may be shown masked: masks are passed on. */
  readonly masks: ColumnMasks
  /** Bound values. */
  readonly values: readonly (string | Uint8Array | null)[]
}

/**
 * Whether a statement would store a mask in a table with masked columns, as if it were the value that it hides: a caller has read it, and writes it back.
 * Only constants and values are seen; a text that is computed (`repeat('*', 6)`) or copied in is not.
 */
export const storesMask = ({ statement, names, masks, values }: WriteQuestion): boolean => {
  const body = statement.control?.does === 'execute' ? names.prepared(statement.control.name) : undefined
  const runs = body ?? statement
  if (!runs.kinds.some((kind) => WRITES.has(kind)) || !writesInto(runs, names, masks)) return false
  const texts = body === undefined ? textsIn(statement) : [...textsIn(statement), ...textsIn(body)]
  return texts.some(isMasked) || values.some((value) => value !== null && isMasked(typeof value === 'string' ? value : textOf(value)))
}

/** What is not in the catalog may be such a table. */
const writesInto = (statement: StatementReading, names: SessionNames, masks: ColumnMasks): boolean =>
  statement.relations.some((ref) => {
    if (ref.access !== 'write' || ref.defined !== undefined) return false
    const relation = names.find(ref)
    return relation === undefined ? names.relation(ref)?.kind !== 'temporary' : masks.of(relation).size > 0
  })

const textsIn = (statement: StatementReading): readonly string[] => statement.literals ?? quotedIn(statement.text)

/** Where the reading does not say: what stands between quotes, comments included. It finds too much rather than too little. */
const quotedIn = (text: string): readonly string[] => [...text.matchAll(/'([^']{1,512})(?=')/g)].map((match) => match[1] ?? '')

/** Longer than any mask: not read. Text and binary format of text types are the same bytes. */
const textOf = (value: Uint8Array): string => (value.length > 512 ? '' : new TextDecoder().decode(value))
