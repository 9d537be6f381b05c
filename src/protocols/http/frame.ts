import type { Action } from '../../model/action.ts'
import type { Caller } from '../../model/caller.ts'
import { Refusal } from '../../model/refusal.ts'
import type { PolicySet } from '../../policy/policy-set.ts'
import { type HttpBody, type HttpFrame, makeHttpAction, mustReadBody, verbOf } from './action.ts'
import type { Assertions } from './assertion.ts'
import { forwardableHeaders, withOurHeaders } from './codec/headers.ts'
import { forwardingHeaders, identityHeaders } from './codec/identity-headers.ts'
import { parseTarget, stripPrefix, type Target } from './codec/target.ts'
import { writeKeptRequest } from './kept-request.ts'
import type { Entry } from './routes.ts'

/** A request as it would be forwarded. The action that is judged and the lines that are sent are both made from it, and from nothing else. */
export interface Frame {
  readonly verb: string
  readonly method: string
  /** As rules see it and as it is sent: behind a stripped prefix. */
  readonly target: Target
  /** The body has to be read, whatever the policy says. */
  readonly mustRead: boolean
  action(body: HttpBody): Action
  /** What makes this frame again without its client. Of the headers what is judged, and nothing that says who asks. */
  keep(body: Uint8Array | undefined, standing: string): Uint8Array
  /** The header lines to send, flat. A lent credential replaces every line of its name. */
  headers(caller: Caller, action: Action, credential: readonly (readonly [name: string, value: string])[], receipt?: string): string[]
}

export interface FrameSource {
  readonly entry: Entry
  readonly method: string
  readonly target: Target
  readonly host: string
  readonly rawHeaders: readonly string[]
  readonly address: string
  readonly upgrade: boolean
  readonly secure: boolean
  readonly policies: PolicySet
  readonly assertions: Assertions
  /** Claim name to header name. */
  readonly claimHeaders: Readonly<Record<string, string>>
}

/** The target behind the route's prefix, read by the route's own rules. */
const innerTarget = (target: Target, { route }: Entry): Target => {
  const rules = { encodedSlash: route.encodedSlash, maxBytes: target.raw.length + 1 }
  if (!route.stripPrefix) return route.encodedSlash === 'refuse' && target.raw.includes('%') ? parseTarget(target.raw, rules) : target
  const inner = stripPrefix(target, route.path, rules)
  if (inner === undefined) throw new Refusal('malformed', 'The path spells the prefix of its route in another way.')
  return inner
}

export const makeFrame = (source: FrameSource): Frame => {
  const { entry, method, host, upgrade, policies } = source
  const { route, service, rules, upstreamId } = entry
  const target = innerTarget(source.target, entry)
  const headers = forwardableHeaders(source.rawHeaders, rules)
  const scheme = source.secure ? 'https' : 'http'
  const http: HttpFrame = { service: service.name, upstream: upstreamId, route, method, target, host, scheme, headers, ...(upgrade ? { upgrade: 'websocket' as const } : {}) }
  return {
    verb: verbOf(http),
    method,
    target,
    mustRead: mustReadBody(http),
    action: (body) => makeHttpAction(http, body, (path) => policies.tagsOf(service.name, 'path', path)),
    keep: (body, standing) => writeKeptRequest({ method, target: source.target.raw, host, secure: source.secure, headers: headers.bound.flat(), audience: service.audience ?? '', standing, body }),
    headers(caller, action, credential, receipt) {
      const assertion = source.assertions.assertionFor(caller, service.name, Date.now())
      const ours = [
        'host', entry.upstream.origin.host,
        ...identityHeaders(caller, action, { assertion, claims: source.claimHeaders }),
        ...(receipt === undefined ? [] : ['x-countersign-receipt', receipt]),
        ...forwardingHeaders({ address: source.address, scheme, host }),
      ]
      // Nothing that the client may send has one of our own names: only a lent credential can meet one of its headers.
      if (credential.length === 0) return ours.concat(headers.pairs)
      for (const [name, value] of credential) ours.push(name, value)
      return withOurHeaders(headers.pairs, ours)
    },
  }
}
