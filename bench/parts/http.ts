import { join } from 'node:path'
import { freePort } from '../../test/support/ports.ts'
import { interleave, median, Processes, row, usage, wrk, type Load, type Part, type PartOptions, type Row } from '../frame.ts'
import { heldRows } from '../held.ts'
import { authRequestCommand, proxyCommand, upstreamCommand } from '../servers/nginx.ts'
import { makeIssuer, replicaCommand, type Issuer } from '../servers/replica.ts'

/** Everything that answers stands on processor 0, wrk and the upstream on processor 1: each contender has one processor, whatever it is made of. */
const serving = '0'
const loading = '1'

interface Contender {
  readonly name: string
  readonly port: number
  /** All of its processes: what it costs is what they cost together. */
  readonly pids: readonly number[]
}

const cpuOf = ({ pids }: Contender): number => pids.reduce((sum, pid) => sum + usage(pid).cpuMicros, 0)

const nginx = { command: 'nginx', package: 'nginx-light', why: 'the benchmark compares with it and uses it as the upstream' }
const load = { command: 'wrk', package: 'wrk', why: 'the benchmark makes its load with it' }

export const httpPart: Part = {
  name: 'http',
  packages: [nginx, load],
  explanation: [
    'Each contender has one processor; wrk and the upstream (nginx) share the other one. Runs are interleaved and the figures are ratios of medians.',
    'Countersign runs with everything on: the token is checked, 50 rules are compiled in, each request leaves its two records in the journal (reads written before they run, writes synced).',
    '"auth_request" is nginx in front of a small Node service that verifies each JWT and journals as durably as Countersign; "tokens cached" is the same with a cache of verified tokens like ours. Their processor time is that of nginx and the service together.',
    'Two workers share both processors with wrk and the upstream, so their throughput says less than a machine with more processors would; the capacity beside it is calculated from the processor time of a request, and leaves out what they would share there (memory, disk).',
    'Memory is counted after ordinary load and after holds that nobody waits for, so that what the process takes for itself once is no part of each hold.',
  ].join('\n'),
  run: async (options) => {
    const issuer = await makeIssuer(options.directory)
    const rows: Row[] = []
    {
      await using processes = new Processes()
      const world = await start(processes, options, issuer)
      rows.push(...(await throughput(world, options, issuer)))
      rows.push(...(await latency(world, options, issuer)))
      rows.push(...(await bodies(world, options, issuer)))
    }
    rows.push(...(await workers(options, issuer)))
    rows.push(...(await heldRows(options, issuer)))
    return rows
  },
}

interface World {
  readonly direct: Contender
  readonly legacy: Contender
  readonly proxyPass: Contender
  readonly authRequest: Contender
  readonly authRequestCached: Contender
  readonly ours: Contender
}

const start = async (processes: Processes, { directory }: PartOptions, issuer: Issuer): Promise<World> => {
  const ports = (await Promise.all(Array.from({ length: 8 }, freePort))) as [number, number, number, number, number, number, number, number]
  const [upstream, legacy, proxy, auth, service, authCached, serviceCached, ours] = ports
  const begin = async (name: string, command: readonly string[], port: number, more: readonly number[] = [], cpus = serving): Promise<Contender> => ({ name, port, pids: [await processes.start(name, command, port, { cpus }), ...more] })
  const jwtService = (port: number, cache: string): Promise<number> => processes.start('jwt service', [process.execPath, 'bench/servers/jwt-service.ts', String(port), issuer.jwksFile, join(directory, `jwt-${cache}.journal`), cache], port, { cpus: serving })
  return {
    direct: await begin('direct', upstreamCommand(directory, upstream), upstream, [], loading),
    legacy: await begin('http-proxy 1.18', [process.execPath, 'bench/servers/legacy-proxy.ts', String(legacy), `http://127.0.0.1:${upstream}`], legacy),
    proxyPass: await begin('nginx proxy_pass', proxyCommand(directory, proxy, upstream), proxy),
    authRequest: await begin('nginx auth_request', authRequestCommand(directory, 'auth', auth, upstream, service), auth, [await jwtService(service, 'none')]),
    authRequestCached: await begin('nginx auth_request, tokens cached', authRequestCommand(directory, 'auth-cached', authCached, upstream, serviceCached), authCached, [await jwtService(serviceCached, 'cache')]),
    ours: await begin('Countersign', await replicaCommand(directory, { name: 'one', port: ours, upstream, issuer, workers: 1 }), ours),
  }
}

type Run = (contender: Contender) => Promise<Load & { readonly cpuMicros: number }>

const loadWith = (options: PartOptions, issuer: Issuer, request: { readonly path: string; readonly connections: number; readonly seconds: number; readonly method?: string; readonly body?: string }): Run => async (contender) => {
  const before = cpuOf(contender)
  const result = await wrk(options.directory, { ...request, url: `http://127.0.0.1:${contender.port}${request.path}`, headers: { authorization: `Bearer ${issuer.token}`, ...(request.body ? { 'content-type': 'application/json' } : {}) }, cpus: loading })
  return { ...result, cpuMicros: (cpuOf(contender) - before) / result.requests }
}

const compare = async (contenders: readonly Contender[], run: Run, rounds: number, signal: AbortSignal): Promise<Map<string, { readonly rps: number; readonly p50: number; readonly cpu: number }>> => {
  const results = await interleave(contenders.map((contender) => ({ name: contender.name, run: () => run(contender) })), rounds, signal)
  return new Map([...results].map(([name, loads]) => [name, { rps: median(loads.map((one) => one.requestsPerSecond)), p50: median(loads.map((one) => one.p50Ms)), cpu: median(loads.map((one) => one.cpuMicros)) }]))
}

/** A program that compiles itself while it runs is compared when it has done so: after so many requests, however long a loaded machine takes for them. */
const warmRequests = 30_000
const mostWarmRuns = 30

const warmUp = async (contender: Contender, run: Run, requests: number): Promise<void> => {
  for (let served = 0, runs = 0; served < requests && runs < mostWarmRuns; runs++) served += (await run(contender)).requests
}

const throughput = async (world: World, options: PartOptions, issuer: Issuer): Promise<readonly Row[]> => {
  const rows: Row[] = []
  for (const method of options.quick ? (['GET'] as const) : (['GET', 'POST'] as const)) {
    options.log(`throughput: 64 connections, 1 KB, ${method}`)
    const run = loadWith(options, issuer, { path: '/1k', connections: 64, seconds: 1, method, ...(method === 'POST' ? { body: '{"n":1}' } : {}) })
    const peers = options.quick ? [world.legacy, world.authRequest] : [world.legacy, world.authRequest, world.authRequestCached, world.proxyPass, world.direct]
    for (const contender of [world.ours, ...peers]) if (contender !== world.proxyPass && contender !== world.direct) await warmUp(contender, run, options.quick ? warmRequests / 2 : warmRequests)
    const found = await compare([world.ours, ...peers], run, options.quick ? 3 : 7, options.signal)
    const ours = found.get(world.ours.name)!
    const what = method === 'GET' ? 'reads, recorded without a sync' : 'writes, synced first'
    const targets = method === 'GET' ? new Map([[world.legacy.name, '>= 1.3'], [world.authRequest.name, '>= 1.2']]) : new Map<string, string>()
    for (const { name } of peers) {
      const other = found.get(name)!
      rows.push(row('http', `throughput, 64 connections, 1 KB, ${what}`, ours.rps / other.rps, '×', name, targets.get(name), `${Math.round(ours.rps)}/s against ${Math.round(other.rps)}/s; processor ${Math.round(ours.cpu)} µs against ${Math.round(other.cpu)} µs a request`))
    }
  }
  return rows
}

const latency = async (world: World, options: PartOptions, issuer: Issuer): Promise<readonly Row[]> => {
  const rows: Row[] = []
  for (const [name, method, target] of [['read, recorded without a sync', 'GET', '<= 0.25'], ['write, synced first', 'POST', '<= 0.7']] as const) {
    options.log(`latency: one connection, ${name}`)
    const run = loadWith(options, issuer, { path: '/1k', connections: 1, seconds: 1, method, ...(method === 'POST' ? { body: '{"n":1}' } : {}) })
    const found = await compare([world.direct, world.legacy, world.authRequest, world.ours], run, options.quick ? 1 : 5, options.signal)
    const [direct, ours] = [found.get('direct')!.p50, found.get('Countersign')!.p50]
    rows.push(row('http', `added p50, one connection, ${name}`, ours - direct, 'ms', 'direct', target, `${ours.toFixed(3)} ms; http-proxy 1.18 ${found.get('http-proxy 1.18')!.p50.toFixed(3)} ms, auth_request ${found.get('nginx auth_request')!.p50.toFixed(3)} ms, direct ${direct.toFixed(3)} ms`))
  }
  return rows
}

const bodies = async (world: World, options: PartOptions, issuer: Issuer): Promise<readonly Row[]> => {
  const rows: Row[] = []
  for (const [path, size, seconds] of [['/100k', '100 KB', 1], ['/10m', '10 MB', 5]] as const) {
    for (const connections of options.quick ? [] : [1, 64]) {
      options.log(`bodies: ${size}, ${connections} connections`)
      const run = loadWith(options, issuer, { path, connections, seconds })
      const found = await compare([world.legacy, world.proxyPass, world.ours], run, path === '/10m' ? 2 : 3, options.signal)
      const ours = found.get('Countersign')!
      for (const name of ['http-proxy 1.18', 'nginx proxy_pass']) rows.push(row('http', `throughput, ${connections} connections, ${size}`, ours.rps / found.get(name)!.rps, '×', name, undefined, `${Math.round(ours.rps)}/s against ${Math.round(found.get(name)!.rps)}/s`))
    }
  }
  return rows
}

const workers = async (options: PartOptions, issuer: Issuer): Promise<readonly Row[]> => {
  options.log('two workers against one, 64 connections, 1 KB, nothing pinned')
  await using processes = new Processes()
  const [upstream, one, two] = await Promise.all([freePort(), freePort(), freePort()])
  await processes.start('upstream', upstreamCommand(join(options.directory), upstream), upstream)
  const contenders: Contender[] = []
  for (const [name, port, count] of [['one worker', one, 1], ['two workers', two, 2]] as const) {
    contenders.push({ name, port, pids: [await processes.start(name, await replicaCommand(options.directory, { name: name.replace(' ', '-'), port, upstream, issuer, workers: count }), port)] })
  }
  const run: Run = async (contender) => {
    const before = cpuOf(contender)
    const result = await wrk(options.directory, { url: `http://127.0.0.1:${contender.port}/1k`, connections: 64, seconds: 1, headers: { authorization: `Bearer ${issuer.token}` } })
    return { ...result, cpuMicros: (cpuOf(contender) - before) / result.requests }
  }
  for (const contender of contenders) await warmUp(contender, run, options.quick ? warmRequests / 3 : warmRequests)
  const found = await compare(contenders, run, options.quick ? 2 : 7, options.signal)
  const [single, double] = [found.get('one worker')!, found.get('two workers')!]
  const micros = `processor ${Math.round(double.cpu)} µs against ${Math.round(single.cpu)} µs a request`
  return [
    row('http', 'throughput, two workers', double.rps / single.rps, '×', 'one worker', '>= 1.6', `${Math.round(double.rps)}/s against ${Math.round(single.rps)}/s; ${micros}`),
    row('http', 'capacity, two workers with a processor each (calculated)', (2 * single.cpu) / double.cpu, '×', 'one worker', '>= 1.6', `twice the processors, by what a request takes of them: ${micros}`),
  ]
}
