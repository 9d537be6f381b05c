import { hash } from 'node:crypto'
import type { Action, ActionPattern, Digest } from '../../model/action.ts'
import { Refusal } from '../../model/refusal.ts'
import { actionOutline } from './action-outline.ts'
import { httpPattern } from './action-pattern.ts'
import { shapeOf } from './action-shape.ts'
import { actionText, isSecretHeader, type TextSource } from './action-text.ts'
import { type Body, readBody, requireJson } from './codec/body.ts'
import { parseContentType } from './codec/content.ts'
import { type GraphqlFacts, readGraphql } from './codec/graphql.ts'
import type { ForwardedHeaders } from './codec/headers.ts'
import { Bare } from './codec/json.ts'
import { checkMcpHeaders, readJsonRpc } from './codec/json-rpc.ts'
import { type Fields, parseFields } from './codec/query.ts'
import { segmentsOf, type Target } from './codec/target.ts'
import type { Cut } from '../../lib/visible.ts'
import { effectiveMethod } from './effective-method.ts'
import type { RouteOptions } from './options.ts'

/** The part of a route that says how to read its requests. */
export type ReadingRules = Pick<RouteOptions, 'jsonRpc' | 'graphql' | 'caseVariants' | 'methodOverride'>

/** A request as it would be forwarded, without its body. */
export interface HttpFrame {
  readonly service: string
  /** Where it goes: the upstream's origin and the addresses that its name may resolve to. */
  readonly upstream: { readonly id: string; readonly allowed: readonly string[] }
  readonly route: ReadingRules
  readonly method: string
  /** Where the request asks for a WebSocket, its verb is `http.websocket`, which no rule for ordinary requests names. */
  readonly upgrade?: 'websocket'
  /** As it will be sent: behind a stripped prefix. */
  readonly target: Target
  readonly host: string
  readonly scheme: 'http' | 'https'
  readonly headers: ForwardedHeaders
}

/** The bytes belong to the action from here on: nobody may write to them. */
export type HttpBody = { readonly bytes: Uint8Array } | 'streamed' | undefined

const reads: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

export const verbOf = ({ method, upgrade }: Pick<HttpFrame, 'method' | 'upgrade'>): string => (upgrade === undefined ? `http.${method}` : `http.${upgrade}`)

/** Whether this request cannot be understood without its body, whatever the policy says. */
export const mustReadBody = ({ route }: Pick<HttpFrame, 'route'>): boolean => route.jsonRpc || route.graphql || route.methodOverride.form !== undefined

/** One list for each verb; a method that nobody knows gets a list of its own each time. */
const alone = (verb: string): readonly string[] => {
  const known = lists.get(verb)
  if (known !== undefined) return known
  const list = Object.freeze([verb])
  if (lists.size < 64) lists.set(verb, list)
  return list
}
const lists = new Map<string, readonly string[]>()

/** Methods that make an intermediary do something else than forward. */
const notForwarded: ReadonlySet<string> = new Set(['CONNECT', 'TRACE', 'PRI'])

/**
 * What is asked, as one frozen value. Everything in it comes from the frame and the bytes that will be sent, so that
 * what is judged, what is shown, what is bound and what runs cannot differ. Throws a `Refusal` for what cannot be understood.
 */
export const makeHttpAction = (frame: HttpFrame, body: HttpBody, tagsOf: (path: string) => readonly string[]): Action => {
  const { service, method, target, host, headers, route, upgrade } = frame
  if (notForwarded.has(method)) throw new Refusal('malformed', 'This method is not forwarded.')
  const query = parseFields(target.query)
  const bytes = body === undefined || body === 'streamed' ? undefined : body.bytes
  if (body === 'streamed' && mustReadBody(frame)) throw new Error('a body was streamed that has to be read')
  const contentType = singleValue(headers.pairs, 'content-type')
  const content = bytes === undefined ? undefined : readBody(bytes, contentType, singleValue(headers.pairs, 'content-encoding'), route)
  const essence = contentType === undefined ? undefined : parseContentType(contentType).essence
  if (route.jsonRpc) checkJsonRpc(method, headers, content)
  const graphql = route.graphql && carriesGraphql(method, query.values, content)
    ? readGraphql({ method, essence, query, body: bytes, json: content?.kind === 'json' ? content.value : undefined, sha256: hexHash })
    : undefined
  const acts = route.methodOverride.form === undefined ? method : effectiveMethod(method, route.methodOverride.form, query, content)
  const verb = verbOf(upgrade === undefined ? { method: acts } : { method: acts, upgrade })
  const effect = upgrade === undefined && (graphql?.kind === 'query' || (reads.has(acts) && graphql === undefined)) ? 'read' : 'write'
  const bodyHash = bytes === undefined ? undefined : hash('sha256', bytes, 'hex')
  const given = tagsOf(target.path)
  const tags = Object.isFrozen(given) ? given : Object.freeze([...given])

  const sources: Sources = {
    text: { method, actsAs: acts, target: target.raw, host, headers: headers.bound, body: bytes === undefined || content === undefined ? (body === 'streamed' ? body : undefined) : { bytes, sha256: bodyHash ?? '', content } },
    facts: { frame, verb, method: acts, query, content, contentType: essence, graphql, bodyBytes: body === undefined ? 0 : bytes?.length },
    shown: undefined,
    known: undefined,
  }
  const action = {
    protocol: 'http' as const,
    service,
    verb,
    verbs: alone(verb),
    effect,
    resources: Object.freeze([Object.freeze({ kind: 'path' as const, name: target.path, access: effect, tags })]),
    tags,
    facts: Object.freeze(Object.defineProperty({ [made]: sources }, 'http', factsMember)),
    digest: digestOf(frame, verb, body === 'streamed' ? 'streamed' : bodyHash === undefined ? null : { bytes: bytes?.length ?? 0, sha256: bodyHash }),
    shape: shapeOf(service, verb, target.path, query.values, content),
    [made]: sources,
  }
  Object.defineProperty(action, 'text', textMember)
  Object.defineProperty(action, 'textCut', cutMember)
  Object.defineProperty(action, 'outline', outlineMember)
  Object.defineProperty(action, 'pattern', patternMember)
  return Object.freeze(action) as unknown as Action
}

/** What text and facts are made of, and both once they have been made. */
interface Sources {
  readonly text: TextSource
  readonly facts: FactSource
  shown: Cut | undefined
  known: Readonly<Record<string, unknown>> | undefined
}

interface Made {
  readonly [made]: Sources
}

const made = Symbol('made of')
const shown = (sources: Sources): Cut => (sources.shown ??= actionText(sources.text))

/*
 * Only what is held is shown, and few rules look inside: text and facts are made when somebody first asks. All they are made of is final.
 * They are members of their own, as everything that is stored has to be. All actions share these getters: with getters of its own
 * each action would be a dictionary, slow to make and to read. Others of its kind are looked for only where a rule lets them be granted.
 */
const textMember = { enumerable: true, get(this: Made) { return shown(this[made]).text } }
const cutMember = { enumerable: true, get(this: Made) { return shown(this[made]).cut } }
const outlineMember = { enumerable: true, get(this: Made) { return actionOutline(this[made].text) } }
const patternMember = { get(this: Made) { return patternFrom(this[made]) } }
const factsMember = { enumerable: true, get(this: Made) { return (this[made].known ??= httpFacts(this[made].facts)) } }

/** What nobody has read, and what is no request with an answer, has no others of its kind. */
const patternFrom = ({ text: { body }, facts: { frame, query, verb } }: Sources): ActionPattern | undefined => {
  const { service, upstream, route, method, target, host, headers, upgrade } = frame
  if (body === 'streamed' || upgrade !== undefined) return undefined
  const whole = route.jsonRpc || route.graphql
  const respelled = target.raw.split('?', 1)[0] !== target.path
  return httpPattern({
    service, upstream, method, verb, host, headers: headers.bound, raw: respelled ? target.raw : undefined,
    query: { text: target.query, fields: whole ? { values: query.values, ambiguities: ['repeated'] } : query },
    body: body && { content: body.content, sha256: body.sha256, bytes: body.bytes.length, whole: whole || headers.bound.some(isJsonPatch) },
  })
}

/** Its texts say what is done, and to what (RFC 6902). */
const isJsonPatch = ([name, value]: readonly [name: string, value: string]): boolean => name === 'content-type' && /^\s*application\/json-patch\+json\s*(?:;|$)/i.test(value)

const hexHash = (text: string): string => hash('sha256', text, 'hex')

/** `checkRequestHeaders` saw to it that there is no second one. */
const singleValue = (pairs: readonly string[], name: string): string | undefined => {
  for (let index = 0; index < pairs.length; index += 2) {
    const candidate = pairs[index] as string
    if (candidate.length === name.length && candidate.toLowerCase() === name) return pairs[index + 1]
  }
  return undefined
}

/** Calls are posted; what any other method would carry is for nobody. */
const checkJsonRpc = (method: string, headers: ForwardedHeaders, content: Body | undefined): void => {
  if (method === 'POST') return checkMcpHeaders(headers.pairs, readJsonRpc(requireJson(content ?? { kind: 'empty' })))
  if (content !== undefined && content.kind !== 'empty') throw new Refusal('malformed', 'JSON-RPC messages are sent by POST.')
}

/** On a GraphQL route everything is GraphQL but a preflight and the bare page that some servers show to browsers. */
const carriesGraphql = (method: string, query: Fields, content: Body | undefined): boolean => {
  if (method === 'OPTIONS') return false
  if (method === 'GET' || method === 'HEAD') return Object.keys(query).length > 0 || (content !== undefined && content.kind !== 'empty')
  return true
}

/**
 * SHA-256 over RFC 8785 JSON of what will run:
 *
 *     { body: null | "streamed" | { bytes, sha256 }, headers: [[name, value] …], host, method, service, target, upstream: { allowed, id }, v: 1, verb }
 */
export const digestOf = ({ service, upstream, method, target, host, headers }: HttpFrame, verb: string, body: null | 'streamed' | { readonly bytes: number; readonly sha256: string }): Digest => {
  const { allowed, id } = upstream
  // Members stand in the order that RFC 8785 asks for, and no value here has more than one JSON text.
  const text = JSON.stringify({ body, headers: headers.bound, host, method, service, target: target.raw, upstream: { allowed: allowed.length < 2 ? allowed : allowed.toSorted(), id }, v: 1, verb })
  return `sha256:${hash('sha256', text, 'hex')}`
}

interface FactSource {
  readonly frame: HttpFrame
  readonly verb: string
  readonly method: string
  readonly query: ReturnType<typeof parseFields>
  readonly content: Body | undefined
  readonly contentType: string | undefined
  readonly graphql: GraphqlFacts | undefined
  readonly bodyBytes: number | undefined
}

/** What rules may look at. What was not sent or not read is absent, and a rule that asks for it fails towards the safe side. */
const httpFacts = ({ frame, method, query, content, contentType, graphql, bodyBytes }: FactSource) => {
  const { target, host, scheme, headers, upgrade } = frame
  const parts: Parts = { pairs: headers.pairs, path: target.path, headers: undefined, segments: undefined }
  const facts: Record<string, unknown> & { readonly [partsOf]: Parts } = { method, path: target.path, host, scheme, query: query.values, ambiguous: query.ambiguities, [partsOf]: parts }
  Object.defineProperty(facts, 'headers', headersMember)
  Object.defineProperty(facts, 'segments', segmentsMember)
  if (contentType !== undefined) facts['contentType'] = contentType
  if (bodyBytes !== undefined) facts['bodyBytes'] = bodyBytes
  if (upgrade !== undefined) facts['upgrade'] = upgrade
  if (content?.kind === 'json') facts['json'] = frozen(content.value)
  if (content?.kind === 'form') {
    facts['form'] = content.fields.values
    facts['ambiguous'] = Object.freeze([...new Set([...query.ambiguities, ...content.fields.ambiguities])])
  }
  if (graphql !== undefined) facts['graphql'] = frozen({ ...graphql })
  return Object.freeze(facts)
}

/** Facts that few rules ask for, and what they are made of. */
interface Parts {
  readonly pairs: readonly string[]
  readonly path: string
  headers: Readonly<Record<string, readonly string[]>> | undefined
  segments: readonly string[] | undefined
}

interface InParts {
  readonly [partsOf]: Parts
}

const partsOf = Symbol('parts of')
const headersMember = { enumerable: true, get(this: InParts) { const parts = this[partsOf]; return (parts.headers ??= headerFacts(parts.pairs)) } }
const segmentsMember = { enumerable: true, get(this: InParts) { const parts = this[partsOf]; return (parts.segments ??= Object.freeze([...segmentsOf(parts.path)])) } }

/** All values by lower-case name; never a secret's. */
const headerFacts = (pairs: readonly string[]): Readonly<Record<string, readonly string[]>> => {
  const named = new Bare() as Record<string, string[]>
  for (let index = 0; index < pairs.length; index += 2) {
    const name = (pairs[index] as string).toLowerCase()
    if (isSecretHeader(name)) continue
    const list = named[name]
    if (list === undefined) named[name] = [pairs[index + 1] as string]
    else list.push(pairs[index + 1] as string)
  }
  for (const name in named) Object.freeze(named[name])
  return Object.freeze(named)
}

/** Nesting is bounded by the parser that made the value. */
const frozen = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const member of Object.values(value)) frozen(member)
  return Object.freeze(value)
}
