import { partyKey, type Party, type Principal } from '../model/caller.ts'
import type { Issuer, Registry } from './issuer.ts'
import { clientOf, namedPrincipal } from './principal.ts'
import { isName, shown, TokenProblem, type Trail } from './steps.ts'
import type { Claims } from './token-shape.ts'

const maxActors = 5

/**
 * Who acts, and for whom, nearest first.
 *
 *     { sub: alice, act: { sub: now, act: { sub: before } } }      now  →  before  →  alice
 *
 * Only the outermost actor acts now; those below it did, and the subject is whose errand it is.
 */
export const resolveDelegation = (issuer: Issuer, registry: Registry, iss: string, claims: Claims, subject: Principal, note: Trail): readonly [Principal, ...(readonly Principal[])] => {
  if (!Object.hasOwn(claims, 'act')) {
    note('delegation', 'no actor', 'none, or a chain that this issuer may attest')
    return [subject]
  }
  if (!issuer.options.delegation.allowed) throw new TokenProblem('delegation', 'an actor ("act")', 'none: this issuer is not configured for delegation')
  const actors: Principal[] = []
  const seen = new Set([partyKey(subject)])
  for (let act: unknown = claims['act']; act !== undefined; act = (act as Record<string, unknown>)['act']) {
    if (actors.length === maxActors) throw new TokenProblem('delegation', `more than ${maxActors} actors`, `at most ${maxActors}`)
    const actor = actorOf(issuer, registry, iss, act, actors.length === 0 ? clientOf(issuer, claims) : undefined)
    if (seen.has(partyKey(actor))) throw new TokenProblem('delegation', `${shown(actor.subject)} twice`, 'everybody once')
    seen.add(partyKey(actor))
    actors.push(actor)
  }
  const [now, ...before] = actors
  if (now === undefined) throw new TokenProblem('delegation', shown(claims['act']), 'an actor')
  note('delegation', [now, ...before, subject].map((principal) => shown(principal.subject)).join(' for '), `at most ${maxActors} actors, everybody once`)
  return [now, ...before, subject]
}

/** `holder` is the client that the token was made for, where it speaks of this actor. */
const actorOf = (issuer: Issuer, registry: Registry, iss: string, act: unknown, holder: string | undefined): Principal => {
  if (typeof act !== 'object' || act === null || Array.isArray(act)) throw new TokenProblem('delegation', `act ${shown(act)}`, 'an actor with a "sub"')
  const { sub, iss: from = iss, client_id: clientId } = act as { sub?: unknown; iss?: unknown; client_id?: unknown }
  if (!isName(sub)) throw new TokenProblem('delegation', `act.sub ${shown(sub)}`, 'a text of one line')
  if (typeof from !== 'string' || (from !== iss && !issuer.actorIssuers.has(from))) throw new TokenProblem('delegation', `an actor of ${shown(from)}`, `an actor of ${[iss, ...issuer.actorIssuers].join(' or ')}`)
  if (clientId !== undefined && !isName(clientId)) throw new TokenProblem('delegation', `act.client_id ${shown(clientId)}`, 'a text of one line')
  const party: Party = { issuer: registry.canonicalIssuer(from), subject: sub }
  const client = clientId ?? (from === iss ? holder : undefined)
  return namedPrincipal(party, client, registry.agentAt(party.issuer, sub, client))
}
