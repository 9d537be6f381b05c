import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatProblem } from '../../src/lib/problem.ts'
import { configText, makeFolder } from './folder.ts'

const env = { A: 'x' }
const sinkText = (sink: string, more = ''): string => configText(`${more}sinks: { s: { ${sink} } }\n`)

test('sinks: what they lack, and what is no place for them, is told', async () => {
  using folder = makeFolder()
  for (const [sink, pattern] of [
    ['kind: splunk, url: "https://splunk.test:8088"', /sinks\.s\.token: is missing/],
    ['kind: splunk, url: "http://splunk.test:8088", token: "${env:A}"', /must be https/],
    ['kind: splunk, url: "https://splunk.test:8088", token: hunter2', /never written down here/],
    ['kind: elastic, url: "https://search.test/?a=b"', /has a query/],
    ['kind: elastic, url: "https://search.test", index: "../x"', /is lower-case letters/],
    ['kind: datadog', /sinks\.s\.api-key: is missing/],
    ['kind: otlp, url: "https://a.test/v1/logs", value: "${env:A}"', /sinks\.s\.header: is missing/],
    ['kind: otlp, url: "https://a.test/v1/logs", header: x-key', /sinks\.s\.value: is missing/],
    ['kind: otlp, url: "https://a.test/v1/logs", header: Content-Length, value: "${env:A}"', /no header that carries a credential/],
    ['kind: http, url: "https://a.test/", ca-file: nowhere.pem', /nowhere\.pem|cannot be read/],
    ['kind: s3, url: "https://a.test/b", access-key-id: "${env:A}"', /\$\{env:AWS_SECRET_ACCESS_KEY\} is not set/],
    ['kind: s3, url: "https://a.test/b", access-key-id: "${env:A}", secret-access-key: "${env:A}", lock: { for: never }', /lock\.for/],
    ['kind: kafka, brokers: ["a.test:9093"], plaintext: true', /plaintext: is for brokers on this machine/],
    ['kind: kafka, brokers: ["a.test:9093"], sasl: { user: a }', /sasl\.password: is missing/],
    ['kind: kafka, brokers: ["a.test:9093"], topic: "a/b"', /topic/],
    ['kind: kafka, brokers: ["169.254.169.254:9093"]', /link-local/],
    ['kind: kafka, brokers: []', /brokers/],
    ['kind: syslog, address: "a.test"', /host:port/],
    ['kind: syslog, address: "169.254.169.254:6514"', /link-local/],
    ['kind: syslog, address: "a.test:6514", sd-id: "a]b"', /sd-id/],
    ['kind: http, url: "https://a.test/", format: cef', /format/],
  ] as const) {
    const problems = await folder.problems(sinkText(sink), env)
    assert.equal(problems.length, 1, `${sink}: ${problems.join(' | ')}`)
    assert.match(problems[0] ?? '', pattern)
    assert.doesNotMatch(problems.join(), /hunter2/)
  }
})

test('sinks: the only hosts that there are count for each kind', async () => {
  using folder = makeFolder()
  const outbound = 'outbound: { hosts: [login.example.com] }\n'
  for (const sink of ['kind: http, url: "https://evil.test/"', 'kind: elastic, url: "https://evil.test/"', 'kind: splunk, url: "https://evil.test/", token: "${env:A}"', 'kind: datadog, api-key: "${env:A}"', 'kind: otlp, url: "https://evil.test/"', 'kind: syslog, address: "evil.test:6514"', 'kind: kafka, brokers: ["evil.test:9093"]', 'kind: s3, url: "https://evil.test/b", access-key-id: "${env:A}", secret-access-key: "${env:A}"']) {
    const problems = await folder.problems(sinkText(sink, outbound), env)
    assert.equal(problems.length, 1, `${sink}: ${problems.join(' | ')}`)
    assert.match(problems[0] ?? '', /outbound\.hosts does not name/)
  }
})

test('sinks: what can lose records is warned of', async () => {
  using folder = makeFolder()
  const warningsOf = async (sink: string, more = ''): Promise<readonly string[]> => {
    const loaded = await folder.load(sinkText(sink, more), env)
    assert.ok(loaded.config !== undefined)
    return loaded.warnings.map(formatProblem)
  }
  assert.match((await warningsOf('kind: splunk, url: "https://splunk.test", token: "${env:A}"')).join(), /before it is indexed/)
  assert.match((await warningsOf('kind: syslog, address: "a.test:6514"')).join(), /has no acknowledgement/)
  assert.deepEqual(await warningsOf('kind: splunk, url: "https://splunk.test", token: "${env:A}", ack: true'), [])
  assert.match((await warningsOf('kind: syslog, address: "a.test:6514"', 'audit: { required: { write: local+sink } }\n')).join(), /waits for the sink "s", and syslog cannot say/)
})

test('sinks: for a SIEM events of OCSF, elsewhere lines of the log, unless something is said', async () => {
  using folder = makeFolder()
  const formatOf = async (sink: string): Promise<unknown> => (await folder.config(sinkText(sink), env)).sinks[0]?.format
  assert.equal(await formatOf('kind: stdout'), 'record')
  assert.equal(await formatOf('kind: http, url: "https://a.test"'), 'record')
  assert.equal(await formatOf('kind: http, url: "https://a.test", format: ocsf'), 'ocsf')
  assert.equal(await formatOf('kind: datadog, api-key: "${env:A}"'), 'ocsf')
  assert.equal(await formatOf('kind: datadog, api-key: "${env:A}", format: record'), 'record')
})

test('a sink of OpenLineage knows where the data of each service is', async () => {
  using folder = makeFolder()
  const { sinks } = await folder.config(sinkText('kind: openlineage, url: "https://marquez.test/api/v1/lineage", authorization: "Bearer ${env:A}"'), env)
  const [sink] = sinks
  assert.ok(sink?.kind === 'openlineage')
  assert.deepEqual([sink.authorization?.reveal(), sink.namespaces], ['Bearer x', [['orders-api', 'http://127.0.0.1:9000']]])
  assert.match((await folder.problems(sinkText('kind: openlineage, url: "https://169.254.169.254/x"'), env)).join(), /link-local/)
  assert.match((await folder.problems(sinkText('kind: openlineage, url: "https://a.test", format: ocsf'), env)).join(), /format/)
})
