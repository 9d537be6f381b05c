import { defined } from '../lib/defined.ts'
import type { Assurance, BreakGlass, Drift, GrantBounds, Mask, Obligations, Requirement, Terms } from '../model/decision.ts'

/** What one hold rule asks for. */
export interface HoldTerms {
  readonly requirements: readonly Requirement[]
  readonly withinMs: number
  readonly runWithinMs: number
  readonly askReason: boolean
  readonly run: 'attached' | 'when-approved'
  readonly drift: Drift | undefined
  readonly grant: GrantBounds | undefined
  readonly irreversible: boolean
  readonly together: boolean
  readonly breakGlass: BreakGlass | undefined
}

/** Every requirement of every rule; of everything else the most careful. */
export const combineTerms = (all: readonly HoldTerms[]): Terms =>
  Object.freeze({
    requirements: Object.freeze(all.flatMap(({ requirements }) => requirements)),
    withinMs: Math.min(...all.map(({ withinMs }) => withinMs)),
    runWithinMs: Math.min(...all.map(({ runWithinMs }) => runWithinMs)),
    askReason: all.some(({ askReason }) => askReason),
    run: all.every(({ run }) => run === 'when-approved') ? 'when-approved' : 'attached',
    ...defined({ drift: combineDrift(all.flatMap(({ drift }) => drift ?? [])), breakGlass: combineBreakGlass(all), grant: combineGrant(all) }),
    ...(all.some(({ irreversible }) => irreversible) ? { irreversible: true as const } : {}),
    ...(all.every(({ together }) => together) ? {} : { together: false as const }),
  })

/** A rule that lets nobody break the glass keeps it whole for all. */
const combineBreakGlass = (all: readonly HoldTerms[]): readonly BreakGlass[] | undefined => {
  const each = all.flatMap(({ breakGlass }) => breakGlass ?? [])
  return each.length === all.length ? Object.freeze(each) : undefined
}

/** Every rule must let it be given, and none may call what happens irreversible. */
const combineGrant = (all: readonly HoldTerms[]): GrantBounds | undefined => {
  const each = all.flatMap(({ grant, irreversible }) => (irreversible ? [] : (grant ?? [])))
  if (each.length === 0 || each.length < all.length) return undefined
  const rows = each.flatMap(({ rows: most }) => most ?? [])
  return Object.freeze({ times: Math.min(...each.map(({ times }) => times)), withinMs: Math.min(...each.map(({ withinMs }) => withinMs)), ...defined({ rows: rows.length === 0 ? undefined : Math.min(...rows) }) })
}

const combineDrift = (all: readonly Drift[]): Drift | undefined => {
  if (all.length === 0) return undefined
  const least = (values: readonly (number | undefined)[]): number | undefined => values.reduce((a, b) => (a === undefined || (b !== undefined && b < a) ? b : a), undefined)
  return Object.freeze(defined({ factor: least(all.map(({ factor }) => factor)), rows: least(all.map(({ rows }) => rows)) }))
}

const STRICTNESS: Record<Mask, number> = { none: 0, partial: 1, hash: 2, redact: 3 }

export const stricterMask = (a: Mask, b: Mask): Mask => (STRICTNESS[a] >= STRICTNESS[b] ? a : b)

export const NO_OBLIGATIONS: Obligations = Object.freeze({ masks: Object.freeze({}), limits: Object.freeze({}) })

/** All obligations together: the stricter mask, the lower limit. */
export const combineObligations = (all: readonly Obligations[]): Obligations => {
  if (all.length === 0) return NO_OBLIGATIONS
  const masks: Record<string, Mask> = {}
  const limits: { rows?: number; ms?: number } = {}
  for (const { masks: more, limits: lower } of all) {
    for (const [key, mask] of Object.entries(more)) masks[key] = stricterMask(masks[key] ?? 'none', mask)
    if (lower.rows !== undefined) limits.rows = Math.min(limits.rows ?? Infinity, lower.rows)
    if (lower.ms !== undefined) limits.ms = Math.min(limits.ms ?? Infinity, lower.ms)
  }
  return Object.freeze({ masks: Object.freeze(masks), limits: Object.freeze(limits) })
}

const SURENESS: Record<Assurance, number> = { chat: 0, console: 1, passkey: 2 }

/** Whether some channel makes us at least this sure of an approver. */
export const reaches = (channels: readonly Assurance[], asked: Assurance): boolean => channels.some((channel) => SURENESS[channel] >= SURENESS[asked])
