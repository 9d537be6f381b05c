import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { freePort } from '../../test/support/ports.ts'

/** Keys and one long token, as a company's provider would have made them. */
export interface Issuer {
  readonly jwksFile: string
  readonly token: string
  tokenFor(subject: string, groups: readonly string[]): Promise<string>
}

const name = 'https://idp.example.org'

export const makeIssuer = async (directory: string): Promise<Issuer> => {
  const { publicKey, privateKey } = await generateKeyPair('RS256')
  const jwksFile = join(directory, 'jwks.json')
  writeFileSync(jwksFile, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'bench', alg: 'RS256', use: 'sig' }] }))
  const tokenFor = (subject: string, groups: readonly string[]): Promise<string> =>
    new SignJWT({ groups, email: `${subject}@example.org`, email_verified: true }).setProtectedHeader({ alg: 'RS256', kid: 'bench', typ: 'JWT' }).setIssuer(name).setAudience('countersign').setSubject(subject).setIssuedAt().setExpirationTime('2h').sign(privateKey)
  return { jwksFile, token: await tokenFor('bench-agent', ['agents']), tokenFor }
}

export interface ReplicaSetup {
  readonly name: string
  readonly port: number
  readonly upstream: number
  readonly issuer: Issuer
  readonly workers: number
  readonly console?: number
  readonly admin?: number
}

/** `countersign serve` as the image and the command start it, with 50 rules and everything on. */
export const replicaCommand = async (directory: string, setup: ReplicaSetup): Promise<readonly string[]> => {
  const place = join(directory, setup.name)
  mkdirSync(place, { recursive: true })
  writeFileSync(join(place, 'policy.yaml'), policy())
  writeFileSync(join(place, 'countersign.yaml'), config(place, setup, setup.console ?? (await freePort()), setup.admin ?? (await freePort())))
  return [process.execPath, '--min-semi-space-size=16', '--max-semi-space-size=16', resolve('src/cli/main.ts'), 'serve', '--config', join(place, 'countersign.yaml')]
}

const config = (place: string, { name: replica, port, upstream, issuer, workers }: ReplicaSetup, console: number, admin: number): string => `
deployment: bench
replica: ${replica}
workers: ${workers}
data: ${place}/data
listeners:
  http: { address: "127.0.0.1:${port}", limits: { connections: 20000 } }
  console: { address: "127.0.0.1:${console}" }
  admin: { address: "127.0.0.1:${admin}" }
issuers:
  corp: { issuer: ${name}, audiences: [countersign], keys: { jwks-file: ${issuer.jwksFile} }, kind: human }
approvals: { open-per-caller: 20000, open-per-service: 20000, waiting: 20000, waiting-per-caller: 20000 }
services:
  app: { upstream: "http://127.0.0.1:${upstream}", labels: { environment: production }, routes: [{ path: /, hold: { wait: 10m } }] }
policies: [${place}/policy.yaml]
`

/** 46 rules about other paths in the ways that rules are written, and those that the load meets. */
const policy = (): string => `
policy: bench
services: [app]
rules:
${Array.from({ length: 46 }, (_, index) => rule(index)).join('\n')}
  - { name: reads, then: allow, callers: { groups: [agents] }, actions: [http.GET], paths: ["/1k", "/100k", "/10m"] }
  - { name: writes, then: allow, callers: { groups: [agents] }, actions: [http.POST], paths: ["/1k"] }
  - { name: held, then: hold, actions: [http.POST], paths: ["/held"], approval: { from: { groups: [approvers] } }, because: "The bench holds it." }
  - { name: forbidden, then: deny, actions: ["http.*"], paths: ["/admin/**"], because: "Not here.", instead: "Nothing." }
`

const rule = (index: number): string => {
  const path = `/v1/area-${index}/**`
  switch (index % 4) {
    case 0:
      return `  - { name: rule-${index}, then: allow, callers: { groups: [team-${index}] }, actions: [http.GET], paths: ["${path}"] }`
    case 1:
      return `  - { name: rule-${index}, then: hold, actions: [http.POST, http.PUT], paths: ["${path}"], approval: { from: { groups: [approvers] } }, because: "Reviewed." }`
    case 2:
      return `  - { name: rule-${index}, then: deny, actions: [http.DELETE], paths: ["${path}"], because: "Never.", instead: "Ask." }`
    default:
      return `  - { name: rule-${index}, then: allow, callers: { kind: agent }, actions: [http.GET], paths: ["${path}"], if: "http.query.size() < 5" }`
  }
}
