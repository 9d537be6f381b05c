import { type ForwardRules, forwardRules } from './codec/headers.ts'
import type { HttpListenerOptions, HttpServiceOptions, RouteOptions } from './options.ts'
import { makeUpstream, upstreamKey, type Upstream } from './upstream.ts'

export interface Entry {
  readonly route: RouteOptions
  readonly service: HttpServiceOptions
  readonly upstream: Upstream
  /** What the digest says about the destination. */
  readonly upstreamId: { readonly id: string; readonly allowed: readonly string[] }
  readonly rules: ForwardRules
}

/** Which route a request takes. Built once for a configuration; a new configuration is a new table. */
export interface Routes {
  /** Routes for this host, longest path first; `undefined` when nothing here answers to that name. */
  forHost(host: string): readonly Entry[] | undefined
  readonly upstreams: readonly Upstream[]
}

/** `before`: upstreams that are there already. Those that are wanted again go on as they are, with the requests that are on their way to them. */
export const makeRoutes = (options: Pick<HttpListenerOptions, 'services' | 'claimHeaders'>, before: readonly Upstream[] = []): Routes => {
  const byHost = new Map<string, Entry[]>()
  const others: Entry[] = []
  const upstreams: Upstream[] = []
  // Headers in which we say what a claim says: a client cannot say them.
  const ours = Object.values(options.claimHeaders)
  for (const service of options.services) {
    const key = upstreamKey(service)
    const upstream = before.find((one) => one.key === key) ?? makeUpstream(service)
    upstreams.push(upstream)
    const upstreamId = { id: upstream.origin.origin, allowed: service.allowedCidrs }
    for (const route of service.routes) {
      const entry: Entry = { route, service, upstream, upstreamId, rules: forwardRules(route.unboundHeaders, ours) }
      if (route.host === undefined) others.push(entry)
      else byHost.set(route.host, [...(byHost.get(route.host) ?? []), entry])
    }
  }
  for (const entries of [...byHost.values(), others]) entries.sort((a, b) => b.route.path.length - a.route.path.length)
  return {
    forHost: (host) => byHost.get(host) ?? (others.length === 0 ? undefined : others),
    upstreams,
  }
}

/** The longest prefix that ends where a segment ends. */
export const entryFor = (entries: readonly Entry[], path: string): Entry | undefined => entries.find(({ route }) => covers(route.path, path))

const covers = (prefix: string, path: string): boolean => {
  if (prefix === '/') return true
  const bare = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix
  return path.startsWith(bare) && (path.length === bare.length || path.charCodeAt(bare.length) === 47)
}
