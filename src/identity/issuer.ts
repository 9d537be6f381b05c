import { partyKey, type Party } from '../model/caller.ts'
import { claimGlobProblem } from './claim-rule.ts'
import { parseClaimPath, type ClaimPath } from './claim-path.ts'
import type { AgentOptions, ClaimRule, IdentityOptions, IssuerOptions } from './options.ts'
import { isPublicKeyAlgorithm } from './verification-key.ts'

/** One entry of the configuration, made ready: paths parsed, lists as sets. */
export interface Issuer {
  readonly options: IssuerOptions
  readonly paths: { readonly [K in keyof IssuerOptions['claimPaths']]: ClaimPath | undefined } & { readonly subject: ClaimPath }
  readonly claims: readonly (readonly [name: string, path: ClaimPath])[]
  readonly required: readonly { readonly name: string; readonly path: ClaimPath; readonly rule: ClaimRule }[]
  readonly emailDomains: ReadonlySet<string>
  /** Other issuers, by their exact `iss`, whose parties may stand in an `act` of this one. */
  readonly actorIssuers: ReadonlySet<string>
  /** The issuer under which an account is known: for a directory the first value of the same tenant, whichever version of it signed. */
  canonical(iss: string): string
}

export interface Registry {
  /** By the exact `iss`. */
  readonly issuers: ReadonlyMap<string, Issuer>
  agentAt(issuer: string, ...names: readonly (string | undefined)[]): AgentOptions | undefined
  /** One spelling for one account. An issuer that is not configured keeps its own. */
  canonicalIssuer(issuer: string): string
}

/** Throws an `Error` for options that would weaken what the others promise; the configuration says the same with a line number. */
export const makeRegistry = ({ issuers, agents }: IdentityOptions): Registry => {
  const issuersOf = (name: string): readonly string[] => issuers.find((entry) => entry.name === name)?.issuers ?? [name]
  const entries = issuers.map((entry) => makeIssuer(entry, issuersOf))
  const byIss = new Map<string, Issuer>()
  for (const entry of entries)
    for (const iss of entry.options.issuers) {
      if (byIss.has(iss)) throw new Error(`two entries for the issuer ${iss}`)
      byIss.set(iss, entry)
    }
  if (entries.filter(({ options }) => options.introspection?.opaqueTokens === true).length > 1) throw new Error('two issuers take opaque tokens: nothing in such a token says whose it is, so each would get to read those of the other')
  const canonicalIssuer = (issuer: string): string => byIss.get(issuer)?.canonical(issuer) ?? issuer
  const registered = new Map<string, AgentOptions>()
  for (const agent of agents) {
    const owner: Party = { issuer: canonicalIssuer(issuersOf(agent.owner.issuer)[0] ?? agent.owner.issuer), subject: agent.owner.subject }
    for (const iss of issuersOf(agent.issuer)) registered.set(partyKey({ issuer: canonicalIssuer(iss), subject: agent.subject }), { ...agent, owner })
  }
  return {
    issuers: byIss,
    canonicalIssuer,
    agentAt(issuer, ...names) {
      for (const subject of names) {
        const agent = subject === undefined ? undefined : registered.get(partyKey({ issuer, subject }))
        if (agent) return agent
      }
      return undefined
    },
  }
}

const makeIssuer = (options: IssuerOptions, issuersOf: (name: string) => readonly string[]): Issuer => {
  const problem = problemWith(options)
  if (problem !== undefined) throw new Error(`issuer ${options.name}: ${problem}`)
  const { subject, groups, roles, email, emailVerified, name, clientId } = options.claimPaths
  const path = (text: string | undefined): ClaimPath | undefined => (text === undefined ? undefined : parseClaimPath(text))
  return {
    options,
    paths: { subject: parseClaimPath(subject), groups: path(groups), roles: path(roles), email: path(email), emailVerified: path(emailVerified), name: path(name), clientId: path(clientId) },
    claims: Object.entries(options.claims).map(([as, from]) => [as, parseClaimPath(from)] as const),
    required: Object.entries(options.required).map(([claim, rule]) => ({ name: claim, path: parseClaimPath(claim), rule })),
    emailDomains: new Set(options.emailDomains.map((domain) => domain.toLowerCase())),
    actorIssuers: new Set(options.delegation.actorIssuers.flatMap(issuersOf)),
    canonical: (iss) => (options.preset === 'entra' ? (options.issuers.find((first) => tenantOf(first) === tenantOf(iss)) ?? iss) : iss),
  }
}

/** The tenant in a directory's issuer, where it names one. */
export const tenantOf = (iss: string): string | undefined => /\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\/|$)/i.exec(iss)?.[1]?.toLowerCase()

const problemWith = (options: IssuerOptions): string | undefined => {
  if (options.issuers.length === 0) return 'it names no issuer'
  if (options.audiences.length === 0 || options.audiences.includes('')) return 'an audience is mandatory'
  if (options.algorithms.length === 0) return 'it accepts no algorithm'
  const algorithm = options.algorithms.find((alg) => !isPublicKeyAlgorithm(alg))
  if (algorithm !== undefined) return `${algorithm} is not an algorithm with a public key`
  for (const [claim, rule] of Object.entries(options.required)) {
    if ('equals' in rule) continue
    if (claim === 'sub' && options.preset === 'github-actions') return 'a pattern on "sub" lets look-alike repositories in: list whole subjects, or require repository_id'
    const wrong = rule.glob.map(claimGlobProblem).find((text) => text !== undefined)
    if (wrong !== undefined) return wrong
  }
  return undefined
}
