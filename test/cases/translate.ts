import { parseDocument } from 'yaml'
import { nearest } from '../../src/lib/nearest.ts'
import { isTree, list, type Tree } from './loader.ts'
import { pending } from './outcome.ts'
import type { PolicyFile, Profile, RuleSource } from './profile.ts'
import { issuerUrls, people, tenants, userOf } from './principals.ts'

/* From the cases' illustrative syntax to ours. What is not known here makes its case pending; nothing is left out in silence. */

type Mutable = Record<string, unknown>

/** The value at a path, objects made on the way. */
export const put = (root: Mutable, path: readonly (string | number)[], value: unknown): void => {
  let at = root
  for (const key of path.slice(0, -1)) at = (at[key] ??= {}) as Mutable
  at[path.at(-1) ?? ''] = value
}

const get = (root: unknown, ...path: readonly (string | number)[]): unknown => path.reduce<unknown>((at, key) => (at as Mutable | undefined)?.[key], root)

/** `PT15M` as `15m`. */
/** To whom holds escalate, where a case says when. */
export const escalationGroup = 'security'

export const duration = (text: unknown): string => {
  const [, days, hours, minutes, seconds] = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/.exec(String(text)) ?? pending(`no duration: ${String(text)}`)
  return `${days ? `${days}d` : ''}${hours ? `${hours}h` : ''}${minutes ? `${minutes}m` : ''}${seconds ? `${seconds}s` : ''}` || '0s'
}

/** A deadline that real time has to reach. Two seconds show as much as more, and are longer than the second between two bytes of a slow sender. */
export const patience = (text: unknown): string => (Number.parseFloat(duration(text)) > 2 && duration(text).endsWith('s') ? '2s' : duration(text))

/** `+PT14M59.999S` in milliseconds. */
export const shiftOf = (text: unknown): number => {
  const [, sign, hours, minutes, seconds] = /^([+-])PT(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?$/.exec(String(text)) ?? pending(`no clock shift: ${String(text)}`)
  return (sign === '-' ? -1 : 1) * ((Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * 60 + Number(seconds ?? 0)) * 1_000
}

const serviceOfHost: Readonly<Record<string, string>> = { 'app.test': 'app', 'wide.test': 'wide', 'api.test': 'api', 'files.test': 'files', 'grpc.test': 'grpc', 'mcp.test': 'mcp' }

const routesOf = (profile: Profile, service?: string): Mutable[] =>
  Object.entries(profile.config['services'] as Record<string, Mutable>).filter(([name]) => service === undefined || name === service).flatMap(([, { routes }]) => routes as Mutable[])

const everyIssuer = (profile: Profile, path: readonly string[], value: unknown): void => {
  for (const issuer of Object.values(profile.config['issuers'] as Record<string, Mutable>)) put(issuer, path, value)
}

/** The issuer's tokens say nothing; it is asked what they stand for, and again before a vote counts. */
export const askAboutTokens = ({ config }: Profile): void => put(config, ['issuers', 'idp-a', 'introspection'], { url: 'https://idp-a.test/introspect', 'client-id': 'countersign', 'client-secret': '${env:CASES_SECRET}', 'opaque-tokens': true, recheck: true })

const settings: Readonly<Record<string, (profile: Profile, value: unknown) => void>> = {
  /** The journal is the buffer, and the disk its bound: `buffer_bytes` has no setting of its own. */
  audit: ({ config }, value) => {
    const { required, buffer_bytes: _bound, ...rest } = value as Tree
    if (Object.keys(rest).length > 0) pending(`no setting of the audit is called ${Object.keys(rest)[0]} here`)
    if (required === true) put(config, ['audit', 'required'], { read: 'local+sink', write: 'local+sink', held: 'local+sink', within: '3s' })
  },
  // Any session may announce a plan: nothing has to be configured for that.
  plan_mode: () => {},
  // A channel, arranged with the stub that it leads to.
  advisory_model: () => {},
  trusted_proxies: ({ config }, value) => put(config, ['listeners', 'http', 'trusted-proxies'], value),
  inspect_body_bytes: (profile, value) => { for (const route of routesOf(profile)) route['inspect-body'] = `${String(value)}B` },
  token_clock_skew: (profile, value) => everyIssuer(profile, ['clock-tolerance'], duration(value)),
  jwks_cooldown: (profile, value) => everyIssuer(profile, ['jwks', 'cooldown'], duration(value)),
  jwks_ttl: (profile, value) => {
    // The key that is gone must be gone when the time is over: nothing stale is used beyond it.
    everyIssuer(profile, ['jwks', 'max-age'], duration(value))
  },
  jwks_max_stale: (profile, value) => everyIssuer(profile, ['jwks', 'max-stale'], duration(value)),
  jwks_max_bytes: (profile, value) => everyIssuer(profile, ['jwks', 'max-size'], `${String(value)}B`),
  jwt_bytes: ({ config }, value) => put(config, ['limits', 'token'], `${String(value)}B`),
  session_recheck: ({ config }, value) => {
    put(config, ['listeners', 'http', 'timeouts', 'session-recheck'], duration(value))
    // An issuer that can end a session says so when it is asked.
    put(config, ['issuers', 'idp-a', 'introspection'], { url: 'https://idp-a.test/introspect', 'client-id': 'countersign', 'client-secret': '${env:CASES_SECRET}' })
  },
  /** Who was told no may ask again; whoever is asked sees the no. */
  reject_cooldown: () => {},
  log_level: (profile, value) => void (profile.logLevel = String(value)),
  header_timeout: ({ config }, value) => put(config, ['listeners', 'http', 'timeouts', 'headers'], patience(value)),
  body_timeout: ({ config }, value) => put(config, ['listeners', 'http', 'timeouts', 'body'], patience(value)),
  // One deadline for everything before a request: the TLS handshake has that of the headers.
  handshake_timeout: ({ config }, value) => put(config, ['listeners', 'http', 'timeouts', 'headers'], patience(value)),
  holds_per_principal: ({ config }, value) => put(config, ['approvals', 'open-per-caller'], value),
  max_held_connections: ({ config }, value) => put(config, ['approvals', 'waiting'], value),
  // A wait is measured by a clock that nobody can shift: it is made short instead, and the step that shifts the clock waits it out.
  sync_hold_max: (profile) => { for (const route of routesOf(profile)) put(route, ['hold', 'wait'], '1s') },
  hold_max: (profile, value) => { for (const rule of profile.policies.flatMap(({ rules }) => rules)) if (rule.then === 'hold') put(rule, ['approval', 'within'], duration(value)) },
  /**
   * A token is all the session there is; what it stands for is asked again within a minute, so five are kept anyway.
   * The case takes it for granted that membership in `dev` is what opens /public/**; here a rule says so.
   */
  claims_refresh: (profile) => {
    askAboutTokens(profile)
    for (const rule of profile.policies.find(({ policy }) => policy === 'app')?.rules ?? []) if (rule.name === 'public-read') put(rule, ['callers', 'groups'], ['dev'])
  },
  // What these ask for is how it always is.
  recheck_votes_at_quorum: (_profile, value) => void (value === true || pending('votes are always checked again when they are counted')),
  on_token_expiry_while_held: (_profile, value) => void (value === 'refuse' || pending('an expired token is always refused at release')),
  claim_headers: ({ config }, value) => {
    put(config, ['listeners', 'http', 'claim-headers'], value)
    put(config, ['issuers', 'idp-a', 'claims'], Object.fromEntries(Object.keys(value as Tree).map((claim) => [claim, claim])))
  },
  issuers: ({ config }, value) => {
    for (const [name, change] of Object.entries(value as Record<string, Tree>))
      for (const [key, given] of Object.entries(change)) {
        if (key === 'algorithms') put(config, ['issuers', name, 'algorithms'], given)
        else if (key === 'tenants') put(config, ['issuers', name, 'tenants'], list(given).map((tenant) => tenants[String(tenant)] ?? tenant))
        else pending(`no setting of an issuer is called ${key} here`)
      }
  },
  // Approvers are accounts or groups; an address is nobody, so there is nothing that could be configured.
  approvers: (_profile, value) => void (list(value).every((who) => String(who).includes('@')) || pending('approvers are named in rules')),
  routes: ({ config }, value) => {
    for (const [host, route] of Object.entries(value as Record<string, Tree>))
      for (const [key, given] of Object.entries(route)) {
        if (key !== 'audience') pending(`no setting of a route is called ${key} here`)
        put(config, ['services', serviceOfHost[host] ?? pending(`no host ${host}`), 'audience'], given)
      }
    const audiences = Object.values(value as Record<string, Tree>).flatMap(({ audience }) => list(audience))
    put(config, ['issuers', 'idp-a', 'audiences'], [...new Set(['countersign-test', ...audiences])])
  },
  introspection: ({ config }, value) => {
    if ((value as Tree)['issuer'] !== issuerUrls['idp-a']) pending('introspection at that issuer')
    const jwks = String(get(config, 'issuers', 'idp-a', 'keys', 'jwks-url'))
    put(config, ['issuers', 'idp-a', 'introspection'], { url: jwks.replace(/jwks$/, 'introspect'), 'client-id': 'countersign', 'client-secret': '${env:CASES_SECRET}', 'opaque-tokens': true })
  },
  escalate_after: ({ policies }, value) => {
    for (const rule of policies.flatMap(({ rules }) => rules)) if (rule.then === 'hold') put(rule, ['approval', 'escalate'], { after: duration(value), to: { groups: [escalationGroup] } })
  },
  workload_allow: ({ config }, value) => put(config, ['issuers', 'ci', 'required', 'sub'], value),
  outbound: ({ config }, value) => put(config, ['outbound', 'hosts'], [...new Set([...list((value as Tree)['hosts']), ...Object.keys(issuerUrls).map((name) => `${name}.test`)])]),
  upstreams: ({ config }, value) => {
    for (const [name, upstream] of Object.entries(value as Record<string, Tree>)) {
      const { host, allowed_cidr: allowed, ...rest } = upstream
      if (Object.keys(rest).length > 0) pending(`no setting of an upstream is called ${Object.keys(rest)[0]} here`)
      const before = String(get(config, 'services', name, 'upstream'))
      if (host !== undefined) put(config, ['services', name, 'upstream'], before.replace('127.0.0.1', String(host)))
      if (allowed !== undefined) put(config, ['services', name, 'allowed-addresses'], allowed)
    }
  },
}

export const applySettings = (profile: Profile, given: unknown): void => {
  if (given === undefined) return
  for (const [key, value] of Object.entries(given as Tree)) {
    const service = serviceOfHost[key]
    if (service !== undefined) {
      for (const [name, one] of Object.entries(value as Tree)) {
        if (name !== 'encoded_slash') pending(`no setting of a host is called ${name} here`)
        for (const route of routesOf(profile, service)) route['encoded-slash'] = one
      }
      continue
    }
    const apply = Object.hasOwn(settings, key) ? settings[key] : undefined
    if (apply === undefined) pending(`no setting is called ${key} here`)
    else apply(profile, value)
  }
}

const effects: Readonly<Record<string, string>> = { allow: 'allow', deny: 'deny', approve: 'hold' }

const celText = (value: unknown): string => (typeof value === 'string' ? `'${value.replace(/[\\']/g, '\\$&')}'` : String(value))

/** Issuer names, groups, subjects, e-mail domains: who a rule is for. Emptiness is kept as it stands. */
const callersOf = (principal: Tree, profile: Profile): Mutable => {
  const callers: Mutable = {}
  for (const [key, value] of Object.entries(principal)) {
    if (key === 'group') callers['groups'] = list(value)
    else if (key === 'groups') callers['groups'] = value
    else if (key === 'iss') callers['issuers'] = list(value)
    else if (key === 'sub') callers['subjects'] = list(value)
    else if (key === 'email_domain') {
      callers['email-domains'] = [value]
      if (value !== '') put(profile.config, ['issuers', 'idp-a', 'email-domains'], ['corp.test', value])
    } else pending(`a rule cannot ask for the principal's ${key} here`)
  }
  return callers
}

const approvalOf = (rule: Tree): Mutable => {
  const { approvers, need, factor, channels } = rule
  const from = (one: unknown): Mutable => {
    if (!isTree(one)) return pending('approvers are not named')
    return { ...('group' in one ? { groups: list(one['group']) } : {}), ...('users' in one ? { users: list(one['users']).map((user) => ({ issuer: 'idp-a', subject: people[String(user)] ? userOf(String(user)) : String(user) })) } : {}) }
  }
  if (factor !== undefined) pending('approval by passkey is not there yet')
  const approval: Mutable = { from: Array.isArray(approvers) ? approvers.map(from) : approvers === undefined ? undefined : from(approvers), within: '15m', 'run-within': '10m', ...(factor === undefined ? {} : { assurance: factor === 'webauthn' ? 'passkey' : pending(`no factor is called ${String(factor)} here`) }) }
  if (need !== undefined) approval['count'] = need
  // What comes by a chat alone is as sure as a chat.
  if (channels !== undefined) Object.assign(approval, { channels: list(channels), ...(list(channels).every((channel) => channel === 'slack' || channel === 'teams') ? { assurance: 'chat' } : {}) })
  return approval
}

const known = ['effect', 'method', 'methods', 'path', 'path_regex', 'query', 'source_ip', 'principal', 'body_json', 'method_override', 'approvers', 'need', 'factor', 'channels', 'websocket', 'inspect_body']

/** One rule. `typos`: a key that is nearly one of ours is kept as it stands, because that is what the case is about. */
export const ruleOf = (source: Tree, name: string, profile: Profile, typos = false): RuleSource => {
  const rule: Mutable = { name }
  for (const [key, value] of Object.entries(source)) {
    if (known.includes(key)) continue
    if (!typos || nearest(key, known) === undefined) pending(`a rule has no ${key} here`)
    rule[key] = value
  }
  const { effect } = source
  if (effect !== undefined) rule['then'] = typeof effect === 'string' ? (effects[effect] ?? effect) : Array.isArray(effect) ? effect.map((one) => effects[String(one)] ?? one) : effect
  if ('method' in source) rule['methods'] = list(source['method'])
  if ('methods' in source) rule['methods'] = source['methods']
  if ('path' in source) rule['paths'] = list(source['path'])
  if ('path_regex' in source) rule['path-regex'] = list(source['path_regex'])
  if (isTree(source['query'])) rule['query'] = Object.fromEntries(Object.entries(source['query']).map(([key, value]) => [key, list(value)]))
  if (source['websocket'] === true) {
    rule['actions'] = ['http.websocket']
    delete rule['methods']
  }
  const callers: Mutable = isTree(source['principal']) ? callersOf(source['principal'], profile) : {}
  if ('source_ip' in source) callers['addresses'] = list(source['source_ip'])
  if ('principal' in source || 'source_ip' in source) rule['callers'] = callers
  const conditions = Object.entries((source['body_json'] as Tree | undefined) ?? {}).map(([key, value]) => `has(http.json.${key}) && http.json.${key} == ${celText(value)}`)
  if (conditions.length > 0) rule['if'] = `has(http.json) && ${conditions.join(' && ')}`
  else if (source['inspect_body'] === true) rule['if'] = 'http.bodyBytes >= 0'
  if (source['method_override'] === 'body') overrideRoute(profile, source)
  else if ('method_override' in source) pending('a method override of that kind')
  if ('factor' in source) put(profile.config, ['listeners', 'console', 'sign-in'], { issuer: 'idp-a', 'client-id': 'countersign' }) // who signs does so there
  if (effect === 'approve' || 'approvers' in source) rule['approval'] = approvalOf(source)
  return rule as RuleSource
}

/** Where the upstream lets a form field change the method, the route says so. */
const overrideRoute = (profile: Profile, { path }: Tree): void => {
  const routes = get(profile.config, 'services', 'app', 'routes') as Mutable[]
  routes.push({ host: 'app.test', path: String(path).replace(/\/\*\*$/, ''), 'method-override': { form: '_method' }, hold: { wait: '50s' } })
}

export const applyRules = (profile: Profile, rules: unknown): void => {
  if (rules === undefined) return
  const app = profile.policies.find(({ policy }) => policy === 'app') as PolicyFile
  app.rules.push(...list(rules).map((rule, index) => ruleOf(rule as Tree, `case-${index + 1}`, profile)))
}

/** A configuration text of a case, in our syntax: the profile with the change, or one more policy file as text. */
export const applyConfigText = (profile: Profile, text: string): { readonly file?: string } => {
  const document = parseDocument(text, { version: '1.2', uniqueKeys: true })
  const plain = document.errors.length === 0 && document.warnings.length === 0 && !/[&*][a-z]|<<:|!!|^---/m.test(text)
  if (!plain || ('principal' in (firstRule(document.toJS()) ?? {}) && /\b0\d+|: no\b/.test(text))) return { file: rewritten(text) }
  const value: unknown = document.toJS()
  if (!isTree(value)) return { file: rewritten(text) }
  for (const [key, given] of Object.entries(value)) {
    if (key === 'rules') {
      const rules = list(given).map((rule, index) => ruleOf(rule as Tree, `case-${index + 1}`, profile, true))
      const app = profile.policies.find(({ policy }) => policy === 'app') as PolicyFile
      app.rules.push(...rules)
    } else if (key === 'trusted_proxies') settings['trusted_proxies']?.(profile, given)
    else if (key === 'issuers') list(given).forEach((one) => applyIssuer(profile, one as Tree))
    else if (key === 'admin') applyAdmin(profile, given as Tree)
    else if (key === 'channels') applyChannels(profile, given as Tree)
    else pending(`no part of the configuration is called ${key} here`)
  }
  return {}
}

const firstRule = (value: unknown): Tree | undefined => {
  const rule = isTree(value) ? list(value['rules'])[0] : undefined
  return isTree(rule) ? rule : undefined
}

const applyIssuer = (profile: Profile, source: Tree): void => {
  const name = Object.entries(issuerUrls).find(([, url]) => url === source['issuer'])?.[0] ?? pending('an issuer outside the profile')
  const before = get(profile.config, 'issuers', name) as Mutable
  const { audience, algorithms, jwks_uri: uri, issuer: _issuer, ...rest } = source
  if (Object.keys(rest).length > 0) pending(`no setting of an issuer is called ${Object.keys(rest)[0]} here`)
  if (audience === undefined) delete before['audiences']
  else before['audiences'] = list(audience)
  if (algorithms !== undefined) before['algorithms'] = algorithms
  if (uri !== undefined) before['keys'] = { 'jwks-url': uri }
}

const applyAdmin = ({ config }: Profile, source: Tree): void => {
  const { listen, auth, ...rest } = source
  if (Object.keys(rest).length > 0 || (auth !== undefined && auth !== 'none')) pending('that setting of the admin listener')
  put(config, ['listeners', 'admin', 'address'], listen)
}

/** What calls out by HTTP today is a sink; its URL passes the same check. */
const applyChannels = ({ config }: Profile, source: Tree): void => {
  const { webhook, ...rest } = source
  if (!isTree(webhook) || Object.keys(rest).length > 0 || Object.keys(webhook).join() !== 'url') pending('that channel')
  put(config, ['sinks', 'hook'], { kind: 'http', url: (webhook as Tree)['url'] })
}

/** Line by line, so that what is odd about the text stays as odd as it was. */
const rewritten = (text: string): string => {
  let count = 0
  const body = text
    .replace(/^([ \t]*- )effect:/gm, (_, lead: string) => `${lead}name: case-${++count}\n${lead.replace('-', ' ')}then:`)
    .replace(/\beffect:/g, 'then:')
    .replace(/^(\s*)method: (\S+)$/gm, '$1methods: [$2]')
    .replace(/^(\s*)path: (\S+)$/gm, '$1paths: ["$2"]')
    .replace(/principal: \{ country: no \}/, 'callers: { subjects: [no] }')
    .replace(/principal: \{ badge: 0123 \}/, 'callers: { subjects: [0123] }')
    .replace(/^(\s*)- <<: \*(\w+)$/gm, '$1- <<: *$2\n$1  name: case-merge')
  const head = 'policy: case\nservices: [app]\n'
  return body.startsWith('---') ? body.replaceAll(/^---\n/gm, `---\n${head}`) : head + body
}
