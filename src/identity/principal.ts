import type { Party, Principal } from '../model/caller.ts'
import { defined } from '../lib/defined.ts'
import { readClaim, type ClaimPath } from './claim-path.ts'
import { nameIn } from './claim-checks.ts'
import { emailIn } from './email.ts'
import { tenantOf, type Issuer, type Registry } from './issuer.ts'
import type { AgentOptions } from './options.ts'
import { isName, shown, TokenProblem } from './steps.ts'
import type { Claims } from './token-shape.ts'

const maxGroups = 2_000

/** Who these claims are about. `kind` comes from the configuration, and from nothing that a token could say about itself. */
export const principalOf = (issuer: Issuer, registry: Registry, iss: string, claims: Claims): Principal => {
  const { paths, options } = issuer
  const party: Party = { issuer: issuer.canonical(iss), subject: options.preset === 'entra' ? directorySubject(iss, claims) : nameIn(claims, paths.subject, 'subject') }
  // With an actor, the client is the actor's: the subject is somebody it acts for.
  const clientId = Object.hasOwn(claims, 'act') ? undefined : clientOf(issuer, claims)
  const agent = registry.agentAt(party.issuer, party.subject, textAt(claims, ['sub']), clientId)
  const groups = groupsOf(issuer, claims)
  return {
    ...party,
    kind: agent?.kind ?? options.kind,
    groups: agent && groups ? [...new Set([...groups, ...agent.groups])] : groups,
    ...defined({ email: verifiedEmail(issuer, claims), name: agent?.name ?? textAt(claims, paths.name), clientId, owner: agent?.owner }),
  }
}

/** Which client holds this token. The older tokens of a directory name it otherwise. */
export const clientOf = ({ paths, options }: Issuer, claims: Claims): string | undefined => textAt(claims, paths.clientId) ?? (options.preset === 'entra' ? textAt(claims, ['appid']) : undefined)

/** Somebody of whom the token only tells the name: what else is known stands in the configuration, or nowhere. */
export const namedPrincipal = (party: Party, clientId: string | undefined, agent: AgentOptions | undefined): Principal => ({
  ...party,
  kind: agent?.kind ?? 'agent',
  groups: agent?.groups,
  ...defined({ name: agent?.name, clientId, owner: agent?.owner }),
})

/**
 * An account of a directory is its tenant and its object id. `sub` differs from client to client, and every tenant writes what it likes
 * into the e-mail, so neither says who somebody is.
 */
const directorySubject = (iss: string, claims: Claims): string => {
  const tenant = nameIn(claims, ['tid'], 'tid')
  const object = nameIn(claims, ['oid'], 'oid')
  if (tenant.includes('/') || object.includes('/')) throw new TokenProblem('subject', `tid ${shown(tenant)}, oid ${shown(object)}`, 'identifiers without a slash')
  const signer = tenantOf(iss)
  if (signer !== undefined && signer !== tenant.toLowerCase()) throw new TokenProblem('subject', `tid ${shown(tenant)}`, `the tenant that signed, ${signer}`)
  return `${tenant}/${object}`
}

const textAt = (claims: Claims, path: ClaimPath | undefined): string | undefined => {
  const value = path === undefined ? undefined : readClaim(claims, path)
  return isName(value) ? value : undefined
}

const verifiedEmail = ({ paths, emailDomains }: Issuer, claims: Claims): string | undefined =>
  paths.email === undefined || paths.emailVerified === undefined || readClaim(claims, paths.emailVerified) !== true ? undefined : emailIn(readClaim(claims, paths.email), emailDomains)

/**
 * Groups and roles, by the names that policies use; `undefined` where the token does not say it all. A token that points elsewhere for its groups
 * is not followed: the address in it was not written by us.
 */
const groupsOf = ({ paths, options }: Issuer, claims: Claims): readonly string[] | undefined => {
  const names = new Set<string>()
  for (const path of [paths.groups, paths.roles]) {
    if (path === undefined) continue
    if (isElsewhere(claims, path)) return undefined
    const value = readClaim(claims, path)
    const list = value === undefined || value === null ? [] : typeof value === 'string' ? [value] : value
    if (!Array.isArray(list) || list.length > maxGroups || !list.every(isName)) return undefined
    for (const raw of list) names.add(Object.hasOwn(options.groupNames, raw) ? (options.groupNames[raw] ?? raw) : raw)
  }
  return [...names]
}

const isElsewhere = (claims: Claims, path: ClaimPath): boolean => {
  if (Object.hasOwn(claims, 'hasgroups') && claims['hasgroups'] !== false && path[0] === 'groups') return true
  const pointers = Object.hasOwn(claims, '_claim_names') ? claims['_claim_names'] : undefined
  return typeof pointers === 'object' && pointers !== null && Object.hasOwn(pointers, path[0] ?? '')
}
