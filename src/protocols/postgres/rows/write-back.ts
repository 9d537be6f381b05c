import { isMasked } from '../../../masking/mask.ts'
import type { StatementReading } from '../sql/reading.ts'

const WRITES = new Set(['insert', 'update', 'merge', 'copy.in'])

/**
 * Whether a statement would store a mask as if it were the value that it hides: a caller has read it, and writes it back.
 * `parameters`: bound values, and the arguments of an EXECUTE. Only constants are seen; a text that is computed (`repeat('*', 6)`) or copied in is not.
 */
export const writesMask = (statement: StatementReading, parameters: readonly (string | Uint8Array | null)[] = []): boolean => {
  if (!statement.kinds.some((kind) => WRITES.has(kind))) return false
  return (statement.literals ?? quotedIn(statement.text)).some(isMasked) || parameters.some((value) => value !== null && isMasked(typeof value === 'string' ? value : textOf(value)))
}

/** Where the reading does not say: what stands between quotes, comments included. It finds too much rather than too little. */
const quotedIn = (text: string): readonly string[] => [...text.matchAll(/'([^']{1,512})(?=')/g)].map((match) => match[1] ?? '')

/** Longer than any mask: not read. Text and binary format of text types are the same bytes. */
const textOf = (value: Uint8Array): string => (value.length > 512 ? '' : new TextDecoder().decode(value))

export const MASK_WRITTEN = 'The statement would store a masked value in place of the real one. Leave that column out.'
