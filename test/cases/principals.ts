import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign, constants } from 'node:crypto'
import { pending } from './outcome.ts'

/* Who sends, and how the issuers of the default profile sign. Keys are made once for a process: they carry no state. */

export const audience = 'countersign-test'

/** Tenants of the directory: the cases use short names, the product wants identifiers. */
export const tenants: Readonly<Record<string, string>> = { 'tenant-1': '11111111-1111-4111-8111-111111111111', 'tenant-2': '22222222-2222-4222-8222-222222222222' }

export const issuerUrls: Readonly<Record<string, string>> = {
  'idp-a': 'https://idp-a.test',
  'idp-b': 'https://idp-b.test',
  ci: 'https://token.actions.githubusercontent.com',
  cluster: 'https://cluster.test',
  dir: `https://login.microsoftonline.com/${tenants['tenant-1']}/v2.0`,
}

export interface Person {
  readonly sub: string
  readonly groups: readonly string[]
  /** The agent that acts for this subject. */
  readonly act?: string
}

const person = (name: string, ...groups: string[]): readonly [string, Person] => [name, { sub: `u-${name}`, groups }]

export const people: Readonly<Record<string, Person>> = Object.fromEntries([
  person('req-a', 'dev'), person('req-b', 'dev'), person('appr-a', 'approvers'), person('appr-b', 'approvers'), person('appr-a2', 'approvers'),
  person('both-a', 'approvers', 'security'), person('sec-a', 'security'), person('appr-other', 'approvers-other'), person('root-a', 'admins', 'approvers'), person('root-b', 'admins'), person('svc-a'),
  ['agent-a', { sub: 'u-req-a', groups: ['dev'], act: 'u-agent-a' }],
  ['agent-appr-a', { sub: 'u-appr-a', groups: ['approvers'], act: 'u-agent-appr-a' }],
])

/** The subject that an upstream is told: the one who acts. */
export const userOf = (name: string): string => {
  const found = people[name] ?? pending(`no principal is called ${name}`)
  return found.act ?? found.sub
}

const keys = new Map<string, { readonly private: KeyObject; readonly public: KeyObject }>()

/** `idp-a/a1` and so on. */
export const keyPair = (id: string): { readonly private: KeyObject; readonly public: KeyObject } => {
  const known = keys.get(id)
  if (known) return known
  const pair = id.endsWith('/e1') ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('rsa', { modulusLength: 2048 })
  const made = { private: pair.privateKey, public: pair.publicKey }
  keys.set(id, made)
  return made
}

/** The kid of each issuer's first key. */
const firstKey: Readonly<Record<string, string>> = { 'idp-a': 'a1', 'idp-b': 'b1', ci: 'c1', cluster: 'k1', dir: 'd1' }

export const published: Readonly<Record<string, readonly string[]>> = { 'idp-a': ['a1', 'e1'], 'idp-b': ['b1', 'a1'], ci: ['c1'], cluster: ['k1'], dir: ['d1'] }

export const jwkOf = (issuer: string, kid: string): object => {
  const { public: key } = keyPair(`${issuer}/${kid}`)
  return { ...key.export({ format: 'jwk' }), kid, use: 'sig', alg: kid === 'e1' ? 'ES256' : 'RS256' }
}

const encode = (value: unknown): string => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** An HMAC over one of the ways to write a public key down: `spki-pem:idp-a/a1`. */
const hmacSecret = (form: string): Buffer => {
  if (form === 'empty') return Buffer.alloc(0)
  const at = form.indexOf(':')
  const [kind, id] = [form.slice(0, at), form.slice(at + 1)]
  const key = createPublicKey(keyPair(id).private)
  const pem = (type: 'spki' | 'pkcs1'): string => String(key.export({ format: 'pem', type }))
  if (kind === 'spki-pem') return Buffer.from(pem('spki'))
  if (kind === 'lf+spki-pem') return Buffer.from(`\n${pem('spki')}`)
  if (kind === 'pkcs1-pem') return Buffer.from(pem('pkcs1'))
  if (kind === 'jwk-json') return Buffer.from(JSON.stringify(key.export({ format: 'jwk' })))
  return pending(`no key form ${kind}`)
}

const signature = (input: string, alg: unknown, keyId: string): string => {
  if (keyId === 'none') return ''
  if (keyId.startsWith('hmac:')) return createHmac(alg === 'HS512' ? 'sha512' : 'sha256', hmacSecret(keyId.slice(5))).update(input).digest('base64url')
  const { private: key } = keyPair(keyId)
  const bits = typeof alg === 'string' && alg.endsWith('512') ? 'sha512' : 'sha256'
  if (key.asymmetricKeyType === 'ec') return sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')
  const padding = typeof alg === 'string' && alg.startsWith('PS') ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : {}
  return sign(bits, Buffer.from(input), { key, ...padding }).toString('base64url')
}

export interface TokenChange {
  readonly header?: Readonly<Record<string, unknown>>
  readonly claims?: Readonly<Record<string, unknown>>
  readonly remove?: readonly string[]
  readonly remove_header?: readonly string[]
  readonly key?: string
  readonly issuer?: string
}

/** The base token of the cases with the changes of one item; `now` in milliseconds. */
export const makeToken = (change: TokenChange, now: number): string => {
  const issuer = change.issuer ?? 'idp-a'
  const kid = firstKey[issuer] ?? pending(`no issuer is called ${issuer}`)
  const seconds = Math.floor(now / 1_000)
  const times = { iat: seconds, nbf: seconds, exp: seconds + 300 }
  const base: Record<string, unknown> =
    issuer === 'idp-a' ? { iss: issuerUrls['idp-a'], sub: 'u-req-a', aud: audience, ...times, email: 'req-a@corp.test', email_verified: true, groups: ['dev'] }
    : issuer === 'dir' ? { iss: issuerUrls['dir'], sub: 'd-1', aud: audience, ...times, ver: '2.0', groups: ['dev'] }
    : issuer === 'ci' ? { iss: issuerUrls['ci'], sub: 'repo:acme/app:ref:refs/heads/main', aud: audience, ...times, repository: 'acme/app', repository_owner_id: '4711', event_name: 'push' }
    : { iss: issuerUrls[issuer], sub: 'u-req-a', aud: audience, ...times }
  const claims: Record<string, unknown> = { ...base, ...change.claims }
  if (issuer === 'dir' && typeof claims['tid'] === 'string') {
    const tenant = tenants[claims['tid']] ?? claims['tid']
    claims['tid'] = tenant
    if (change.claims?.['iss'] === undefined) claims['iss'] = `https://login.microsoftonline.com/${tenant}/v2.0`
  }
  for (const name of change.remove ?? []) delete claims[name]
  const header: Record<string, unknown> = { alg: 'RS256', kid, typ: 'JWT', ...change.header }
  for (const name of change.remove_header ?? []) delete header[name]
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${signature(input, header['alg'], change.key ?? `${issuer}/${kid}`)}`
}

/** Groups as the identity provider knows them now; `opaque`: its tokens say nothing, and it is asked what they stand for. */
export type Directory = Map<string, readonly string[]> & { opaque?: boolean }

export const makeDirectory = (): Directory => new Map(Object.entries(people).map(([name, { groups }]) => [name, groups]))

/** A token that says nothing, of a principal. Long, and with letters of both cases. */
export const opaqueOf = (name: string): string => `Op4qUe_${createHmac('sha256', 'opaque').update(name).digest('base64url')}Zz`

/** What the issuer knows about a principal now. */
export const claimsOf = (name: string, directory: Directory, now: number): Record<string, unknown> => {
  const { sub, act } = people[name] ?? pending(`no principal is called ${name}`)
  const seconds = Math.floor(now / 1_000)
  return { iss: issuerUrls['idp-a'], sub, aud: audience, iat: seconds, nbf: seconds, exp: seconds + 3_600, email: `${name}@corp.test`, groups: directory.get(name) ?? [], ...(act === undefined ? {} : { act: { sub: act } }) }
}

export const bearerOf = (name: string, directory: Directory, now: number): string => {
  if (directory.opaque === true) return opaqueOf(name)
  const { sub, act } = people[name] ?? pending(`no principal is called ${name}`)
  // Long enough to outlive a hold; the cases about expiry make their own.
  const claims = { sub, exp: Math.floor(now / 1_000) + 3_600, email: `${name}@corp.test`, groups: directory.get(name) ?? [], ...(act === undefined ? {} : { act: { sub: act } }) }
  return makeToken({ claims }, now)
}
