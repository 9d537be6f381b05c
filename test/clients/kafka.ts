/** `npm run clients:kafka`: the Kafka sink with a real broker, read by librdkafka's kcat. Fetches Kafka from Maven Central into var/kafka at the first time; needs java, mvn, kcat and openssl. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { recordLineOf } from '../../src/audit/ocsf/line.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { OptionsOf } from '../../src/sinks/options.ts'
import { open, temporaryDirectory } from '../audit/audit-samples.ts'
import { assertComplete, events, fill, start } from '../contracts/sink-contract.ts'
import { freePort } from '../support/ports.ts'
import { makeTls } from '../support/postgres-tls.ts'
import { until } from '../support/until.ts'

const version = '4.0.0'
const place = join(resolve(import.meta.dirname, '..', '..'), 'var', 'kafka')
const jars = join(place, version)

if (!existsSync(jars)) {
  mkdirSync(place, { recursive: true })
  writeFileSync(join(place, 'pom.xml'), `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>kafka</artifactId><version>1</version><dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${version}</version></dependency></dependencies></project>`)
  execFileSync('mvn', ['-q', '-B', '-f', join(place, 'pom.xml'), 'dependency:copy-dependencies', `-DoutputDirectory=${jars}`], { stdio: 'inherit' })
}

const folder = mkdtempSync(join(tmpdir(), 'countersign-kafka-'))
const [plain, secure, controller] = [await freePort(), await freePort(), await freePort()]
const tls = await makeTls(folder)
writeFileSync(join(folder, 'server.pem'), readFileSync(tls.key, 'utf8') + readFileSync(tls.cert, 'utf8') + readFileSync(tls.ca, 'utf8'))
const settings = join(folder, 'server.properties')
writeFileSync(settings, `
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=OPEN
listeners=OPEN://127.0.0.1:${plain},SECURE://127.0.0.1:${secure},CONTROLLER://127.0.0.1:${controller}
advertised.listeners=OPEN://127.0.0.1:${plain},SECURE://localhost:${secure}
listener.security.protocol.map=OPEN:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location=${folder}/server.pem
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_gate="gate-secret";
listener.name.secure.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
log.dirs=${folder}/log
num.partitions=3
offsets.topic.replication.factor=1
`)
const java = ['-Xmx512m', '-cp', `${jars}/*`]
execFileSync('java', [...java, 'kafka.tools.StorageTool', 'format', '-t', 'Y291bnRlcnNpZ24tdGVzdA', '-c', settings, '--add-scram', 'SCRAM-SHA-256=[name=gate,password=gate-secret]', '--add-scram', 'SCRAM-SHA-512=[name=gate,password=gate-secret]'], { stdio: ['ignore', 'ignore', 'inherit'] })

const kcat = (...args: readonly string[]): string => execFileSync('kcat', ['-b', `127.0.0.1:${plain}`, '-q', ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 64 * 1024 * 1024 })
const answers = (): boolean => {
  try {
    kcat('-L', '-m', '2')
    return true
  } catch {
    return false
  }
}
/** What stands in a topic: partition, key, header and value of each message. */
const read = (topic: string): readonly { readonly partition: number; readonly key: string; readonly id: string; readonly line: string }[] =>
  kcat('-C', '-t', topic, '-o', 'beginning', '-e', '-f', '%p\\t%k\\t%h\\t%s\\n').split('\n').slice(0, -1).map((text) => {
    const [partition, key = '', header = '', value = ''] = text.split('\t')
    return { partition: Number(partition), key, id: header.replace(/^id=/, ''), line: recordLineOf(value) ?? '' }
  }).filter(({ key }) => key === 'r1')

const startBroker = async () => {
  const broker = spawn('java', [...java, 'kafka.Kafka', settings], { stdio: 'ignore' })
  await until('the broker to answer', answers, 60_000)
  return { stop: async (signal: 'SIGTERM' | 'SIGKILL') => {
    const ended = once(broker, 'exit')
    broker.kill(signal)
    await ended
  } }
}

const check = async (name: string, more: Partial<OptionsOf<'kafka'>>, meanwhile: () => Promise<void> = async () => {}): Promise<void> => {
  using directory = temporaryDirectory()
  execFileSync('kcat', ['-b', `127.0.0.1:${plain}`, '-q', '-P', '-t', name], { input: 'makes the topic\n' })
  const options: OptionsOf<'kafka'> = { kind: 'kafka', name: 'place', format: 'ocsf', brokers: [{ host: '127.0.0.1', port: plain }], topic: name, timeoutMs: 5_000, ...more }
  await using journal = await open(directory.path)
  await using sinks = start(directory.path, journal, options)
  await fill(journal, events / 2)
  await meanwhile()
  await fill(journal, events / 2)
  await sinks.drain(30_000)
  assert.equal(sinks.state()[0]?.lastError, undefined)
  const found = read(name)
  await assertComplete(journal, found.map(({ line }) => line))
  assert.equal(found.length, events, 'once each: the broker leaves out what it has')
  assert.equal(new Set(found.map(({ partition }) => partition)).size, 1)
  for (const { key, id, line } of found) assert.deepEqual([key, id], ['r1', (JSON.parse(line) as { id: string }).id])
  const own = execFileSync('kcat', ['-b', `127.0.0.1:${plain}`, '-q', '-P', '-X', 'partitioner=murmur2', '-t', name, '-k', 'r1'], { input: 'theirs\n' })
  assert.equal(own.length, 0)
  assert.equal(Number(kcat('-C', '-t', name, '-o', '-1', '-e', '-f', '%p %s\\n').split('\n').find((line) => line.endsWith(' theirs'))?.split(' ')[0]), found[0]?.partition, 'the partition that other clients choose')
  process.stdout.write(`${name}: ${events} records, in order, once each, where other clients put the key\n`)
}

let broker = await startBroker()
try {
  await check('open', {})
  for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512'] as const) await check(mechanism, { brokers: [{ host: 'localhost', port: secure }], tls: { ca: tls.ca }, sasl: { mechanism, user: 'gate', password: new Secret('gate-secret') } })
  await check('restarted', {}, async () => {
    await broker.stop('SIGKILL')
    broker = await startBroker()
  })
} finally {
  await broker.stop('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}
