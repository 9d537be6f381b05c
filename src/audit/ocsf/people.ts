import { defined } from '../../lib/defined.ts'
import { list, part, parts, text, type RecordData } from '../record-data.ts'
import type { Actor, Endpoint, Session, User } from './event.ts'

/** The issuer stands in `domain`: an account is one only together with it. */
export const userOf = (value: unknown): User => {
  const { subject, name, email, issuer, kind, groups } = part(value)
  const names = list(groups).flatMap((group) => (typeof group === 'string' ? [{ name: group }] : []))
  const uid = text(subject)
  return {
    type_id: kind === undefined ? 0 : kind === 'human' ? 1 : 4,
    ...defined({ uid, name: text(name) ?? (uid === undefined ? 'unknown' : undefined), email_addr: text(email), domain: text(issuer), groups: names.length === 0 ? undefined : names }),
  }
}

export const sessionOf = (value: unknown): Session | undefined => {
  const { session, issuer } = part(value)
  const uid = text(session)
  return uid === undefined ? undefined : { uid, ...defined({ issuer: text(issuer) }) }
}

/** The person for whom it is done is the user, and the program that does it the application; who acts alone is the user. */
export const actorOf = (value: unknown): Actor => {
  const caller = part(value)
  const [principal] = parts(caller['onBehalfOf'])
  const isProgram = principal !== undefined || (caller['kind'] !== undefined && caller['kind'] !== 'human')
  return {
    user: userOf(principal ?? caller),
    ...defined({ app_uid: isProgram ? (text(caller['clientId']) ?? text(caller['subject'])) : undefined, app_name: isProgram ? (text(caller['name']) ?? text(caller['subject'])) : undefined, session: sessionOf(caller) }),
  }
}

export const endpointOf = (address: unknown): Endpoint => {
  const given = text(address) ?? 'unknown'
  return /^(?:[0-9.]{7,15}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+)$/.test(given) ? { ip: given } : { name: given }
}

export const clientOf = (caller: RecordData): Endpoint => endpointOf(caller['address'])
