import { defined } from '../../lib/defined.ts'
import { list, part, parts, text, type RecordData } from '../record-data.ts'
import type { Control, Entity, OcsfEvent, Policy, Resource, Severity, Status } from './event.ts'
import { actorOf, clientOf, endpointOf, sessionOf, userOf } from './people.ts'

/* An event of each class, without what all of them have in common. */

/** What is said of an event beside its class. */
export interface Remarks extends Status {
  readonly control?: Control
  readonly severity?: Severity
  readonly duration?: number
  /** So many of them are told as one. */
  readonly count?: number
}

type Common = 'category_uid' | 'activity_id' | 'activity_name' | 'type_uid' | 'severity_id' | 'time' | 'message' | 'duration' | 'count' | 'metadata' | 'unmapped' | keyof Status | keyof Control
type Own<Event> = Event extends unknown ? Omit<Event, Common> : never

/** A number of its class, or our own word where its class has none. */
type Activity = number | string

export interface Draft extends Remarks {
  readonly activity: Activity
  readonly own: Own<OcsfEvent>
}

export const application = { name: 'Countersign', vendor_name: 'Countersign' } as const

const httpActivities: Readonly<Record<string, number>> = { 'http.POST': 1, 'http.GET': 2, 'http.HEAD': 2, 'http.OPTIONS': 2, 'http.QUERY': 2, 'http.SEARCH': 2, 'http.REPORT': 2, 'http.PROPFIND': 2, 'http.PUT': 3, 'http.PATCH': 3, 'http.PROPPATCH': 3, 'http.DELETE': 4, 'mcp.tools/list': 2, 'mcp.resources/list': 2, 'mcp.resources/read': 2, 'mcp.prompts/list': 2, 'mcp.prompts/get': 2 }
const sqlActivities: Readonly<Record<string, number>> = { 'sql.select': 4, 'sql.explain': 4, 'sql.copy.out': 1, 'sql.insert': 6, 'sql.update': 2, 'sql.delete': 7, 'sql.truncate': 7, 'sql.merge': 5, 'sql.copy.in': 5, 'sql.session': 3 }

const known = (table: Readonly<Record<string, number>>, verb: string): Activity => (Object.hasOwn(table, verb) ? (table[verb] ?? verb) : verb)

const resourcesOf = (action: RecordData): readonly Resource[] =>
  parts(action['resources']).map(({ kind, name, tags }) => {
    const labels = list(tags).filter((tag) => typeof tag === 'string')
    return { name: text(name) ?? 'unknown', type: kind === 'tool' ? 'mcp.tool' : (text(kind) ?? 'unknown'), ...defined({ labels: labels.length === 0 ? undefined : labels }) }
  })

/** The rule that decided: of several that say the same, the first. */
export const policyOf = (decision: unknown): Policy | undefined => {
  const { matched, verdict, policyVersion } = part(decision)
  const [rule] = parts(matched).filter(({ then, observed }) => then === verdict && observed !== true)
  if (rule === undefined) return undefined
  return { name: text(rule['policy']) ?? 'unknown', uid: `${text(rule['policy']) ?? 'unknown'}/${text(rule['rule']) ?? 'unknown'}`, ...defined({ version: text(policyVersion), desc: text(rule['because']) }) }
}

/** What somebody asked a service for: of a database, or by HTTP. */
export const asked = (record: RecordData, remarks: Remarks): Draft => {
  const [caller, action] = [part(record['caller']), part(record['action'])]
  const verb = text(action['verb']) ?? 'unknown'
  const service = text(action['service'])
  const common = { actor: actorOf(caller), src_endpoint: clientOf(caller), ...defined({ dst_endpoint: service === undefined ? undefined : { svc_name: service } }) }
  if (action['protocol'] === 'postgres' || action['protocol'] === 'mysql') {
    const table = parts(action['resources']).find(({ kind }) => kind === 'table')
    const shape = text(action['shape'])
    return {
      ...remarks,
      activity: known(sqlActivities, verb),
      own: { class_uid: 6005, ...common, database: { name: text(part(action['place'])['database']) ?? service ?? 'unknown', type_id: 1 }, ...defined({ table: table && { name: text(table['name']) ?? 'unknown' }, query_info: shape === undefined ? undefined : { query_string: shape } }) },
    }
  }
  const resources = resourcesOf(action)
  return { ...remarks, activity: known(httpActivities, verb), own: { class_uid: 6003, ...common, api: { operation: verb, ...defined({ service: service === undefined ? undefined : { name: service } }) }, ...defined({ resources: resources.length === 0 ? undefined : resources }) } }
}

/** What somebody did, or the program did, to a thing of ours. */
export const changed = (activity: Activity, entity: Entity, remarks: Remarks & { readonly by?: unknown; readonly comment?: unknown } = {}): Draft => {
  const { by, comment, ...rest } = remarks
  return { ...rest, activity, own: { class_uid: 3004, entity, ...defined({ actor: by === undefined ? undefined : actorOf(by), comment: text(comment) }) } }
}

/** The standard wants one of both. */
export const entityOf = (type: string, uid: unknown, name?: unknown): Entity => ({ type, ...defined({ uid: text(uid), name: text(name) ?? (text(uid) === undefined ? 'unknown' : undefined) }) })

export const holdOf = ({ hold, code }: RecordData): Entity => entityOf('hold', hold, code)

export const authenticated = (activity: number, who: RecordData, remarks: Remarks = {}): Draft => ({
  ...remarks,
  activity,
  own: { class_uid: 3002, user: userOf(who['subject'] === undefined ? {} : who), service: { name: application.name }, ...defined({ session: sessionOf(who), src_endpoint: who['address'] === undefined ? undefined : endpointOf(who['address']) }) },
})

/** What somebody may do for a while, and no longer. */
export const entitled = (activity: 1 | 2, { caller, lease, service }: RecordData, remarks: Remarks = {}): Draft => ({
  ...remarks,
  activity,
  own: { class_uid: 3005, user: caller === undefined ? userOf({}) : actorOf(caller).user, privileges: [text(lease) ?? 'unknown'], ...defined({ resources: text(service) === undefined ? undefined : [{ name: text(service) ?? '', type: 'service' }] }) },
})

export const lived = (activity: Activity, remarks: Remarks = {}, version?: string): Draft => ({ ...remarks, activity, own: { class_uid: 6002, app: { ...application, ...defined({ version }) } } })
