import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { pino } from 'pino'
import { stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { compilePolicies } from '../../src/config/policies.ts'
import { startReplica } from '../../src/main.ts'
import { makeTls } from '../support/postgres-tls.ts'
import { statusOf } from '../support/raw-http.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { startIssuer } from '../support/tokens.ts'

const statusAt = async (port: number, host: string): Promise<number> => {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  return statusOf(await text(socket))
}

const listeners = ['http', 'console', 'postgres'] as const

/** The certificate that whoever comes now is shown. */
const shownAt = async (port: number): Promise<string> => {
  const socket = connectTls({ port, host: '127.0.0.1', ALPNProtocols: ['postgresql', 'http/1.1'], rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { fingerprint256 } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprint256
}

for (const broken of [...listeners, 'service']) test(`a configuration that cannot be taken over whole, because the certificate of "${broken}" breaks in that moment, changes nothing; mended, all of it`, async () => {
  using folder = temporaryFolder('adopt')
  await using issuer = await startIssuer()
  const place = (name: string): string => join(folder.path, name)
  const renew = async (names: readonly string[]): Promise<void> => {
    for (const name of names) {
      mkdirSync(place(name), { recursive: true })
      await makeTls(place(name))
    }
  }
  const tlsOf = (listener: string): object => ({ address: '127.0.0.1:0', tls: { 'cert-file': join(place(listener), 'server.crt'), 'key-file': join(place(listener), 'server.key') } })
  await renew([...listeners, 'service'])
  writeFileSync(place('policy.yaml'), stringify({ policy: 'all', services: ['app'], rules: [{ name: 'read', then: 'allow', methods: ['GET'] }] }))
  writeFileSync(place('password'), 'secret')
  const load = async (host: string) => {
    writeFileSync(place('countersign.yaml'), stringify({
      deployment: 'adopt', replica: 'a', data: './data',
      listeners: { http: tlsOf('http'), console: { ...tlsOf('console'), hosts: ['127.0.0.1'] }, postgres: tlsOf('postgres'), admin: { address: '127.0.0.1:0' } },
      issuers: { corp: { issuer: issuer.issuer, audiences: ['countersign'], 'token-types': ['at+jwt'], algorithms: ['ES256'], keys: { 'jwks-url': issuer.jwksUri }, kind: 'human' } },
      services: {
        app: { upstream: 'https://127.0.0.1:9', 'ca-file': join(place('service'), 'ca.crt'), routes: [{ host }] },
        crm: { protocol: 'postgres', upstream: '127.0.0.1:9', tls: 'disable', database: 'crm', credential: { user: 'app', 'password-file': place('password') } },
      },
      policies: ['policy.yaml'], approvals: { keys: ['${env:KEY}'] }, journal: { 'min-free': '1MiB' },
    }))
    const loaded = await loadConfig(place('countersign.yaml'), { KEY: 'a key of the tests, 32 bytes or more' })
    assert.deepEqual(loaded.problems ?? [], [])
    const { config } = loaded
    assert.ok(config)
    const { policies } = compilePolicies(config)
    assert.ok(policies)
    return { config, policies }
  }
  const first = await load('before.test')
  const second = await load('after.test')
  await using replica = await startReplica(first.config, first.policies, { log: pino({ level: 'silent' }) })
  const portOf = (listener: (typeof listeners)[number]): number => Number(replica.addresses[listener]?.split(':').at(-1))
  const shown = (): Promise<readonly string[]> => Promise.all(listeners.map((listener) => shownAt(portOf(listener))))
  const known = (): Promise<readonly boolean[]> => Promise.all(['before.test', 'after.test'].map(async (host) => (await statusAt(portOf('http'), host)) !== 421))
  const journal = place('data/journal')
  const loads = (): number => readdirSync(journal, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ndjson')).flatMap((name) => readFileSync(join(journal, name), 'utf8').match(/"type":"config-loaded"/g) ?? []).length

  const before = await shown()
  assert.deepEqual([await known(), loads()], [[true, false], 1])
  await renew(listeners)
  if (broken === 'service') rmSync(join(place('service'), 'ca.crt'))
  else writeFileSync(join(place(broken), 'server.key'), 'half of a key')
  await assert.rejects(replica.adopt(second.config, second.policies))
  assert.deepEqual([await known(), loads(), await shown()], [[true, false], 1, before])

  await renew([broken])
  await replica.adopt(second.config, second.policies)
  assert.deepEqual([await known(), loads()], [[false, true], 2])
  const now = await shown()
  for (const [at, listener] of listeners.entries()) assert.notEqual(now[at], before[at], listener)
})
