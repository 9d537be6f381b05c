import { createHash } from 'node:crypto'
import type { Action } from '../../model/action.ts'
import type { Caller } from '../../model/caller.ts'
import { Refusal } from '../../model/refusal.ts'
import type { PolicySet } from '../../policy/policy-set.ts'
import type { Assertions } from './assertion.ts'
import { forwardableHeaders } from './codec/headers.ts'
import { forwardingHeaders, identityHeaders } from './codec/identity-headers.ts'
import { parseTarget, segmentsOf, stripPrefix, type Target } from './codec/target.ts'
import type { Entry } from './routes.ts'

export type BodyView = { readonly bytes: Buffer } | 'streamed' | undefined

/** A request as it would be forwarded, before anybody decided. Frozen in meaning: action and outgoing headers come from the same values. */
export interface Frame {
  readonly verb: string
  readonly method: string
  readonly target: Target
  readonly forwarded: string
  action(body: BodyView): Action
  headers(caller: Caller, action: Action, credential: readonly (readonly [name: string, value: string])[]): string[]
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
  readonly claimHeaders: Readonly<Record<string, string>>
}

/** Names that carry our own statements in configuration-given headers: a client cannot say them. */
const claimNames = (headers: Readonly<Record<string, string>>): ReadonlySet<string> | undefined => {
  const names = Object.values(headers)
  return names.length === 0 ? undefined : new Set(names.map((name) => name.toLowerCase()))
}

export const makeFrame = (source: FrameSource): Frame => {
  const { entry, method, target, host, upgrade } = source
  const { route, service } = entry
  if (route.encodedSlash === 'refuse') parseTarget(target.raw, { encodedSlash: 'refuse', maxBytes: target.raw.length })
  const inner = route.stripPrefix ? stripPrefix(target, route.path, { encodedSlash: route.encodedSlash, maxBytes: target.raw.length }) : target
  if (inner === undefined) throw new Refusal('malformed', 'The path spells the prefix of its route in another way.')
  const drop = claimNames(source.claimHeaders)
  const { pairs, bound } = forwardableHeaders(source.rawHeaders, { ...(drop ? { drop } : {}), unbound: new Set(route.unboundHeaders) })
  const verb = upgrade ? 'http.websocket' : `http.${method}`
  return {
    verb,
    method,
    target: inner,
    forwarded: inner.raw,
    action(body) {
      const hash = createHash('sha256')
      hash.update(JSON.stringify([service.name, service.upstream, service.allowedCidrs, verb, host, inner.raw, bound, body === undefined ? null : body === 'streamed' ? 'streamed' : createHash('sha256').update(body.bytes).digest('hex')]))
      const tags = source.policies.tagsOf(service.name, 'path', inner.path)
      const effect = method === 'GET' || method === 'HEAD' ? 'read' : 'write'
      return {
        protocol: 'http', service: service.name, verb, effect, resources: [{ kind: 'path', name: inner.path, access: effect, tags }], tags, text: `${method} ${inner.raw}`, textCut: false,
        facts: { http: { method, host, path: inner.path, segments: segmentsOf(inner.path) } }, digest: `sha256:${hash.digest('hex')}`, shape: `${service.name} ${verb}`,
      }
    },
    headers(caller, action, credential) {
      const flat = ['host', entry.upstream.origin.host, ...pairs]
      flat.push(...identityHeaders(caller, action, { assertion: source.assertions.assertionFor(caller, service.name, Date.now()), claims: source.claimHeaders }))
      flat.push(...forwardingHeaders({ address: source.address, scheme: source.secure ? 'https' : 'http', host }))
      if (credential.length === 0) return flat
      const lent = new Set(credential.map(([name]) => name.toLowerCase()))
      const kept: string[] = []
      for (let n = 0; n + 1 < flat.length; n += 2) if (!lent.has((flat[n] as string).toLowerCase())) kept.push(flat[n] as string, flat[n + 1] as string)
      for (const [name, value] of credential) kept.push(name, value)
      return kept
    },
  }
}
