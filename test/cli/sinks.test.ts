import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { commands } from '../../src/cli/commands.ts'
import type { Io } from '../../src/cli/io.ts'
import { configText, makeFolder } from '../config/folder.ts'
import { startKafkaBroker } from '../sinks/kafka-broker.ts'
import { startSyslogReceiver } from '../sinks/syslog-receiver.ts'
import { freePort } from '../support/ports.ts'
import { startRedis } from '../support/redis.ts'

test('sinks --check asks the places that can be asked, sends nothing, and shows no secret', async () => {
  using folder = makeFolder()
  const asked: string[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    asked.push(`${request.method} ${request.url} ${body}`)
    const say = (status: number, data: object): void => void response.writeHead(status).end(JSON.stringify(data))
    if (request.url === '/services/collector/event') return request.headers.authorization === 'Splunk CANARY-1' ? say(400, { text: 'No data', code: 5 }) : say(403, { text: 'Invalid token', code: 4 })
    if (request.url === '/v1/logs') return say(200, {})
    say(request.url === '/here' ? 200 : 404, {})
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await using broker = await startKafkaBroker()
  await using syslog = await startSyslogReceiver(folder.path)
  await using redis = await startRedis()
  folder.write('countersign.yaml', configText(`sinks:
  copy: { kind: file, path: copy.ndjson }
  post: { kind: http, url: "${url}/in" }
  there: { kind: elastic, url: "${url}", index: here }
  fresh: { kind: elastic, url: "${url}", index: fresh }
  good: { kind: splunk, url: "${url}", token: "\${env:GOOD}", ack: true }
  wrong: { kind: splunk, url: "${url}", token: "\${env:WRONG}", ack: true }
  logs: { kind: otlp, url: "${url}/v1/logs" }
  lines: { kind: syslog, address: "localhost:${syslog.port}", ca-file: ca.crt }
  strange: { kind: syslog, address: "localhost:${syslog.port}" }
  stream: { kind: kafka, brokers: ["127.0.0.1:${broker.port}"], topic: audit.log, plaintext: true }
  gone: { kind: kafka, brokers: ["127.0.0.1:${await freePort()}"], topic: audit.log, plaintext: true }
  feed: { kind: redis, url: "${redis.url}" }
  map: { kind: openlineage, url: "${url}/lineage" }
`))
  const run = async (...args: string[]): Promise<{ readonly code: number; readonly out: string }> => {
    let out = ''
    const io = { stdout: { write: (text: string) => (out += text) }, stderr: { write: (text: string) => (out += text) }, env: { GOOD: 'CANARY-1', WRONG: 'CANARY-2' }, cwd: folder.path } as unknown as Io
    const code = await (await commands.named(['sinks']))!.run(args, io)
    return { code, out }
  }
  try {
    const shown = await run()
    assert.equal(shown.code, 0)
    assert.match(shown.out, /^copy {2}file {2}record {2}.*copy\.ndjson$/m)
    assert.match(shown.out, new RegExp(`^stream {2}kafka {2}ocsf {2}127\\.0\\.0\\.1:${broker.port}$`, 'm'))
    assert.match(shown.out, /^map {2}openlineage {2}run-event {2}127/m)
    assert.deepEqual(asked, [])
    const checked = await run('--check', '--json')
    assert.equal(checked.code, 1)
    const findings = (JSON.parse(checked.out) as { name: string; finding?: { ok?: boolean; text: string } }[]).map(({ name, finding }) => [name, finding === undefined ? '' : `${finding.ok === undefined ? '-' : finding.ok ? 'ok' : 'FAIL'} ${finding.text}`])
    const { strange, gone, ...others } = Object.fromEntries(findings) as Record<string, string>
    assert.match(String(strange), /^FAIL .*certificate/)
    assert.match(String(gone), /^FAIL .*ECONNREFUSED/)
    const notAsked = '- not asked: only sending would tell'
    assert.deepEqual(others, {
      copy: notAsked, post: notAsked, there: 'ok here is there', fresh: 'ok there is no fresh yet; the first record makes it, where that is allowed', good: 'ok the token is good', wrong: 'FAIL HTTP 403: Invalid token',
      logs: 'ok it takes logs', lines: 'ok the connection stands', stream: 'ok audit.log is there, and we may write', feed: 'ok it answers', map: notAsked,
    })
    assert.doesNotMatch(shown.out + checked.out + (await run('--check')).out, /CANARY/)
    assert.deepEqual([...new Set(asked)].toSorted(), ['GET /fresh ', 'GET /here ', 'POST /services/collector/event ', 'POST /v1/logs {"resourceLogs":[]}'])
    assert.deepEqual([broker.kept, syslog.texts], [[], []])
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
