import { jwksUrl } from './issuers.ts'
import { issuerUrls, audience, tenants } from './principals.ts'

/* The default profile of README.md in the product's own words. */

export interface RuleSource {
  name: string
  then: 'allow' | 'hold' | 'deny'
  [key: string]: unknown
}

export interface PolicyFile {
  policy: string
  services: string[]
  rules: RuleSource[]
}

/** A configuration as data, before it is written down. */
export interface Profile {
  config: Record<string, unknown>
  policies: PolicyFile[]
  /** Tags by service. */
  classification: Record<string, unknown>
  /** Of the program's own log. */
  logLevel?: string
}

export interface Places {
  readonly stub: (name: string) => number
  readonly replica: string
  readonly store: Record<string, unknown>
}

const approvers = { groups: ['approvers'] }
/** Somebody else's action only: nobody releases what they ask for themselves. */
const glass = { 'break-glass': { who: { groups: ['admins'] }, reason: 20 } }
const within = { within: '15m', 'run-within': '10m' }

const appRules = (): RuleSource[] => [
  { name: 'public-read', then: 'allow', methods: ['GET', 'HEAD'], paths: ['/public/**'] },
  { name: 'public-echo', then: 'allow', methods: ['POST'], paths: ['/public/echo'], if: 'http.bodyBytes >= 0' },
  { name: 'search', then: 'allow', methods: ['GET'], paths: ['/search'], query: { role: ['user'] } },
  { name: 'lan', then: 'allow', methods: ['GET'], paths: ['/lan/**'], callers: { addresses: ['10.0.0.0/8'] } },
  { name: 'chat', then: 'allow', actions: ['http.websocket'], paths: ['/ws/chat'] },
  { name: 'graphql-query', then: 'allow', paths: ['/graphql'], if: "http.graphql.kind == 'query'" },
  { name: 'graphql-mutation', then: 'hold', paths: ['/graphql'], if: "has(http.graphql) && http.graphql.kind == 'mutation'", approval: { from: approvers, ...within } },
  { name: 'graphql-unknown', then: 'deny', paths: ['/graphql'], if: "has(http.graphql) && http.graphql.kind == 'unknown'" },
  { name: 'admin', then: 'hold', methods: ['POST', 'DELETE'], paths: ['/admin/**'], if: "!http.path.startsWith('/admin/dual/')", approval: { from: approvers, 'shares-people': true, ...within }, ...glass },
  { name: 'admin-critical', then: 'hold', methods: ['POST'], paths: ['/admin/critical/**'], approval: { from: approvers, count: 2, 'shares-people': true, ...within }, ...glass },
  { name: 'internal', then: 'deny', paths: ['/internal/**'] },
]

/** Two seats, and nobody sits on both. The wider rule leaves these paths to this one, or it would ask for a third person. */
const dualRule = (): RuleSource => ({ name: 'admin-dual', then: 'hold', methods: ['POST'], paths: ['/admin/dual/**'], approval: { from: [approvers, { groups: ['security'] }], ...within }, ...glass })

const call = (tool: string): string => `http.json.method == 'tools/call' && http.json.params.name == '${tool}'`

export const defaultProfile = (places: Places): Profile => ({
  config: {
    deployment: 'cases',
    replica: places.replica,
    data: './data',
    listeners: {
      http: { address: '127.0.0.1:0', timeouts: { headers: '5s', body: '5s', 'session-recheck': '5s' } },
      console: { address: '127.0.0.1:0', url: 'https://console.test' },
      admin: { address: '127.0.0.1:0' },
    },
    issuers: {
      'idp-a': issuer('idp-a', { delegation: { 'actor-issuers': ['idp-a'] } }),
      'idp-b': issuer('idp-b'),
      ci: { ...issuer('ci'), preset: 'github-actions', required: { repository_owner_id: '4711' }, issuer: undefined, 'token-types': undefined },
      cluster: { ...issuer('cluster'), preset: 'kubernetes' },
      dir: { ...issuer('dir'), preset: 'entra', tenants: [tenants['tenant-1']], issuer: undefined },
    },
    agents: {
      'svc-a': agent('u-svc-a', 'u-appr-a', 'workload'),
      'agent-a': agent('u-agent-a', 'u-req-a', 'agent'),
      'agent-appr-a': agent('u-agent-appr-a', 'u-appr-a', 'agent'),
    },
    groups: ['dev', 'approvers', 'approvers-other', 'security', 'admins', 'contractors'],
    people: { 'appr-a': [{ issuer: 'idp-a', subject: 'u-appr-a' }, { issuer: 'idp-a', subject: 'u-appr-a2' }] },
    services: {
      app: service('app', places, [{ host: 'app.test', upgrades: ['websocket'] }, { host: 'app.test', path: '/graphql', graphql: true }]),
      wide: service('wide', places, [{ host: 'wide.test' }]),
      api: service('app', places, [{ host: 'api.test', path: '/api', 'strip-prefix': true }]),
      files: service('files', places, [{ host: 'files.test' }]),
      grpc: service('grpc', places, [{ host: 'grpc.test' }]),
      mcp: service('mcp', places, [{ host: 'mcp.test', path: '/mcp', 'json-rpc': true }]),
    },
    policies: ['policies'],
    approvals: { keys: ['${env:CASES_KEY}'], 'open-per-caller': 20 },
    store: places.store,
    journal: { 'min-free': '1MiB' },
  },
  classification: {},
  policies: [
    { policy: 'app', services: ['app'], rules: [...appRules(), dualRule()] },
    { policy: 'api', services: ['api'], rules: [...appRules().filter(({ name }) => !name.startsWith('graphql')), dualRule()] },
    {
      policy: 'wide',
      services: ['wide'],
      rules: [
        { name: 'everything', then: 'allow', paths: ['/**'] },
        { name: 'admin', then: 'hold', methods: ['POST', 'DELETE'], paths: ['/admin/**'], approval: { from: approvers, ...within } },
        { name: 'internal', then: 'deny', paths: ['/internal/**'] },
      ],
    },
    { policy: 'files', services: ['files'], rules: [{ name: 'raw', then: 'allow', methods: ['GET'], paths: ['/raw/**'] }] },
    { policy: 'grpc', services: ['grpc'], rules: [{ name: 'calls', then: 'allow', paths: ['/**'] }, { name: 'admin', then: 'deny', paths: ['/pkg.Admin/*'] }] },
    {
      policy: 'mcp',
      services: ['mcp'],
      rules: [
        { name: 'talk', then: 'allow', methods: ['POST'], paths: ['/mcp'], if: "http.json.method in ['initialize', 'ping', 'tools/list']" },
        { name: 'read-item', then: 'allow', methods: ['POST'], paths: ['/mcp'], if: call('read_item') },
        { name: 'delete-item', then: 'hold', methods: ['POST'], paths: ['/mcp'], if: `has(http.json.params) && has(http.json.params.name) && ${call('delete_item')}`, approval: { from: approvers, ...within } },
        { name: 'drop-table', then: 'deny', methods: ['POST'], paths: ['/mcp'], if: `has(http.json.params) && has(http.json.params.name) && ${call('drop_table')}` },
      ],
    },
  ],
})

const issuer = (name: string, more: object = {}): Record<string, unknown> => ({
  issuer: issuerUrls[name],
  audiences: [audience],
  keys: { 'jwks-url': jwksUrl(name) },
  'clock-tolerance': '60s',
  ...(name === 'idp-a' || name === 'idp-b' ? { 'email-domains': ['corp.test'] } : {}),
  ...more,
})

const agent = (subject: string, owner: string, kind: string) => ({ issuer: 'idp-a', subject, kind, owner: { issuer: 'idp-a', subject: owner } })

const service = (stub: string, { stub: portOf }: Places, routes: object[]) => ({
  upstream: `http://127.0.0.1:${portOf(stub)}`,
  'connect-timeout': '5s',
  'headers-timeout': '5s',
  'body-timeout': '5s',
  routes: routes.map((route) => ({ hold: { wait: '50s' }, ...route })),
})
