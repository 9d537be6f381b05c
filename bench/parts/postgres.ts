import { startPostgres, type TestPostgres } from '../../test/support/postgres.ts'
import { findPostgres } from '../../test/support/postgres-binaries.ts'
import { freePort } from '../../test/support/ports.ts'
import { interleave, median, Processes, row, usage, type Part, type PartOptions, type Row } from '../frame.ts'
import { fillPgbench, pgbench, stream, type PgLoadOptions, type PgPlace } from '../pgbench.ts'
import { pgReplicaCommand } from '../servers/pg-replica.ts'
import { pgbouncerCommand } from '../servers/pgbouncer.ts'
import { makeIssuer, type Issuer } from '../servers/replica.ts'

interface Contender {
  readonly name: string
  readonly place: PgPlace
  /** Of the proxy; none for the server itself. */
  readonly pid: number | undefined
}

const why = 'the benchmark runs against a real server'

export const postgresPart: Part = {
  name: 'postgres',
  packages: [
    { command: 'postgres', package: 'postgresql', why, isThere: () => findPostgres() !== undefined },
    { command: 'pgbench', package: 'postgresql', why: 'the benchmark makes its load with it' },
    { command: 'pgbouncer', package: 'pgbouncer', why: 'the benchmark compares with it' },
  ],
  explanation: [
    'pgbench select-only, through PgBouncer (session pooling, nobody is asked who they are), through a relay in Node that only hands on bytes, through Countersign, and direct. Runs are interleaved and the figures are ratios of medians. Server, pgbench and proxy share all processors.',
    'Countersign runs with everything on: the token was checked, 50 rules are compiled in, every statement is parsed, resolved against the catalog and judged, and leaves its records in the journal.',
    'Streaming: 1 M rows of five columns, read and thrown away by the client. "One masked column" rewrites one value of each row.',
  ].join('\n'),
  run: async (options) => {
    const issuer = await makeIssuer(options.directory)
    await using server = await startPostgres({ settings: { shared_buffers: '512MB', max_connections: '300', log_statement: 'none', max_wal_size: '2GB' } })
    const own: PgPlace = { port: server.port, user: 'postgres', password: 'postgres', database: 'postgres' }
    options.log('filling the database')
    await fillPgbench(options.directory, own, options.quick ? 2 : 10)
    await fillWide(server, options.quick ? 200_000 : 1_000_000)
    await using processes = new Processes()
    const [direct, bouncer, relay, one] = [{ name: 'direct', place: own, pid: undefined }, await startBouncer(processes, options, own), await startRelay(processes, own), await startOurs(processes, options, own, issuer, 1)]
    const rows: Row[] = []
    rows.push(...(await latency(options, { direct, bouncer, relay, ours: one })))
    rows.push(...(await throughput(options, { direct, bouncer, relay, ours: one })))
    rows.push(...(await streaming(options, direct, one)))
    if (!options.quick) rows.push(...(await workers(processes, options, own, issuer, bouncer)))
    return rows
  },
}

const fillWide = async (server: TestPostgres, rows: number): Promise<void> => {
  await server.query(`create table wide as select n as id, 'person ' || n as name, 'person.' || n || '@example.org' as email, md5(n::text) as token, now() - n * interval '1 second' as at from generate_series(1, ${rows}) as n`)
  await server.query('vacuum analyze wide')
}

const startBouncer = async (processes: Processes, { directory }: PartOptions, own: PgPlace): Promise<Contender> => {
  const port = await freePort()
  const pid = await processes.start('pgbouncer', pgbouncerCommand(directory, port, own), port)
  return { name: 'PgBouncer', place: { ...own, port }, pid }
}

const startRelay = async (processes: Processes, own: PgPlace): Promise<Contender> => {
  const port = await freePort()
  const pid = await processes.start('relay', [process.execPath, 'bench/servers/pg-relay.ts', String(port), String(own.port)], port)
  return { name: 'a relay in Node', place: { ...own, port }, pid }
}

const startOurs = async (processes: Processes, { directory }: PartOptions, own: PgPlace, issuer: Issuer, workerCount: number): Promise<Contender> => {
  const port = await freePort()
  const name = workerCount === 1 ? 'one' : `workers-${workerCount}`
  const pid = await processes.start('countersign', await pgReplicaCommand(directory, { name, port, server: own, issuer, workers: workerCount }), port, { env: { BENCH_PG_PASSWORD: own.password } })
  return { name: workerCount === 1 ? 'Countersign' : `Countersign, ${workerCount} workers`, place: { port, user: 'bench', password: issuer.token, database: 'bench' }, pid }
}

interface Field {
  readonly direct: Contender
  readonly bouncer: Contender
  readonly relay: Contender
  readonly ours: Contender
}

interface Figures {
  readonly tps: number
  readonly cpu: number
  readonly p50: number
}

/** Processor time of what is not there is none. */
const spent = async <T>(pid: number | undefined, run: () => Promise<T>): Promise<{ readonly micros: number; readonly result: T }> => {
  const before = pid === undefined ? 0 : usage(pid).cpuMicros
  const result = await run()
  return { micros: pid === undefined ? 0 : usage(pid).cpuMicros - before, result }
}

/** The processor time of a transaction is that of a run without that of the logins: what a run of one transaction each takes. */
const measure = async (options: PartOptions, contenders: readonly Contender[], load: PgLoadOptions, rounds: number): Promise<Map<string, Figures>> => {
  const results = await interleave(
    contenders.map(({ name, place, pid }) => ({
      name,
      run: async () => {
        const logins = await spent(pid, () => pgbench(options.directory, place, { ...load, transactions: 1, latencies: false }))
        const { micros, result } = await spent(pid, () => pgbench(options.directory, place, load))
        return { ...result, cpu: (micros - logins.micros) / (result.transactions - logins.result.transactions) }
      },
    })),
    rounds,
    options.signal,
  )
  return new Map([...results].map(([name, all]) => [name, { tps: median(all.map(({ perSecond }) => perSecond)), cpu: median(all.map(({ cpu }) => cpu)), p50: median(all.map(({ p50Ms }) => p50Ms ?? 0)) }]))
}

/** What compiles itself while it runs is compared when it has done so. */
const warmUp = async (options: PartOptions, { place }: Contender): Promise<void> => {
  for (const mode of ['simple', 'extended', 'prepared'] as const) await pgbench(options.directory, place, { mode, clients: 8, transactions: options.quick ? 2_500 : 5_000 })
}

const latency = async (options: PartOptions, { direct, bouncer, relay, ours }: Field): Promise<readonly Row[]> => {
  options.log('latency: one client')
  for (const contender of [relay, ours]) await warmUp(options, contender)
  const rows: Row[] = []
  for (const mode of ['simple', 'extended', 'prepared'] as const) {
    const found = await measure(options, [direct, bouncer, relay, ours], { mode, clients: 1, transactions: options.quick ? 2_000 : 4_000, latencies: true }, options.quick ? 3 : 7)
    const [base, other, floor, mine] = [found.get(direct.name)!, found.get(bouncer.name)!, found.get(relay.name)!, found.get(ours.name)!]
    rows.push(row('postgres', `added p50, one client, ${mode}`, mine.p50 - base.p50, 'ms', 'direct', '<= 0.1', `${mine.p50.toFixed(3)} ms; PgBouncer ${other.p50.toFixed(3)} ms, ${relay.name} ${floor.p50.toFixed(3)} ms, direct ${base.p50.toFixed(3)} ms`))
  }
  return rows
}

const throughput = async (options: PartOptions, { direct, bouncer, relay, ours }: Field): Promise<readonly Row[]> => {
  const rows: Row[] = []
  for (const mode of ['simple', 'extended', 'prepared'] as const) {
    for (const clients of options.quick ? [32] : [1, 8, 32]) {
      options.log(`throughput: ${mode}, ${clients} clients`)
      const found = await measure(options, [direct, bouncer, relay, ours], { mode, clients, transactions: Math.ceil((options.quick ? 16_000 : 32_000) / (clients === 1 ? 8 : clients)) }, options.quick ? 3 : 5)
      const [base, other, floor, mine] = [found.get(direct.name)!, found.get(bouncer.name)!, found.get(relay.name)!, found.get(ours.name)!]
      const aimed = mode === 'prepared' && clients === 32
      const note = `${Math.round(mine.tps)}/s against ${Math.round(other.tps)}/s, direct ${Math.round(base.tps)}/s`
      rows.push(row('postgres', `throughput, ${mode}, ${clients} clients`, mine.tps / other.tps, '×', 'PgBouncer', aimed ? '>= 0.8' : undefined, note))
      rows.push(row('postgres', `throughput, ${mode}, ${clients} clients`, mine.tps / floor.tps, '×', relay.name))
      rows.push(row('postgres', `throughput, ${mode}, ${clients} clients`, mine.tps / base.tps, '×', 'direct'))
      rows.push(row('postgres', `processor time a transaction, ${mode}, ${clients} clients`, mine.cpu, 'µs', '', aimed ? '<= 20' : undefined, `PgBouncer ${other.cpu.toFixed(1)} µs, ${relay.name} ${floor.cpu.toFixed(1)} µs`))
    }
  }
  return rows
}

const streaming = async (options: PartOptions, direct: Contender, ours: Contender): Promise<readonly Row[]> => {
  const masked: Contender = { ...ours, name: 'one masked column', place: { ...ours.place, database: 'masked' } }
  options.log('streaming')
  let least = Number.POSITIVE_INFINITY
  let most = 0
  const look = (): void => {
    const { residentKb } = usage(ours.pid!)
    least = Math.min(least, residentKb)
    most = Math.max(most, residentKb)
  }
  const run = ({ place, pid }: Contender) => async () => {
    let chunks = 0
    const { bytes, seconds } = await streamFrom(place, () => {
      if (pid !== undefined && ++chunks % 200 === 0) look()
    })
    return bytes / seconds
  }
  const contenders = [direct, ours, masked]
  for (const contender of [ours, masked]) await run(contender)()
  least = Number.POSITIVE_INFINITY
  most = 0
  const results = await interleave(contenders.map((contender) => ({ name: contender.name, run: run(contender) })), options.quick ? 3 : 5, options.signal)
  const rate = (contender: Contender): number => median(results.get(contender.name)!)
  const speed = (contender: Contender): string => `${Math.round(rate(contender) / 1e6)} MB/s`
  return [
    row('postgres', 'rows streamed', rate(ours) / rate(direct), '×', 'direct', '>= 0.9', `${speed(ours)} against ${speed(direct)}`),
    row('postgres', 'rows streamed, one masked column', rate(masked) / rate(direct), '×', 'direct', '>= 0.8', `${speed(masked)} against ${speed(direct)}`),
    row('postgres', 'memory while rows are streamed, most above least', (most - least) / 1_024, 'MB', '', '<= 64', `${Math.round(least / 1_024)} MB to ${Math.round(most / 1_024)} MB`),
  ]
}

const streamFrom = (place: PgPlace, eachChunk: () => void) => stream(place, 'SELECT id, name, email, token, at FROM wide', eachChunk)

const workers = async (processes: Processes, options: PartOptions, own: PgPlace, issuer: Issuer, bouncer: Contender): Promise<readonly Row[]> => {
  options.log('throughput: two workers')
  const two = await startOurs(processes, options, own, issuer, 2)
  await warmUp(options, two)
  const found = await measure(options, [bouncer, two], { mode: 'prepared', clients: 32, transactions: 1_000 }, 5)
  const [other, mine] = [found.get(bouncer.name)!, found.get(two.name)!]
  return [row('postgres', 'throughput, prepared, 32 clients, two workers', mine.tps / other.tps, '×', 'PgBouncer', '>= 1', `${Math.round(mine.tps)}/s against ${Math.round(other.tps)}/s; processor ${mine.cpu.toFixed(1)} µs a transaction`)]
}
