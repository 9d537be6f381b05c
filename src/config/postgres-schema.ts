import { z } from 'zod'
import { address, count, duration, durationOrNone, flag, name, path, remote, secret, secretFile, size, text, texts, tls } from './fields.ts'

/* The part of countersign.yaml that is about PostgreSQL. */

export const postgresListener = z
  .strictObject({
    address: address('Where clients connect.', '127.0.0.1:6432'),
    tls: tls('Serve TLS with this certificate. Without it tokens travel in the clear; see `plaintext`.'),
    plaintext: z.enum(['loopback', 'anywhere', 'never']).default('loopback').describe('Who may log in without TLS: clients of this machine, everybody, nobody.'),
    login: z.enum(['password', 'oauthbearer']).default('password').describe('How clients hand over their token: as the password, or by SASL OAUTHBEARER (libpq 18).'),
    oauth: z
      .strictObject({
        issuer: text('Short name of the issuer that clients log in at.'),
        'discovery-url': text('Its discovery document. Default: below the issuer.').optional(),
        scope: text('Scope to ask for.').default('openid'),
      })
      .optional()
      .describe('With `login: oauthbearer`: where clients find the way to a token.'),
    limits: z
      .strictObject({
        connections: count('Connections that may be open at one time.', 1_000),
        'connections-per-caller': count('Of these, how many may belong to one caller.', 100),
        sql: size('Longest text of one statement or batch.', '1MiB', 4_194_304),
        parameters: size('Longest list of values of one statement, and longest piece of a COPY.', '16MiB', 268_435_456),
      })
      .prefault({})
      .describe('What one client may take.'),
    timeouts: z
      .strictObject({
        startup: duration('Until a client is logged in, our login at the server included.', '10s'),
        'session-recheck': duration('How often the identity behind an open connection is checked again.', '5s'),
      })
      .prefault({})
      .describe('How long we wait for a client.'),
  })
  .describe('The listener that faces PostgreSQL clients.')

const role = z
  .strictObject({ user: text('Role at the server.'), password: secret('Its password.').optional(), 'password-file': secretFile('password').optional() })

export const postgresService = z
  .strictObject({
    protocol: z.literal('postgres').describe('A PostgreSQL server.'),
    upstream: remote.describe('The server, host:port.'),
    tls: z.enum(['verify-full', 'verify-ca', 'require', 'disable']).default('verify-full').describe('How the server proves who it is: certificate and name, certificate alone, not at all, and no TLS.'),
    'allow-plaintext': flag('`tls: disable` is meant although the server is not on this machine: whoever is on the way reads and changes everything.', false),
    'ca-file': path('PEM file with the certificate authority of the server. Default: those that the system knows.').optional(),
    database: text('The database at the server.'),
    databases: texts("What clients may call it. Default: the service's name, and the name at the server.").min(1, 'is empty, so no client could name it').optional(),
    labels: z.record(name, text('Value.')).default({}).describe('What policies can select it by: environment, owner, compliance.'),
    audience: text('Tokens must carry this audience, beside being valid at their issuer.').optional(),
    credential: role.describe('The role for every user name that has none of its own in `roles`.'),
    roles: z.record(text('User name.'), role.describe('A role at the server.')).default({}).describe('Further roles, by the user name that the client gives. A user name says nothing about who is calling.'),
    allow: z.array(z.enum(['md5', 'cleartext', 'trust'])).default([]).describe('Ways of logging in that the server may ask for beside SCRAM-SHA-256. `cleartext` counts inside verified TLS only.'),
    'least-iterations': count('A server that asks for fewer SCRAM iterations is refused.', 4_096),
    'search-path': text('Search path of every session. Default: what the server has for the role.').optional(),
    'connect-timeout': duration('Until we are logged in at the server.', '10s'),
    hold: z
      .strictObject({ 'in-transaction': durationOrNone('How long a hold may keep a transaction open that has written. 0s: no holds in there.', '60s') })
      .prefault({})
      .describe('What waiting looks like here.'),
  })
  .describe('A protected PostgreSQL server.')

export type PostgresListenerSource = z.infer<typeof postgresListener>
export type PostgresServiceSource = z.infer<typeof postgresService>
