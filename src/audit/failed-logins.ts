import type { AuditEvent } from '../model/audit-event.ts'

export type FailedLogin = Extract<AuditEvent, { type: 'authentication-failed' }>

export interface FailedLogins extends Disposable {
  note(event: FailedLogin): void
}

export interface FailedLoginBounds {
  /** So many alike are on record one by one. */
  readonly first: number
  readonly withinMs: number
  /** So many kinds are told apart; what comes beyond them counts as one more. */
  readonly kinds: number
}

/** In the place of an address. */
const others = 'several'

const usualBounds: FailedLoginBounds = { first: 20, withinMs: 60_000, kinds: 2_000 }

interface Kind {
  seen: number
  last: FailedLogin
}

/**
 * A login that fails costs a stranger nothing and the log a record.
 * Of those that fail alike from one address the first of each minute are on record one by one; how many more there were is one record at its end.
 */
export const makeFailedLogins = (append: (event: FailedLogin) => void, { first, withinMs, kinds: most }: FailedLoginBounds = usualBounds): FailedLogins => {
  const kinds = new Map<string, Kind>()
  let minute: NodeJS.Timeout | undefined

  const end = (): void => {
    clearTimeout(minute)
    minute = undefined
    for (const { seen, last } of kinds.values()) if (seen > first) append({ ...last, count: seen - first })
    kinds.clear()
  }

  return {
    note: (event) => {
      minute ??= setTimeout(end, withinMs).unref()
      const own = JSON.stringify([event.address, event.from, event.step])
      const isOne = kinds.has(own) || kinds.size < most
      const kind = kinds.get(isOne ? own : others) ?? { seen: 0, last: event }
      kinds.set(isOne ? own : others, kind)
      kind.last = isOne ? event : { ...event, address: others }
      if (++kind.seen <= first) append(event)
    },
    [Symbol.dispose]: end,
  }
}
