import { hash } from 'node:crypto'
import type { Caller } from '../model/caller.ts'
import type { Registry } from './issuer.ts'
import type { IdentityOptions } from './options.ts'

/**
 * Everything in the configuration that made this caller out of a token. Strict: a change that would not have mattered counts as well.
 * Nothing for issuers that are to be asked about a token again before it counts: without the token, nobody can ask them.
 */
export const standingOf = ({ agents }: IdentityOptions, { issuers }: Registry, caller: Caller): string | undefined => {
  const chain = [caller, ...caller.onBehalfOf]
  const makers = chain.flatMap(({ issuer }) => issuers.get(issuer) ?? []).map(({ options }) => options)
  if (makers.length === 0 || makers.some(({ introspection }) => introspection !== undefined && (introspection.recheck || introspection.opaqueTokens))) return undefined
  // A directory's registrations may name an identifier that only the token had.
  const byToken = makers.some(({ preset }) => preset === 'entra')
  const registered = agents.filter((agent) => byToken || chain.some(({ subject, clientId, name }) => agent.subject === subject || agent.subject === clientId || agent.name === name))
  return hash('sha256', JSON.stringify([makers, registered]), 'base64url')
}
