import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isForbiddenAddress, isLoopbackHost } from '../../src/lib/outbound-address.ts'
import { originProblem, outboundProblem } from '../../src/config/outbound.ts'
import { configText, makeFolder } from './folder.ts'

const [a, b, c, d] = [169, 254, 169, 254]
const spellings = [
  '169.254.169.254', '2852039166', '0xa9fea9fe', '0251.0376.0251.0376', '169.254.43518', '169.254.169.254.', '0xa9.254.0xa9.254',
  '[::ffff:169.254.169.254]', '[::ffff:a9fe:a9fe]', '[0:0:0:0:0:ffff:a9fe:a9fe]', '[::a9fe:a9fe]', '[::ffff:0:a9fe:a9fe]', '[64:ff9b::a9fe:a9fe]', '[2002:a9fe:a9fe::]', '[2002:a9fe:a9fe::1]',
  '[fe80::1]', '[fd00:ec2::254]', '[::]', '0.0.0.0', '0', '255.255.255.255', '100.100.100.200', 'metadata.google.internal', 'METADATA.google.internal.', '\uFF11\uFF16\uFF19.254.169.254', '169\u3002254\u3002169\u3002254',
]

test('no spelling of a metadata or link-local address is a place to call', () => {
  for (const host of spellings) {
    assert.notEqual(outboundProblem(`https://${host}/latest`, {}), undefined, host)
    assert.notEqual(originProblem(`http://${host}`), undefined, host)
  }
})

test('every IPv4 address is judged alike in every IPv6 dress', () => {
  const byte = fc.integer({ min: 0, max: 255 })
  fc.assert(
    fc.property(fc.tuple(byte, byte, byte, byte), ([w, x, y, z]) => {
      const plain = `${w}.${x}.${y}.${z}`
      const [high, low] = [((w << 8) | x).toString(16), ((y << 8) | z).toString(16)]
      for (const dressed of [`::ffff:${plain}`, `::ffff:${high}:${low}`, `64:ff9b::${high}:${low}`, `2002:${high}:${low}::1`]) if (isForbiddenAddress(plain)) assert.ok(isForbiddenAddress(dressed), dressed)
    }),
    { numRuns: 300, examples: [[[a, b, c, d]], [[0, 0, 0, 0]]] },
  )
})

test('https, or http on this machine; no credentials, no fragments, no odd characters', () => {
  for (const good of ['https://hooks.test/x?y=1', 'http://127.0.0.1:8080/x', 'http://localhost:1/', 'http://[::1]:80/', 'https://10.0.0.5/']) assert.equal(outboundProblem(good, {}), undefined, good)
  for (const bad of ['http://hooks.test/', 'file:///etc/passwd', 'ftp://x/', 'https://hooks.test@evil.test/', 'https://u:p@hooks.test/', 'https://hooks.test/#x', 'https://ho\noks.test/', ' https://hooks.test/', 'https:\\\\hooks.test', 'https://', 'hooks.test', 'http://127.0.0.1.evil.test/', 'http://localhost.evil.test/', 'gopher://127.0.0.1/']) assert.notEqual(outboundProblem(bad, {}), undefined, bad)
})

test('a list of hosts is exact', () => {
  const rule = { hosts: ['hooks.test', 'idp-a.test'] }
  assert.equal(outboundProblem('https://HOOKS.test./x', rule), undefined)
  for (const bad of ['https://hooks.test.evil.test/', 'https://xhooks.test/', 'https://test/', 'http://127.0.0.1:6379/', 'https://[::1]/']) assert.match(outboundProblem(bad, rule) ?? '', /outbound\.hosts/, bad)
})

test('an upstream is an origin', () => {
  for (const good of ['http://127.0.0.1:9000', 'https://api.example.com', 'https://api.example.com/', 'http://[::1]:1', 'http://orders.default.svc:80']) assert.equal(originProblem(good), undefined, good)
  for (const bad of ['http://a/b', 'http://a/?', 'http://a#', 'http://u@a', 'tcp://a:1', 'a:80', 'http://a/.', 'http://a/b/..', 'unix:///x']) assert.notEqual(originProblem(bad), undefined, bad)
})

test('loopback is loopback', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', '[::1]', 'localhost', 'a.localhost', '::ffff:127.0.0.1']) assert.ok(isLoopbackHost(host), host)
  for (const host of ['0.0.0.0', '::', '128.0.0.1', 'localhost.example', '', '127.0.0.1.example']) assert.ok(!isLoopbackHost(host), host)
})

test('every URL of a configuration goes through this', async () => {
  using folder = makeFolder()
  const outbound = 'outbound: { hosts: [login.example.com] }\n'
  const issuer = (more: string): string => configText(outbound).replace('audiences: [countersign]', `audiences: [countersign], ${more}`)
  for (const text of [
    issuer('keys: { jwks-url: "http://127.0.0.1:6379/" }'),
    issuer('keys: { jwks-url: "https://evil.test/" }'),
    issuer('keys: { discovery-url: "https://169.254.169.254/" }'),
    issuer('introspection: { url: "https://evil.test/", client-id: a, client-secret: "${env:A}" }'),
    configText(`${outbound}sinks: { s: { kind: http, url: "https://evil.test/" } }\n`),
    configText(outbound).replace('https://login.example.com', 'https://other.example.com'),
    configText().replace('audiences: [countersign]', 'audiences: [countersign], keys: { jwks-url: "http://127.0.0.1:6379/" }'),
    configText().replace('https://login.example.com', 'http://login.example.com'),
  ]) assert.equal((await folder.problems(text, { A: 'x' })).length, 1, text)
  assert.deepEqual(await folder.problems(configText().replace('https://login.example.com', 'http://127.0.0.1:5556')), [])
})
