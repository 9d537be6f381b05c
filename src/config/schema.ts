import { z } from 'zod'
import { channel } from './channel-schema.ts'
import { count, duration, durationOrNone, flag, name, path, remote, secret, secretFile, size, text, texts, tls } from './fields.ts'
import { issuer } from './issuer-schema.ts'
import { adminListener, consoleListener, httpListener } from './listener-schema.ts'
import { postgresListener, postgresService } from './postgres-schema.ts'
import { sink } from './sink-schema.ts'

/* The shape of countersign.yaml. What cannot be said by shape is checked where the options are made. */

const account = z.strictObject({ issuer: text('Short name of the issuer, or an exact `iss`.'), subject: text('The subject there.') })

const agent = z
  .strictObject({
    issuer: text('Short name of the issuer, or an exact `iss`.'),
    subject: text('Subject or client id there.'),
    kind: z.enum(['agent', 'workload']).default('agent').describe('An agent decides by itself what it does; a workload does what it was written for.'),
    owner: account.describe('The person who answers for it, and who can never approve what it asks for.'),
    groups: texts('Its groups, beside those in its token.').default([]),
  })
  .describe('A registered agent or service account.')

const route = z
  .strictObject({
    host: text('Host name, without a port. Absent: every host that no other route names.').optional(),
    path: text('Prefix of whole segments; / is everything.').default('/'),
    'strip-prefix': flag('The upstream sees the path without this prefix.', false),
    'encoded-slash': z.enum(['refuse', 'keep']).default('refuse').describe('What to do with %2F in a path.'),
    'inspect-body': size('Longest body that is read for a rule or a hold; a longer one is refused.', '1MiB', 67_108_864),
    'max-body': size('Longest body that is streamed.', '100MiB', 107_374_182_400),
    'json-rpc': flag('Bodies are JSON-RPC.', false),
    graphql: flag('Bodies are GraphQL operations.', false),
    'case-variants': z.enum(['refuse', 'allow']).default('refuse').describe('JSON keys of one object that differ only in case.'),
    'method-override': z.strictObject({ form: text('Form field, query key or header.').optional() }).default({}).describe('By what the upstream lets a POST become another method.'),
    'unbound-headers': texts('Headers that may differ between what was approved and a repeat of it.').default([]),
    upgrades: z.array(z.enum(['websocket'])).default([]).describe('Protocol upgrades that may pass.'),
    hold: z
      .strictObject({
        wait: durationOrNone('How long a connection is kept waiting for an approval.', '50s'),
        'pending-status': z.literal([503, 409, 403]).default(503).describe('Status of the answer when we stop waiting.'),
      })
      .prefault({})
      .describe('What waiting looks like here.'),
    errors: z.enum(['problem', 'openai', 'anthropic']).default('problem').describe("Adds a provider's own error shape to refusals."),
  })
  .describe('Which requests belong to the service.')

const credential = z
  .strictObject({
    bearer: secret('Bearer token.').optional(),
    'bearer-file': secretFile('bearer').optional(),
    header: text('Name of the header that carries `value`.').optional(),
    value: secret('Value of the header.').optional(),
    'value-file': secretFile('value').optional(),
    basic: z.strictObject({ user: text('User name.'), password: secret('Password.').optional(), 'password-file': secretFile('password').optional() }).optional().describe('User and password.'),
  })
  .describe('How we log in upstream: one of bearer, header with value, basic.')

const httpService = z
  .strictObject({
    protocol: z.literal('http').optional().transform(() => 'http' as const).describe('An HTTP API. This is what a service speaks that does not say it.'),
    upstream: text('Origin: scheme, host and port.'),
    labels: z.record(name, text('Value.')).default({}).describe('What policies can select it by: environment, owner, compliance.'),
    'allowed-addresses': texts('Address ranges that the name of the upstream may resolve to. Empty: any.').default([]),
    'ca-file': path('PEM file with the certificate authority of the upstream.').optional(),
    audience: text('Tokens must carry this audience, beside being valid at their issuer.').optional(),
    connections: count('Connections to the upstream. Four times as many requests wait for a free one, for the connect timeout; an action with an approval of its own waits in any number, for an answer\'s time longer.', 256, 1, 65_536),
    'connect-timeout': duration('For a connection.', '5s'),
    'headers-timeout': duration('For the head of an answer.', '60s'),
    'body-timeout': duration('Between two parts of an answer.', '5m'),
    routes: z.array(route).min(1, 'a service without routes cannot be reached; leave routes out for all requests').max(1_000).default(() => [route.parse({})]).meta({ default: [{}] }).describe('Which requests belong to it. Default: all.'),
    credential: credential.optional(),
  })
  .describe('A protected HTTP API.')

const service = z.discriminatedUnion('protocol', [httpService, postgresService]).describe('A protected upstream.')

const embedded = z.strictObject({ kind: z.literal('embedded').describe('In a file of this replica.'), path: path('Database file. Default: holds.db in the data folder.').optional() })
const redis = z.strictObject({
  kind: z.literal('redis').describe('In Redis, shared by all replicas.'),
  url: z.unknown().optional().meta({ type: 'string', description: 'A single Redis: redis://host:6379/0, rediss:// for TLS. A password only as a reference.' }),
  'url-file': secretFile('url').optional(),
  sentinel: z.strictObject({ nodes: z.array(remote).min(1).describe('Sentinels, host:port.'), name: text('Name of the group.'), 'sentinel-password': secret('Password of the sentinels.').optional(), 'sentinel-password-file': secretFile('sentinel-password').optional() }).optional().describe('A primary that sentinels name.'),
  cluster: z.strictObject({ nodes: z.array(remote).min(1).describe('Some nodes, host:port.') }).optional().describe('A cluster.'),
  password: secret('Password, for sentinel and cluster.').optional(),
  'password-file': secretFile('password').optional(),
  tls: flag('TLS, for sentinel and cluster: to the sentinels as well.', false),
  'ca-file': path('PEM file with the authority of the certificates of Redis and its sentinels. Default: those that the system knows.').optional(),
  'client-certificate': tls('The certificate that we show to Redis and its sentinels.'),
  prefix: text('Prefix of every key.').default('countersign'),
  'acknowledging-replicas': count('Replicas that must have acknowledged before a hold counts as spent.', 0, 0, 10),
})
const store = z.discriminatedUnion('kind', [embedded, redis]).prefault({ kind: 'embedded' }).describe('Where holds live.')

const durability = (description: string, standard: 'queued' | 'written' | 'synced') => z.enum(['queued', 'written', 'synced']).default(standard).describe(description)

const percent = (description: string, standard: number) => count(description, standard, 1, 100)

const reach = (description: string) => z.enum(['local', 'local+sink', 'local+witness']).default('local').describe(description)

const journal = z
  .strictObject({
    directory: path('Its folder. Default: journal in the data folder.').optional(),
    durability: z
      .strictObject({ read: durability('For actions that only read.', 'written'), write: durability('For actions that change something.', 'synced'), held: durability('For actions that were approved.', 'synced') })
      .prefault({})
      .describe('How safe a record must be before its action runs: queued in memory, written to the operating system, synced to the disk.'),
    'segment-size': size('A file is closed at this size.', '64MiB', 4_294_967_296),
    'min-free': size('With less free space nothing runs.', '256MiB', 109_951_162_777_600),
    'disk-marks': z
      .strictObject({
        warn: percent('It is said, on record and in the log.', 80),
        alert: percent('It is said again.', 90),
        'deny-changes': percent('What changes something, or would have to be held, is refused.', 95),
        'deny-all': percent('Nothing runs, and the replica is not ready.', 99),
      })
      .prefault({})
      .describe('How much of its disk may be used, in percent, whoever uses it.'),
  })
  .prefault({})
  .describe('The one ordered record of this replica.')

const approvals = z
  .strictObject({
    keys: z.array(secret('32 bytes or more.')).min(1).optional().describe('Keys that seal the records of holds; the same on all replicas. The first is used, the others are still read. With the embedded store one is made at the first start.'),
    'keys-file': secretFile('keys').optional(),
    'open-per-caller': count('Open holds of one caller.', 20),
    'open-per-service': count('Open holds of one service.', 1_000),
    waiting: count('Connections of one process that may wait at one time.', 5_000),
    'waiting-per-caller': count('Of these, how many may belong to one caller.', 500),
    'replay-window': durationOrNone('How long after it ran a repeat of an approved action gets the stored answer.', '10m'),
    'results-kept': duration('How long an answer is kept for its requester.', '1h'),
    'results-once': z.boolean().default(false).describe('A kept answer is read once, by its requester; then it is gone.'),
    'settled-kept': duration('How long a settled hold stays in the store.', '30d'),
  })
  .prefault({})
  .describe('Holds and approvals.')

const audit = z
  .strictObject({
    required: z
      .strictObject({
        read: reach('For actions that only read.'),
        write: reach('For actions that change something.'),
        held: reach('For actions that people decide on: before they are asked, and before it runs.'),
        sinks: z.array(name).max(100).default([]).describe('Which sinks `local+sink` means: all of these have it. Default: every sink.'),
        witnesses: count('How many witnesses `local+witness` means.', 1, 1, 16),
        within: duration('Nobody waits longer: then the action is refused.', '5s'),
      })
      .prefault({})
      .describe('Where a record has to be before its action runs, beside this machine.'),
    index: z
      .strictObject({
        postgres: z.strictObject({
          url: z.unknown().optional().meta({ type: 'string', description: 'postgres://user@host:5432/database?sslmode=verify-full. A password only as a reference.' }),
          'url-file': secretFile('url').optional(),
          'ca-file': path('PEM file with the certificate authority of the database; without it that of the system, with `sslmode=verify-full` in the URL.').optional(),
          schema: z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/).default('countersign_audit').describe('Its schema there, which the program fills.'),
        }).describe('A database that all replicas feed, each with its own log.'),
      })
      .optional()
      .describe('Where records are searched. Default: a file beside the journal, for the replicas that share its folder.'),
    witnesses: z
      .record(
        name,
        z.strictObject({
          url: text('Where it listens; `add-checkpoint` is put behind it.'),
          key: text('Its public key, the first that `countersign witness key` prints.'),
          'ca-file': path('PEM file with the authority of its certificate. Default: those that the system knows.').optional(),
          every: duration('It is told of new checkpoints so often at most, unless somebody waits for it.', '10s'),
          timeout: duration('For one answer.', '5s'),
        }),
      )
      .default({})
      .describe('Who watches, by name, that this log only grows: on hosts that those who run this one do not control.'),
    readers: z.strictObject({ groups: z.array(name).default([]).describe('Groups whose people may.') }).prefault({}).describe('Who may search and read the whole audit log, in the console and by the API. Default: nobody. Each reading is on record.'),
    texts: z.enum(['log', 'aside']).default('log').describe('Where reasons and notes that people write are kept: in the records themselves, or beside the log, where `audit erase` can make them unreadable. Beside it, sinks get a salted hash in their place.'),
    receipts: z.enum(['none', 'held', 'all']).default('held').describe('Which HTTP actions carry a short signed receipt in a header, upstream and back to the client: those that people let through, all that run, or none. Each costs one signature.'),
  })
  .prefault({})
  .describe('What the audit log has to do, who may read it, and receipts.')

const limits = z
  .strictObject({
    token: size('Longest token.', '16KiB', 262_144),
    'cached-identities': count('Verified tokens that are remembered.', 10_000),
    'identity-max-age': duration('How long a verified token is believed without looking again.', '60s'),
  })
  .prefault({})
  .describe('Limits of the whole process.')

export const configSchema = z
  .strictObject({
    deployment: name.default('countersign').describe('Name of this installation, for records and people.'),
    replica: name.optional().describe('Name of this replica, different for each. Default: the host name.'),
    data: path('Folder for the journal and the embedded store.').default('./data'),
    workers: count('Processes of this machine that share the listeners. Each has a journal of its own, named after the replica and its number.', 1, 1, 64),
    listeners: z.strictObject({ http: httpListener, postgres: postgresListener.optional(), console: consoleListener, admin: adminListener }).prefault({}).describe('Where we listen.'),
    issuers: z.record(name, issuer).refine((all) => Object.keys(all).length > 0, 'names no issuer, so nobody could call').describe('Who says who is calling, by the short names that policies use.'),
    groups: z.array(name).optional().describe('Every group name there is. If it is given, policies that name another do not load.'),
    agents: z.record(name, agent).default({}).describe('Registered agents and service accounts, each with the person who answers for it.'),
    members: z.record(name, z.array(account).max(10_000)).default({}).describe('Who is in a group, where that is known here as well: then only they are, whatever tokens say, and an action whose approvers are nobody is refused at once. Taken over at a reload.'),
    people: z.record(name, z.array(account).min(2, 'links two accounts or more')).default({}).describe('Accounts of one and the same person, who counts once.'),
    services: z.record(name, service).refine((all) => Object.keys(all).length > 0, 'names no service, so there is nothing to reach').describe('The protected upstreams, by the names that policies use.'),
    policies: z.array(path('A file or a folder.')).min(1, 'names no policy, so nothing would be allowed').max(100).describe('Policy files and folders of them.'),
    approvals,
    channels: z.record(name, channel).default({}).describe('Where news of holds goes, by name.'),
    store,
    journal,
    audit,
    sinks: z.record(name, sink).default({}).describe('Where audit events go beside the journal, by name.'),
    limits,
    outbound: z.strictObject({ hosts: texts('Exact host names.') }).optional().describe('If given: the only hosts that issuers, keys, sinks and channels may be on.'),
  })
  .describe('Configuration of Countersign.')

export type ConfigSource = z.infer<typeof configSchema>
export type IssuerSource = z.infer<typeof issuer>
export type HttpServiceSource = z.infer<typeof httpService>
export type AccountSource = z.infer<typeof account>
