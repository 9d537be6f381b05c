import type { Action } from '../model/action.ts'
import type { Caller, Principal } from '../model/caller.ts'
import type { Service } from '../model/service.ts'

/*
 * What conditions see. The expression engine tells types by constructor, hence the small classes;
 * the declared fields are all that an expression can reach of them.
 */

/**
 * The engine asks every value for its constructor. Where sent data has a member of that name, the object that has it
 * (and what holds it) is handed over as a map: that has members, and nothing that could be taken for a type.
 */
const asData = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null || value instanceof Map) return value
  if (Array.isArray(value)) {
    const items = (value as readonly unknown[]).map(asData)
    return items.some((item, at) => item !== value[at]) ? items : value
  }
  let changed = Object.hasOwn(value, 'constructor')
  const entries = Object.entries(value).map(([key, member]): readonly [string, unknown] => {
    const data = asData(member)
    changed ||= data !== member
    return [key, data]
  })
  return changed ? new Map(entries) : value
}

class PrincipalFacts {
  readonly issuer: string
  readonly subject: string
  readonly kind: string
  readonly email: string | undefined
  readonly groups: readonly string[] | undefined
  constructor(principal: Principal) {
    this.issuer = principal.issuer
    this.subject = principal.subject
    this.kind = principal.kind
    this.email = principal.email
    this.groups = principal.groups
  }
}

class CallerFacts {
  readonly issuer: string
  readonly subject: string
  readonly kind: string
  readonly email: string | undefined
  readonly groups: readonly string[] | undefined
  readonly clientId: string | undefined
  readonly claims: Readonly<Record<string, unknown>>
  readonly onBehalfOf: readonly PrincipalFacts[]
  readonly address: string
  readonly authenticatedAt: Date
  constructor(caller: Caller) {
    this.issuer = caller.issuer
    this.subject = caller.subject
    this.kind = caller.kind
    this.email = caller.email
    this.groups = caller.groups
    this.clientId = caller.clientId
    this.claims = asData(caller.claims) as CallerFacts['claims']
    this.onBehalfOf = caller.onBehalfOf.map((principal) => new PrincipalFacts(principal))
    this.address = caller.address
    this.authenticatedAt = new Date(caller.authenticatedAt)
  }
}

class ActionFacts {
  readonly protocol: string
  readonly verb: string
  readonly effect: string
  readonly tags: readonly string[]
  readonly #action: Action
  readonly paths: readonly string[]
  readonly tables: readonly string[]
  readonly columns: readonly string[]
  readonly functions: readonly string[]
  readonly tools: readonly string[]
  constructor(action: Action) {
    const names = (kind: Action['resources'][number]['kind']): readonly string[] => action.resources.filter((resource) => resource.kind === kind).map((resource) => resource.name)
    this.protocol = action.protocol
    this.verb = action.verb
    this.effect = action.effect
    this.tags = action.tags
    this.#action = action
    this.paths = names('path')
    this.tables = names('table')
    this.columns = names('column')
    this.functions = names('function')
    this.tools = names('tool')
  }
  /** The text is made when it is first looked at. */
  get textLength(): bigint {
    return BigInt(this.#action.text.length)
  }
}

class ServiceFacts {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  constructor(service: Service) {
    this.name = service.name
    this.labels = service.labels
  }
}

/** A declared own member; a number becomes an `int` where that is declared. */
const memberOf = (facts: unknown, field: string, type: string | undefined): unknown => {
  if (typeof facts !== 'object' || facts === null) throw new Error('the action carries no such facts')
  if (!Object.hasOwn(facts, field)) return undefined
  const value = asData((facts as Record<string, unknown>)[field])
  return type === 'int' && typeof value === 'number' ? BigInt(Math.trunc(value)) : value
}

/** Copies the declared own members. */
class ProtocolFacts {
  constructor(facts: unknown, fields: Readonly<Record<string, string>>) {
    for (const field in fields) {
      if (field === 'headers' || field === 'json') continue
      const value = memberOf(facts, field, fields[field])
      if (value !== undefined) (this as Record<string, unknown>)[field] = value
    }
  }
}
class HttpFacts extends ProtocolFacts {
  readonly #facts: unknown
  #json: { readonly value: unknown } | undefined
  constructor(facts: unknown) {
    super(facts, httpFields)
    this.#facts = facts
  }
  /** Collected when first looked at. */
  get headers(): unknown {
    return Object.hasOwn(this.#facts as object, 'headers') ? asData((this.#facts as { readonly headers: unknown }).headers) : undefined
  }
  /** May be large, and most conditions do not look at it. */
  get json(): unknown {
    return (this.#json ??= { value: Object.hasOwn(this.#facts as object, 'json') ? asData((this.#facts as { readonly json: unknown }).json) : undefined }).value
  }
}

const sqlFields = {
  statement: 'string', filtered: 'bool', statements: 'int', estimatedRows: 'int', tables: 'list<string>', tablesWritten: 'list<string>',
  columns: 'list<string>', functions: 'list<string>', pure: 'bool', verbs: 'list<string>', parameters: 'dyn', transaction: 'string',
} as const

/** Each member is read when it is first looked at: most conditions look at one of many. */
class SqlFacts {
  readonly #facts: unknown
  readonly #read = new Map<string, unknown>()
  constructor(facts: unknown) {
    this.#facts = facts
  }
  static {
    for (const [field, type] of Object.entries(sqlFields)) Object.defineProperty(SqlFacts.prototype, field, { get(this: SqlFacts) { return this.#member(field, type) } })
  }
  #member(field: string, type: string): unknown {
    if (this.#read.has(field)) return this.#read.get(field)
    const value = memberOf(this.#facts, field, type)
    this.#read.set(field, value)
    return value
  }
}
class McpFacts extends ProtocolFacts {}

const httpFields = {
  method: 'string', path: 'string', host: 'string', scheme: 'string',
  query: 'map<string, list<string>>', headers: 'map<string, dyn>',
  json: 'dyn', form: 'map<string, list<string>>', contentType: 'string', bodyBytes: 'int', graphql: 'dyn',
  segments: 'list<string>', ambiguous: 'list<string>', upgrade: 'string',
} as const
const mcpFields = { server: 'string', method: 'string', tool: 'string', arguments: 'dyn', annotations: 'dyn', fingerprint: 'string' } as const

const principalFields = { issuer: 'string', subject: 'string', kind: 'string', email: 'string', groups: 'list<string>' } as const

/** Every fact there is, by type: what an expression is checked against when the policy is loaded. */
export const factTypes = {
  Principal: { type: PrincipalFacts, fields: principalFields },
  Caller: { type: CallerFacts, fields: { ...principalFields, clientId: 'string', claims: 'map<string, dyn>', onBehalfOf: 'list<Principal>', address: 'string', authenticatedAt: 'google.protobuf.Timestamp' } },
  Action: { type: ActionFacts, fields: { protocol: 'string', verb: 'string', effect: 'string', tags: 'list<string>', textLength: 'int', paths: 'list<string>', tables: 'list<string>', columns: 'list<string>', functions: 'list<string>', tools: 'list<string>' } },
  Service: { type: ServiceFacts, fields: { name: 'string', labels: 'map<string, string>' } },
  Http: { type: HttpFacts, fields: httpFields },
  Sql: { type: SqlFacts, fields: sqlFields },
  Mcp: { type: McpFacts, fields: mcpFields },
} as const

/** The facts of one decision, each made when a condition first asks for it. */
export class Facts {
  readonly #caller: Caller
  readonly #action: Action
  readonly #service: Service
  readonly #now: number
  #callerFacts: CallerFacts | undefined
  #actionFacts: ActionFacts | undefined
  #http: HttpFacts | undefined
  #sql: SqlFacts | undefined
  #size: number | undefined

  constructor(caller: Caller, action: Action, service: Service, now: number) {
    this.#caller = caller
    this.#action = action
    this.#service = service
    this.#now = now
  }

  get caller(): CallerFacts {
    return (this.#callerFacts ??= new CallerFacts(this.#caller))
  }
  get action(): ActionFacts {
    return (this.#actionFacts ??= new ActionFacts(this.#action))
  }
  get service(): ServiceFacts {
    return new ServiceFacts(this.#service)
  }
  get http(): HttpFacts {
    return (this.#http ??= new HttpFacts(this.#action.facts['http']))
  }
  get sql(): SqlFacts {
    return (this.#sql ??= new SqlFacts(this.#action.facts['sql']))
  }
  get mcp(): McpFacts {
    return new McpFacts(this.#action.facts['mcp'], mcpFields)
  }
  get now(): Date {
    return new Date(this.#now)
  }

  /** How large everything is that a loop could walk, measured once. */
  size(measure: (value: unknown, limit: number) => number, limit: number): number {
    return (this.#size ??= measure([this.#action.facts, this.#action.resources, this.#action.tags, this.#caller.groups, this.#caller.claims, this.#caller.onBehalfOf], limit))
  }
}
