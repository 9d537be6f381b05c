import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
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

const statusAt = async (port: number, host: string, tls: boolean): Promise<number> => {
  const socket = tls ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }) : connect(port, '127.0.0.1')
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  return statusOf(await text(socket))
}

for (const secured of ['http', 'console']) test(`a configuration that cannot be taken over whole, because the certificate of its listener "${secured}" breaks in that moment, changes nothing`, async () => {
  using folder = temporaryFolder('adopt')
  await using issuer = await startIssuer()
  const { cert, key } = makeTls(folder.path)
  const tlsOf = (listener: string): object => (listener === secured ? { tls: { 'cert-file': cert, 'key-file': key } } : {})
  const file = join(folder.path, 'countersign.yaml')
  writeFileSync(join(folder.path, 'policy.yaml'), stringify({ policy: 'all', services: ['app'], rules: [{ name: 'read', then: 'allow', methods: ['GET'] }] }))
  const load = async (host: string) => {
    writeFileSync(file, stringify({
      deployment: 'adopt', replica: 'a', data: './data',
      listeners: { http: { address: '127.0.0.1:0', ...tlsOf('http') }, console: { address: '127.0.0.1:0', hosts: ['127.0.0.1'], ...tlsOf('console') }, admin: { address: '127.0.0.1:0' } },
      issuers: { corp: { issuer: issuer.issuer, audiences: ['countersign'], 'token-types': ['at+jwt'], algorithms: ['ES256'], keys: { 'jwks-url': issuer.jwksUri }, kind: 'human' } },
      services: { app: { upstream: 'http://127.0.0.1:9', routes: [{ host }] } },
      policies: ['policy.yaml'], approvals: { keys: ['${env:KEY}'] }, journal: { 'min-free': '1MiB' },
    }))
    const loaded = await loadConfig(file, { KEY: 'a key of the tests, 32 bytes or more' })
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
  const port = Number(replica.addresses.http.split(':').at(-1))
  const known = async (): Promise<readonly boolean[]> => await Promise.all(['before.test', 'after.test'].map(async (host) => (await statusAt(port, host, secured === 'http')) !== 421))
  assert.deepEqual(await known(), [true, false])
  writeFileSync(key, 'half of a key')
  await assert.rejects(replica.adopt(second.config, second.policies))
  assert.deepEqual(await known(), [true, false])
})
