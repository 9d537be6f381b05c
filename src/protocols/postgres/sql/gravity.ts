import type { SqlKind } from './reading.ts'

/** From the gravest to the most harmless. */
const order: readonly SqlKind[] = [
  'unknown', 'copy.program', 'server', 'session', 'do', 'grant', 'ddl', 'truncate', 'delete', 'merge', 'update', 'insert', 'copy.in', 'call',
  'lock', 'listen', 'copy.out', 'set', 'transaction', 'explain', 'select',
]

const rank: ReadonlyMap<SqlKind, number> = new Map(order.map((kind, index) => [kind, index]))

/** 0 is the gravest. */
export const gravity = (kind: SqlKind): number => rank.get(kind) ?? 0

export const gravestFirst = (kinds: readonly SqlKind[]): readonly SqlKind[] => [...new Set(kinds)].sort((a, b) => gravity(a) - gravity(b))
