import assert from 'node:assert/strict'
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { parse } from 'yaml'
import { program, startProcess, type Replica } from '../scenarios/process.ts'
import { openTerminal, type Terminal } from '../scenarios/terminal.ts'
import { makeBrowser } from '../support/idp.ts'
import { freePort } from '../support/ports.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { readDockerfile } from './dockerfile.ts'
import { root } from './image.ts'

interface Service {
  readonly image?: string
  readonly build?: string | { readonly context: string; readonly target: string }
  readonly command?: readonly string[]
  readonly network_mode?: string
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly hostname?: string
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
}

const { services, volumes } = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), { merge: true }) as { readonly services: Readonly<Record<string, Service>>; readonly volumes: Readonly<Record<string, unknown>> }
const targetOf = ({ build }: Service): string | undefined => (build === undefined ? undefined : typeof build === 'string' ? '' : build.target)

describe('docker-compose.yml', () => {
  const each = Object.entries(services)
  const stages = readDockerfile(root)

  test('what is mounted, built and started is there', () => {
    for (const [name, service] of each) {
      for (const volume of service.volumes ?? []) {
        const [source = ''] = volume.split(':')
        assert.ok(source.startsWith('.') ? existsSync(join(root, source)) : source in volumes, `${name}: ${source}`)
      }
      const target = targetOf(service)
      if (target === undefined) continue
      const stage = stages.find((other) => other.name === target)
      assert.ok(stage, `${name}: no stage ${target}`)
      const copied = stage.steps.flatMap((step) => (step.kind === 'copy' ? step.sources : []))
      const [file] = service.command ?? []
      if (file !== undefined) assert.ok(existsSync(join(root, file)) && copied.some((source) => file.startsWith(`${source}/`)), `${name}: ${file} is not in its image`)
    }
  })

  test('nothing is published beyond this machine', () => {
    const published = each.flatMap(([, { ports = [] }]) => ports)
    for (const port of published) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/)
    assert.equal(new Set(published.map((port) => port.split(':')[1])).size, published.length)
  })

  test('our containers are read-only, without capabilities, and wait for what they need', () => {
    for (const [name, service] of each.filter(([, other]) => targetOf(other) !== undefined)) {
      assert.equal(service.read_only, true, name)
      assert.deepEqual(service.cap_drop, ['ALL'], name)
      assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name)
    }
    for (const [name, { depends_on = {} }] of each) for (const [other, { condition }] of Object.entries(depends_on)) assert.ok(condition !== 'service_healthy' || services[other]?.healthcheck, `${name} waits for ${other}, which has no health check`)
    for (const name of ['countersign', 'countersign-b']) assert.deepEqual(services[name]?.healthcheck?.test.slice(1), stages.find((stage) => stage.name === '')?.healthcheck)
    assert.notEqual(services['countersign']?.hostname, services['countersign-b']?.hostname, 'replicas are told apart by their host names')
  })
})

/** The same programs with the same files; containers' paths and names are mapped to this machine's. */
describe('the tour on Redis', { concurrency: 1 }, () => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-compose-'))
  const children: ChildProcess[] = []
  const ports: Record<string, number> = {}
  let redis: TestRedis
  let database: TestPostgres
  let replicas: Replica[] = []
  let bob: Terminal
  let text = ''
  const jwks = join(home, 'jwks.json')

  const start = (name: string, env: Readonly<Record<string, string>> = {}): Promise<string> => {
    const child = spawn(process.execPath, [...(services[name]?.command ?? [])], { cwd: root, env: { ...process.env, LISTEN: '127.0.0.1', ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(child)
    return new Promise((resolve, reject) => {
      let out = ''
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        out += chunk
        if (name !== 'tour') resolve(out)
      })
      child.on('error', reject).on('close', (code) => (code === 0 ? resolve(out) : reject(new Error(`${name} ended with ${code}`))))
    })
  }
  /** What a container's file or command says, for here. */
  const here = (said: string): string =>
    said
      .replaceAll('/shared/jwks.json', jwks)
      .replaceAll('127.0.0.1:8082', `127.0.0.1:${ports['idp']}`)
      .replaceAll('orders-api:8083', `127.0.0.1:${ports['api']}`)
      .replaceAll('redis://redis:6379', redis.url)
      .replaceAll('database:5432', `127.0.0.1:${database.port}`)
      .replaceAll(/ *allow-plaintext: .*\n/g, '') // belongs to a server elsewhere
      .replaceAll('/policies/', `${join(root, 'policies')}/`)
  const replica = async (name: string): Promise<Replica> => {
    const service = services[name]
    const mounted = service?.volumes?.find((volume) => volume.includes(':/etc/countersign/countersign.yaml'))?.split(':')[0] ?? ''
    const data = join(home, name)
    const console_ = await freePort()
    mkdirSync(data)
    const file = join(home, `${name}.yaml`)
    writeFileSync(file, here(readFileSync(join(root, mounted), 'utf8')).replaceAll('/var/lib/countersign', data).replaceAll('0.0.0.0:8080', '127.0.0.1:0').replaceAll(/(?:0\.0\.0\.0|127\.0\.0\.1):8081/g, `127.0.0.1:${console_}`).replaceAll(/127\.0\.0\.1:(?:9901|6432)/g, '127.0.0.1:0'))
    const env = { ...service?.environment, HOSTNAME: service?.hostname ?? '' }
    const checked = spawnSync(process.execPath, [program, 'config', 'check', file], { encoding: 'utf8', env: { ...process.env, ...env } })
    assert.equal(checked.status, 0, checked.stderr)
    assert.equal(checked.stderr, '')
    return startProcess(name, file, { env })
  }
  /** Where a replica listens for PostgreSQL clients, for those in its container. */
  const postgres = (replica: Replica | undefined): string => String(replica?.lines().find((each) => each['msg'] === 'ready')?.['postgres'] ?? '')
  /** A command of the tour, as a person pastes it. */
  const paste = (command: string, token: string): Promise<string> => {
    const [a, b] = replicas
    const line = here(command)
      .replaceAll('http://127.0.0.1:8080', a?.http ?? '')
      .replaceAll('http://127.0.0.1:8090', b?.http ?? '')
      .replace(/docker compose exec -e (\S+) agent psql/, 'env $1 psql -X')
      .replace('host=127.0.0.1 port=6432', postgres(a).replace(/^(.*):(\d+)$/, 'host=$1 port=$2'))
    const child = spawn('sh', ['-c', line], { env: { ...process.env, TOKEN: token }, stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 })
    let out = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (out += chunk))
    return once(child, 'close').then(() => out.trim())
  }
  /** As bob, who finds it in the list. */
  const approve = async (what: string): Promise<void> => {
    const hold = await until('the hold', async () => (JSON.parse((await bob.run('holds', 'ls', '-o', 'json')).out) as { readonly holds: readonly { readonly id: string; readonly code: string; readonly preview: string }[] }).holds.find(({ preview }) => preview.includes(what)), 15_000)
    const yes = await bob.run('holds', 'approve', hold.id, '--yes', '--code', hold.code)
    assert.equal(yes.code, 0, yes.err)
  }
  const line = (pattern: RegExp): string => text.split('\n').find((each) => pattern.test(each))?.trim() ?? assert.fail(`the tour has no line like ${pattern}`)

  before(async () => {
    ports['idp'] = await freePort()
    ports['api'] = await freePort()
    const { volumes: mounted = [], environment = {} } = services['database'] ?? {}
    const filling = mounted.map((volume) => volume.split(':')).find(([, inside = '']) => inside.startsWith('/docker-entrypoint-initdb.d/'))?.[0] ?? ''
    database = await startPostgres({ auth: 'scram-sha-256', databases: [environment['POSTGRES_DB'] ?? ''], init: readFileSync(join(root, filling), 'utf8') })
    redis = await startRedis((services['redis']?.command ?? []).slice(1))
    await start('idp', { IDP_PORT: String(ports['idp']), ISSUER: `http://127.0.0.1:${ports['idp']}`, JWKS_FILE: jwks })
    await start('orders-api', { API_PORT: String(ports['api']) })
    replicas = [await replica('countersign'), await replica('countersign-b')]
    text = await start('tour')
    bob = await openTerminal(replicas[0]?.console ?? '')
  })
  after(async () => {
    for (const part of [...replicas, bob, redis, database]) await part?.[Symbol.asyncDispose]()
    for (const child of children) {
      if (child.exitCode !== null) continue
      child.kill('SIGTERM')
      await once(child, 'close')
    }
    rmSync(home, { recursive: true, force: true })
  })

  test('health checks run and say yes', () => {
    const checks = Object.entries(services).flatMap(([name, { healthcheck }]) => (healthcheck ? [[name, healthcheck.test] as const] : []))
    for (const [name, [kind, command = '', ...args]] of checks) {
      assert.equal(kind, 'CMD')
      const port = { 'redis-cli': redis.port, pg_isready: database.port }[command]
      const [program, ...rest] = port === undefined ? [process.execPath, ...args.map((arg) => here(arg).replace('/app/src', join(root, 'src')))] : [command, '-p', String(port), ...args]
      const env = { ...process.env, COUNTERSIGN_ADMIN_URL: replicas[name === 'countersign' ? 0 : 1]?.admin }
      const { status, stderr } = spawnSync(program, rest, { env, encoding: 'utf8' })
      assert.equal(status, 0, `${name}: ${stderr}`)
    }
  })

  test('the tour: an allowed call, a denied one, one that waits at one replica and is approved at the other', { timeout: 60_000, skip: spawnSync('curl', ['--version']).status !== 0 && 'the tour is pasted into a shell with curl' }, async () => {
    const token = await paste(`${line(/^ *TOKEN=/)}; echo $TOKEN`, '')
    assert.match(token, /^[\w-]+\.[\w-]+\.[\w-]+$/)
    assert.match(await paste(line(/curl.*\/v1\/orders /), token), /o-1003/)
    assert.match(await paste(line(/curl.*settings/), token), /admin console/)

    const login = bob.start('login', '--device')
    const [page = '', code = ''] = await until('the page and the code', () => login.out().split('\n').length > 2 && login.out().trim().split('\n'), 10_000)
    await makeBrowser().logIn(`${page}?user_code=${code}`, 'bob')
    assert.equal((await login.done).code, 0)

    const refund = line(/curl.*\/refund /)
    const waiting = [paste(refund.replace(':8080', ':8090'), token), paste(refund, token)]
    await approve('refund')
    const ran = /"refunded":"o-1003".*"runBy":"invoice-agent"/
    const answers = await Promise.all(waiting)
    assert.ok(answers.every((answer) => ran.test(answer)), answers.join('\n'))
    assert.match(await paste(refund, token), ran, 'whoever asks again gets the same answer')
    const stream = await until('the audit stream of both replicas', () => {
      const { stdout } = spawnSync('redis-cli', ['-p', String(redis.port), 'xrange', 'countersign:audit', '-', '+'], { encoding: 'utf8' })
      return stdout.includes('replica-a/') && stdout.includes('replica-b/') && stdout.split('"type":"released"').length === 2 ? stdout : undefined
    })
    assert.ok(stream)
  })

  test('the tour of the database, where psql shares the loopback of a replica', { timeout: 60_000 }, async () => {
    assert.equal(services['agent']?.network_mode, 'service:countersign')
    const token = await paste(`${line(/^ *TOKEN=/)}; echo $TOKEN`, '')
    assert.match(await paste(line(/psql.*customers/), token), /masked:[0-9a-f]{32}[^]*London/)
    assert.match(await paste(line(/psql.*salaries/), token), /Salaries are for people/)
    const deleting = paste(line(/psql.*delete/), token)
    await approve('delete from orders')
    assert.match(await deleting, /held for approval CS-[^]*DELETE 1/)
  })

  test('everything ends when it is told to', async () => {
    for (const each of replicas) assert.equal(await each.kill('SIGTERM'), 0)
    for (const child of children.filter(({ exitCode }) => exitCode === null)) {
      child.kill('SIGTERM')
      const [code] = (await once(child, 'close')) as [number]
      assert.equal(code, 0)
    }
  })
})
