import { hash } from 'node:crypto'
import { defined } from '../../lib/defined.ts'
import { text, type RecordData } from '../record-data.ts'

/** `person`, `agent` and `workload` ask and approve; `session` is one login or token of theirs; an `action` is a verb with what it is done to; the others are data. */
export const nodeKinds = ['person', 'agent', 'workload', 'session', 'action', 'table', 'function', 'endpoint', 'tool'] as const

export type NodeKind = (typeof nodeKinds)[number]

/** One place of the map. The id is made of what it stands for, so it is the same in every index. Texts are strangers' words. */
export interface LineageNode {
  readonly id: string
  readonly kind: NodeKind
  readonly name: string
  /** Where that name means something: the issuer of an account, the service and database of data, the account of a session. */
  readonly at: string
  /** What else it is found by. */
  readonly also?: readonly string[]
}

export const nodeId = /^(?:who|session|action|data)-[0-9a-f]{20}$/

const longestName = 400

const idOf = (sort: 'who' | 'session' | 'action' | 'data', ...parts: readonly string[]): string => `${sort}-${hash('sha256', JSON.stringify(parts)).slice(0, 20)}`
const short = (name: string): string => (name.length <= longestName ? name : name.slice(0, longestName))

/** The nodes of callers and data come back with most records. */
const mostKnown = 5_000
const kept = (known: Map<string, LineageNode>, key: string, make: () => LineageNode): LineageNode => {
  const found = known.get(key)
  if (found !== undefined) return found
  if (known.size >= mostKnown) known.clear()
  const made = make()
  known.set(key, made)
  return made
}
const parties = new Map<string, LineageNode>()
const sessions = new Map<string, LineageNode>()
const datas = new Map<string, LineageNode>()

/** An account is an issuer and a subject, whatever else is said of it. */
export const partyNode = (value: RecordData): LineageNode | undefined => {
  const [issuer, subject, kind] = [text(value['issuer']), text(value['subject']), text(value['kind'])]
  if (issuer === undefined || subject === undefined) return undefined
  const [name, email] = [text(value['name']), text(value['email'])]
  return kept(parties, JSON.stringify([issuer, subject, kind, name, email]), () => {
    const shown = short(name ?? email ?? subject)
    const also = [subject, name, email].flatMap((one) => (one === undefined || one === shown ? [] : [short(one)]))
    return { id: idOf('who', issuer, subject), kind: kind === 'agent' || kind === 'workload' ? kind : 'person', name: shown, at: short(issuer), ...defined({ also: also.length > 0 ? also : undefined }) }
  })
}

export const sessionNode = (caller: RecordData): LineageNode | undefined => {
  const [issuer, subject, session] = [text(caller['issuer']), text(caller['subject']), text(caller['session'])]
  if (issuer === undefined || subject === undefined || session === undefined) return undefined
  return kept(sessions, JSON.stringify([issuer, subject, session]), () => ({ id: idOf('session', issuer, subject, session), kind: 'session', name: short(session), at: short(subject) }))
}

export const dataNode = (kind: 'table' | 'function' | 'endpoint' | 'tool', place: readonly string[], name: string): LineageNode =>
  kept(datas, JSON.stringify([kind, place, name]), () => ({ id: idOf('data', kind, ...place, name), kind, name: short(name), at: short(place.join('/')) }))

/** `sql.update public.orders`: what is done, and to what of it first. */
export const actionNode = (service: string, verbs: readonly string[], touched: readonly string[], target: string): LineageNode => ({
  id: idOf('action', service, ...verbs, '', ...touched),
  kind: 'action',
  name: short(`${verbs.join('+')} ${target}${touched.length > 1 ? ` and ${touched.length - 1} more` : ''}`.trimEnd()),
  at: short(service),
})
