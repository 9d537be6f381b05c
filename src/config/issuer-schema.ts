import { z } from 'zod'
import { duration, durationOrNone, flag, name, path, secret, secretFile, size, text, texts } from './fields.ts'

/* Whose tokens are believed, and what their claims mean here. */

const scalar = z.union([text('A literal.'), z.number(), z.boolean()])
const globs = z.strictObject({ glob: z.union([text('A pattern.'), texts('Any of these patterns.').min(1)]).describe('Patterns over segments: `*` is one segment, `**` any number.') })
const claimRule = z.union([scalar, z.array(scalar).min(1, 'an empty list would match nothing'), globs])

export const issuer = z
  .strictObject({
    preset: z.enum(['generic', 'okta', 'entra', 'google', 'github-actions', 'gitlab', 'kubernetes']).default('generic').describe('Fills in what this kind of issuer is known for, and refuses its known mistakes.'),
    issuer: text('Compared with `iss` exactly. Presets with one fixed issuer know it.').optional(),
    tenants: texts('Entra: the tenant ids whose tokens are accepted. Both token versions of each.').optional(),
    cloud: z.enum(['public', 'us-government', 'china']).optional().describe('Entra: which cloud the tenants are in.'),
    'hosted-domains': texts('Google: the Workspace domains (`hd`) whose accounts are accepted.').optional(),
    audiences: texts('Accepted values of `aud`. At least one; there is no default.').optional(),
    keys: z
      .strictObject({
        'discovery-url': text('Discovery document. Default: below the issuer.').optional(),
        'jwks-url': text('Key set.').optional(),
        'jwks-file': path('Key set in a file, for sites without a way out.').optional(),
        'ca-file': path('PEM file with the certificate authority of the key set server.').optional(),
        bearer: secret('Token for the key set server.').optional(),
        'bearer-file': secretFile('bearer').optional(),
      })
      .prefault({})
      .describe('Where the keys come from that sign its tokens.'),
    algorithms: texts('Accepted signature algorithms. Never none, never HS*. Default: RS256, ES256, EdDSA.').optional(),
    'token-types': texts('Accepted `typ` of the token header; `untyped` is for tokens that carry none. Default: `at+jwt` and `jwt` with the preset generic, else what is known of the preset (okta and kubernetes: any).').optional(),
    kind: z.enum(['human', 'workload', 'agent']).optional().describe('What its subjects are, where the registered agents do not say otherwise.'),
    'clock-tolerance': duration('How far clocks may differ.', '30s'),
    'max-token-age': duration('Tokens issued longer ago are refused, whatever they say.', '24h'),
    'claim-paths': z
      .strictObject({
        subject: text('Who.').optional(),
        groups: text('Groups.').optional(),
        roles: text('Roles, counted as groups.').optional(),
        email: text('E-mail address.').optional(),
        'email-verified': text('Whether the issuer vouches for the address.').optional(),
        name: text('Name to display.').optional(),
        'client-id': text('The client that got the token.').optional(),
      })
      .prefault({})
      .describe('Where a token says what: dot paths (`realm_access.roles`) or JSON pointers (`/https:~1~1x/groups`).'),
    claims: z.record(name, text('Path.')).optional().describe('Further claims that policies may read as `caller.claims.<name>`: name to path.'),
    required: z.record(text('Path.'), claimRule).default({}).describe('What claims must be: a literal, a list of literals, or `{ glob: … }`.'),
    'group-names': z.record(text('Group.'), text('Name.')).default({}).describe('Group values as tokens carry them, to the names that policies use.'),
    'email-domains': texts('Domains whose verified e-mail addresses are believed. Empty: none.').default([]),
    delegation: z.strictObject({ 'actor-issuers': texts('Short names of the issuers whose subjects may act.').min(1, 'an empty list would allow no actor; leave delegation out') }).optional().describe('Accept tokens in which one party acts for another (`act`). Without it they are refused.'),
    jwks: z
      .strictObject({
        'max-age': duration('How long keys are used before they are fetched again.', '10m'),
        'max-stale': durationOrNone('How long old keys are used while the issuer cannot be reached.', '1h'),
        cooldown: duration('Least time between two fetches for unknown keys.', '30s'),
        'error-backoff': duration('Least time after a failed fetch.', '5s'),
        'max-size': size('Longest key set.', '512KiB', 8_388_608),
        timeout: duration('For one fetch.', '5s'),
      })
      .prefault({})
      .describe('How keys are fetched.'),
    introspection: z
      .strictObject({
        url: text('RFC 7662 endpoint.'),
        'client-id': text('Our client id there.'),
        'client-secret': secret('Our client secret there.').optional(),
        'client-secret-file': secretFile('client-secret').optional(),
        'opaque-tokens': flag('Ask about tokens that are no JWT.', false),
        recheck: flag('Ask before a vote counts and before a held action is released.', true),
      })
      .optional()
      .describe('Ask the issuer about tokens.'),
  })
  .describe('One issuer of tokens.')
