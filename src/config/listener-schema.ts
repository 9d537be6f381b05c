import { z } from 'zod'
import { address, count, duration, flag, secret, secretFile, size, text, texts, tls } from './fields.ts'

/* Where we listen, and what one client may take there. */

const httpTls = tls('Serve TLS with this certificate. Without it, plain HTTP: for loopback, or behind something that ends TLS.')

export const httpListener = z
  .strictObject({
    address: address('Where clients connect.', '127.0.0.1:8080'),
    tls: httpTls,
    'trusted-proxies': texts('Address ranges whose X-Forwarded-For and X-Forwarded-Proto are believed. Never everybody.').default([]),
    'claim-headers': z.record(text('Claim.'), text('Header name.')).default({}).describe('Claims that the upstream gets as headers of their own: claim name to header name.'),
    limits: z
      .strictObject({
        target: size('Longest request target.', '8KiB', 65_536),
        headers: size('Longest header section.', '16KiB', 262_144),
        'header-count': count('Most header fields of one request.', 100, 1, 1_000),
        connections: count('Connections that may be open at one time.', 10_000),
      })
      .prefault({})
      .describe('What one client or request may take.'),
    timeouts: z
      .strictObject({
        headers: duration('For the whole header section.', '10s'),
        body: duration('For each read of a request body.', '30s'),
        'keep-alive': duration('How long an idle connection stays open.', '65s'),
        'session-recheck': duration('How often the identity behind an open WebSocket is checked again.', '5s'),
      })
      .prefault({})
      .describe('How long we wait for a client.'),
  })
  .prefault({})
  .describe('The listener that faces agents and other clients.')

export const consoleListener = z
  .strictObject({
    address: address('Where the console and the approvals API listen.', '127.0.0.1:8081'),
    tls: httpTls,
    url: text('Where people and tools reach it: an origin such as https://approvals.example.org. Default: the address itself, where that is loopback.').optional(),
    hosts: texts('Further values of the Host header that are ours. Others are refused.').default([]),
    audience: text("Approvers' tokens must carry this audience, beside being valid at their issuer.").optional(),
    login: z
      .strictObject({
        issuer: text('Short name of the issuer that people log in at.'),
        'client-id': text('Public client id of the command line there.'),
        scopes: texts('Scopes to ask for.').default(['openid', 'profile', 'email']),
        resource: text('Resource to ask a token for, where the issuer wants one.').optional(),
      })
      .optional()
      .describe('What `countersign login` needs to know.'),
    'sign-in': z
      .strictObject({
        issuer: text('Short name of the issuer that people log in at.'),
        'client-id': text('Our client id there.'),
        'client-secret': secret('Our client secret there. Absent for a public client; PKCE is used either way.').optional(),
        'client-secret-file': secretFile('client-secret').optional(),
        scopes: texts('Scopes to ask for. They must put into the ID token what the issuer is configured to be read by: account, groups, required claims.').default(['openid', 'profile', 'email']),
        idle: duration('A session that nobody uses ends after this.', '30m'),
        'max-age': duration('A session ends after this; then people log in again.', '8h'),
        'step-up': z
          .strictObject({
            'acr-values': texts('How it has to be made, by the names of the issuer (`acr`): asked for, and one of them demanded.').default([]),
            within: duration('How long it is good for.', '5m'),
          })
          .prefault({})
          .describe('The fresh login that is asked for before passkeys are added or removed, and where a rule asks for one.'),
      })
      .optional()
      .describe('How people log in with a browser. Without it there are no pages, only the API.'),
    streams: z
      .strictObject({ total: count('Of everybody.', 500), 'per-viewer': count('Of one person.', 8) })
      .prefault({})
      .describe('Live event streams that may be open at one time.'),
  })
  .prefault({})
  .describe('The console and the approvals API.')

export const adminListener = z
  .strictObject({
    address: address('Where health and reload listen.', '127.0.0.1:9901'),
    'allow-public': flag('Listen beyond loopback, where only the orchestrator can reach it: the admin listener knows no login.', false),
  })
  .prefault({})
  .describe('Health and reload, for this machine and its orchestrator.')
