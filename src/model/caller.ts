/** An account somewhere: nobody is ever identified by less, and never by an e-mail address. */
export interface Party {
  readonly issuer: string
  readonly subject: string
}

export type CallerKind = 'human' | 'workload' | 'agent'

/** One party of the chain, as its token or the configuration describes it. */
export interface Principal extends Party {
  readonly kind: CallerKind
  /** `undefined` means unknown (overage, failed look-up): an allow rule does not match it, a deny or hold rule does. */
  readonly groups: readonly string[] | undefined
  /** Only if the issuer vouches for it. For display and for routing, never a key. */
  readonly email?: string
  readonly name?: string
  readonly clientId?: string
  /** The registered human who answers for an agent or a service account. */
  readonly owner?: Party
}

/** Who is asking now. For a delegated token this is the actor; the people it acts for follow in `onBehalfOf`, nearest first. */
export interface Caller extends Principal {
  readonly onBehalfOf: readonly Principal[]
  /** The claims that the configuration names, nothing else. */
  readonly claims: Readonly<Record<string, unknown>>
  /** Stable short hash of the token or session behind this caller; safe to log. */
  readonly session: string
  readonly authenticatedAt: number
  readonly expiresAt: number
  /** The client's network address: the right-most hop that we do not trust. */
  readonly address: string
}

export const sameParty = (a: Party, b: Party): boolean => a.issuer === b.issuer && a.subject === b.subject

/** Neither part can contain a newline (identity refuses control characters), so two parties never share a key. */
export const partyKey = (party: Party): string => `${party.issuer}\n${party.subject}`

/** Everybody whose action this is: the caller, those it acts for, and the registered owner of each. */
export const partiesOf = (caller: Pick<Caller, 'issuer' | 'subject' | 'owner' | 'onBehalfOf'>): readonly Party[] =>
  [caller, ...caller.onBehalfOf].flatMap((principal) => (principal.owner ? [principal, principal.owner] : [principal]))

/** By group, the accounts (`partyKey`) that are in it: known from elsewhere than their tokens. A group that is not among them is known by tokens alone. */
export type Members = ReadonlyMap<string, ReadonlySet<string>>
