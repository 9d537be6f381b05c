import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectNet, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { promisify } from 'node:util'
import fc from 'fast-check'
import pg from 'pg'
import { readFields, readKeyData } from '../../../src/protocols/postgres/codec/backend.ts'
import { frontend } from '../../../src/protocols/postgres/codec/frontend.ts'
import { cancelRequest, sslRequest, startupPacket } from '../../../src/protocols/postgres/codec/greeting.ts'
import { passwordMessage } from '../../../src/protocols/postgres/codec/proof.ts'
import { message } from '../../../src/protocols/postgres/codec/writing.ts'
import { Refusal } from '../../../src/model/refusal.ts'
import type { Serve } from '../../../src/protocols/postgres/arrival.ts'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { makeTls } from '../../support/postgres-tls.ts'
import { until } from '../../support/until.ts'
import { collect, framesOf, type RawClient, rawClient, serviceFor, startWorld, worldFor, type World } from './world.ts'

let started: Promise<TestPostgres> | undefined
const server = (): Promise<TestPostgres> => (started ??= startPostgres({ auth: 'scram-sha-256' }))
const folder = mkdtempSync(join(tmpdir(), 'countersign-listener-'))
const certificate = await makeTls(folder)
after(async () => {
  rmSync(folder, { recursive: true, force: true })
  await (await started)?.[Symbol.asyncDispose]()
})
const tls = { certFile: certificate.cert, keyFile: certificate.key }
const ca = readFileSync(certificate.ca, 'utf8')

const hello = startupPacket(0, [['user', 'anybody'], ['database', 'crm']])
const gssRequest = Buffer.from('0000000804d21630', 'hex')
const select1 = message(frontend.query, 'select 1\0')

const types = (bytes: Buffer): string => framesOf(bytes).map(({ type }) => String.fromCharCode(type)).join('')
const errorOf = (raw: RawClient): Record<string, string> => {
  const found = framesOf(raw.received()).find(({ type }) => type === 0x45)
  return found === undefined ? {} : Object.fromEntries(readFields(found))
}

/** A client that is logged in. */
const loggedIn = async ({ port }: World, as = 'alice'): Promise<RawClient> => {
  const raw = rawClient(port, hello, passwordMessage(as))
  await raw.until('Z')
  return raw
}

const firstByte = (socket: Socket): Promise<string> => new Promise((resolve) => socket.once('data', (bytes: Buffer) => resolve(bytes.toString('latin1'))))

/** As strict as libpq 18: an end of TLS that is not announced is an error. */
const cancelThroughTls = async (port: number, request: Buffer): Promise<void> => {
  const child = spawn('openssl', ['s_client', '-quiet', '-verify_quiet', '-CAfile', certificate.ca, '-alpn', 'postgresql', '-connect', `127.0.0.1:${port}`], { stdio: ['pipe', 'ignore', 'pipe'] })
  let complaint = ''
  child.stderr.on('data', (bytes: Buffer) => (complaint += bytes.toString()))
  child.stdin.write(request)
  const [code] = (await once(child, 'close')) as [number]
  assert.equal(code, 0, complaint)
}

const direct = (port: number, ALPNProtocols: readonly string[]): TLSSocket => connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca, ALPNProtocols: [...ALPNProtocols] })

describe('TLS', () => {
  test('psql and node-postgres verify us, and what they send comes through TLS', async () => {
    await using world = await startWorld([serviceFor((await server()).port)], { tls, plaintext: 'never' })
    const { stdout } = await promisify(execFile)('psql', ['-XAtqc', 'select 41 + 1', `host=localhost hostaddr=127.0.0.1 port=${world.port} user=a dbname=crm sslmode=verify-full sslrootcert=${certificate.ca}`], { env: { PATH: process.env['PATH'], PGPASSWORD: 'alice' } })
    assert.equal(stdout.trim(), '42')
    const client = new pg.Client({ host: 'localhost', port: world.port, user: 'a', database: 'crm', password: 'bob', ssl: { ca } })
    await client.connect()
    assert.equal((await client.query('select 1')).rowCount, 1)
    await client.end()
    assert.deepEqual(world.arrivals.map(({ caller, client: socket }) => [caller.subject, 'encrypted' in socket]), [['alice', true], ['bob', true]])
  })

  test('a client may begin with TLS at once, if it says inside that it means PostgreSQL', async () => {
    await using world = await startWorld([serviceFor((await server()).port)], { tls })
    const socket = direct(world.port, ['postgresql'])
    const raw = collect(socket, hello, passwordMessage('alice'))
    await raw.until('Z')
    socket.destroy()
    for (const protocols of [[], ['http/1.1']]) {
      const other = collect(direct(world.port, protocols), hello, passwordMessage('alice'))
      await until('the connection to be closed', () => other.socket.closed)
      assert.equal(other.received().length, 0)
    }
    assert.equal(world.claims.length, 1)
  })

  test('a request to cancel may come through TLS as well', async () => {
    let cancelled = 0
    await using world = await startWorld([serviceFor((await server()).port)], { tls }, ({ client, cancelled: listen }) => {
      listen(() => cancelled++)
      return new Promise((resolve) => client.once('close', () => resolve()))
    })
    const raw = collect(direct(world.port, ['postgresql']), startupPacket(2, [['user', 'a'], ['database', 'crm']]), passwordMessage('alice'))
    const { pid, key } = readKeyData(await raw.until('K'))
    await cancelThroughTls(world.port, cancelRequest(pid, key))
    assert.equal(cancelled, 1)
    raw.socket.destroy()
  })

  test('plaintext in one segment with the request for TLS is never read; it is put on record', async () => {
    await using world = await startWorld([serviceFor((await server()).port)], { tls, plaintext: 'anywhere' })
    for (const request of [sslRequest, gssRequest]) {
      const raw = rawClient(world.port, request, hello, passwordMessage('root'), select1)
      await until('the connection to be closed', () => raw.socket.closed)
      assert.equal(raw.received().length, 0)
    }
    assert.equal(world.claims.length, 0)
    assert.deepEqual(world.events.map((event) => [event.type, 'step' in event && event.step]), [['authentication-failed', 'transport'], ['authentication-failed', 'transport']])
  })

  test('plaintext between our yes and the handshake is taken for a handshake, and fails as one', async () => {
    await using world = await startWorld([serviceFor((await server()).port)], { tls, plaintext: 'anywhere' })
    const socket = connectNet(world.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(sslRequest)
    assert.equal(await firstByte(socket), 'S')
    socket.write(Buffer.concat([hello, passwordMessage('root')]))
    await until('the connection to be closed', () => socket.closed)
    assert.equal(world.claims.length, 0)
  })

  test('GSSAPI is declined, TLS may follow; each is asked for once and not inside TLS', async () => {
    await using world = await startWorld([serviceFor((await server()).port)], { tls })
    const socket = connectNet(world.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(gssRequest)
    assert.equal(await firstByte(socket), 'N')
    socket.write(sslRequest)
    assert.equal(await firstByte(socket), 'S')
    const secure = connectTls({ socket, servername: 'localhost', ca })
    const inside = collect(secure, sslRequest)
    await inside.until('E')
    assert.equal(errorOf(inside)['C'], '08P01')
    const twice = connectNet(world.port, '127.0.0.1')
    twice.write(gssRequest)
    assert.equal(await firstByte(twice), 'N')
    const again = collect(twice, gssRequest)
    await again.toEnd()
    assert.equal(errorOf(again)['C'], '08P01')
  })

  test('where TLS is not configured it is declined, and a handshake is not answered', async () => {
    await using world = await worldFor(await server())
    const socket = connectNet(world.port, '127.0.0.1')
    socket.write(sslRequest)
    assert.equal(await firstByte(socket), 'N')
    const plain = collect(socket, hello, passwordMessage('alice'))
    await plain.until('Z')
    socket.destroy()
    const refused = collect(direct(world.port, ['postgresql']))
    await until('the connection to be closed', () => refused.socket.closed)
    assert.equal(refused.received().length, 0)
  })

  test('a token in the clear is refused before it is asked for', async () => {
    await using world = await startWorld([serviceFor((await server()).port)], { tls, plaintext: 'never' })
    const raw = rawClient(world.port, hello)
    await raw.toEnd()
    assert.equal(types(raw.received()), 'E')
    assert.equal(errorOf(raw)['C'], '28000')
    assert.match(errorOf(raw)['H'] ?? '', /sslmode/)
  })

  test('new certificates are taken over', async () => {
    await using world = await startWorld([serviceFor((await server()).port)], { tls })
    const other = mkdtempSync(join(tmpdir(), 'countersign-listener-'))
    try {
      const next = await makeTls(other)
      world.listener.prepare({ ...world.options, tls: { certFile: next.cert, keyFile: next.key } })()
      const socket = connectTls({ port: world.port, host: '127.0.0.1', servername: 'localhost', ca: readFileSync(next.ca, 'utf8'), ALPNProtocols: ['postgresql'] })
      await collect(socket, hello, passwordMessage('alice')).until('Z')
      socket.destroy()
    } finally {
      rmSync(other, { recursive: true, force: true })
    }
  })
})

describe('strangers', () => {
  test('whatever bytes come, in the clear or as a handshake, nobody is asked anything and the next client is served', async () => {
    await using world = await startWorld([serviceFor((await server()).port)], { tls, timeouts: { startupMs: 100, sessionRecheckMs: 60_000 }, limits: { connections: 500, connectionsPerCaller: 5, tokenBytes: 1_000, sqlBytes: 1_000, parameterBytes: 1_000 } })
    const bytes = fc.uint8Array({ maxLength: 60 }).map((raw) => Buffer.from(raw))
    const spoilt = fc.tuple(fc.nat(hello.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, by]) => {
      const copy = Buffer.from(hello)
      copy[at] = (copy[at] ?? 0) ^ by
      return Buffer.concat([copy, Buffer.from('70000000', 'hex')])
    })
    const strange = fc.oneof(bytes, bytes.map((raw) => Buffer.concat([Buffer.from([0x16]), raw])), bytes.map((raw) => Buffer.concat([hello, raw])), spoilt)
    await Promise.all(fc.sample(strange, 200).map((sent) => rawClient(world.port, sent)).map(({ socket }) => until('the connection to be closed', () => socket.closed, 20_000)))
    assert.equal(world.claims.length, 0)
    assert.doesNotMatch(world.logged.join(), /nobody foresaw/)
    world.listener.prepare({ ...world.options, timeouts: { startupMs: 10_000, sessionRecheckMs: 60_000 } })()
    const raw = await loggedIn(world)
    raw.socket.destroy()
  })
})

describe('limits', () => {
  const limits = { connections: 3, connectionsPerCaller: 2, tokenBytes: 1_000, sqlBytes: 1_000, parameterBytes: 1_000 }

  test('one caller has its share, all have the rest; a place that is left is free again', async () => {
    await using world = await worldFor(await server(), { limits })
    const [one, two] = [await loggedIn(world), await loggedIn(world)]
    const third = rawClient(world.port, hello, passwordMessage('alice'))
    await third.toEnd()
    assert.deepEqual([errorOf(third)['S'], errorOf(third)['C']], ['FATAL', '53300'])
    const bob = await loggedIn(world, 'bob')
    const carol = rawClient(world.port, hello, passwordMessage('carol'))
    await carol.toEnd()
    assert.equal(errorOf(carol)['C'], '53300')
    one.socket.destroy()
    const again = await until('a place', async () => {
      const raw = rawClient(world.port, hello, passwordMessage('alice'))
      return until('an answer', () => /[EZ]/.exec(types(raw.received()).slice(1))?.[0]).then((answer) => (answer === 'Z' ? raw : undefined))
    })
    for (const raw of [two, bob, again]) raw.socket.destroy()
  })

  test('a login that fails takes no place, and who has not logged in holds none', async () => {
    await using world = await worldFor(await server(), { limits })
    const waiting = Array.from({ length: 5 }, () => rawClient(world.port, hello))
    for (const raw of waiting) await raw.until('R')
    for (let n = 0; n < 5; n++) await rawClient(world.port, hello, passwordMessage('bad')).toEnd()
    for (let n = 0; n < 3; n++) await rawClient(world.port, startupPacket(0, [['user', 'a'], ['database', 'nowhere']]), passwordMessage('alice')).toEnd()
    const raw = await loggedIn(world)
    for (const { socket } of [raw, ...waiting]) socket.destroy()
  })

  test('who comes slowly keeps nobody out, however many they are', async () => {
    await using world = await worldFor(await server(), { limits })
    const session = await loggedIn(world)
    const slow = Array.from({ length: 400 }, () => rawClient(world.port, hello.subarray(0, 5)))
    await until('all to have come', () => slow.every(({ socket }) => !socket.connecting))
    const raw = await loggedIn(world, 'bob')
    assert.equal(session.socket.closed, false)
    await until('those who came first to be sent away', () => slow.filter(({ socket }) => socket.closed).length >= 400 - 259)
    for (const { socket } of [session, raw, ...slow]) socket.destroy()
  })

  test('who does not come to the point is closed', async () => {
    await using world = await worldFor(await server(), { timeouts: { startupMs: 50, sessionRecheckMs: 60_000 } })
    for (const bytes of [Buffer.alloc(0), hello.subarray(0, 5), hello, Buffer.concat([hello, passwordMessage('alice').subarray(0, 7)])]) {
      const raw = rawClient(world.port, bytes)
      await raw.toEnd()
      assert.match(types(raw.received()), /^R?E$/)
    }
    assert.equal(world.claims.length, 0)
  })

  test('a session is not bound by the time for logging in', async () => {
    await using world = await worldFor(await server(), { timeouts: { startupMs: 1_000, sessionRecheckMs: 60_000 } })
    const raw = await loggedIn(world)
    const late = rawClient(world.port, hello)
    await late.toEnd()
    raw.socket.write(select1)
    await until('an answer', () => types(raw.received()).endsWith('ZTDCZ'))
    raw.socket.destroy()
  })
})

describe('a reload', () => {
  test('counts for those who come from now on', async () => {
    const { port } = await server()
    await using world = await startWorld([serviceFor(port)])
    const before = await loggedIn(world)
    world.listener.prepare({ ...world.options, services: [serviceFor(port, { databases: ['renamed'] })], limits: { ...world.options.limits, sqlBytes: 7 } })()
    const raw = rawClient(world.port, hello, passwordMessage('alice'))
    await raw.toEnd()
    assert.equal(errorOf(raw)['C'], '3D000')
    before.socket.write(select1)
    await until('an answer', () => types(before.received()).endsWith('ZTDCZ'))
    assert.equal(world.arrivals[0]?.limits().sqlBytes, 7)
    before.socket.destroy()
  })
})

describe('the right to a session', () => {
  const ended = (): { readonly serve: Serve; readonly reason: () => unknown } => {
    let reason: unknown
    return { reason: () => reason, serve: (arrival) => new Promise((resolve) => arrival.ended.addEventListener('abort', () => resolve(void (reason = arrival.ended.reason)))) }
  }

  test('is over when the token comes to its end', async () => {
    const session = ended()
    await using world = await startWorld([serviceFor((await server()).port)], {}, session.serve)
    const raw = await loggedIn(world, 'short 300')
    await raw.toEnd()
    assert.deepEqual(world.events.map(({ type }) => type), ['session-ended'])
    assert.ok(session.reason() instanceof Refusal)
  })

  test('is over when the identity is not good any more, and not while nobody can say', async () => {
    const session = ended()
    const answers = [new Refusal('identity-unavailable', 'down'), undefined, new Refusal('identity-unavailable', 'down'), new Refusal('bad-identity', 'gone')]
    let asked = 0
    const recheck = (): undefined => {
      const answer = answers[asked++]
      if (answer !== undefined) throw answer
    }
    await using world = await startWorld([serviceFor((await server()).port)], { timeouts: { startupMs: 10_000, sessionRecheckMs: 20 } }, session.serve, recheck)
    const raw = await loggedIn(world)
    await raw.toEnd()
    assert.equal(asked, answers.length)
    assert.deepEqual(world.events.map(({ type }) => type), ['session-ended'])
  })
})

describe('draining', () => {
  test('who comes is sent away, who is there is told, and requests to cancel still count', async () => {
    await using world = await worldFor(await server())
    let told = false
    let cancelled = false
    let leave = (): void => {}
    await using holding = await startWorld([serviceFor((await server()).port)], {}, ({ draining, cancelled: listen }) => {
      draining.addEventListener('abort', () => (told = true))
      listen(() => (cancelled = true))
      return new Promise((resolve) => (leave = resolve))
    })
    const raw = await loggedIn(holding)
    const drained = holding.listener.drain(60_000)
    assert.ok(told)
    const late = rawClient(holding.port, hello, passwordMessage('bob'))
    await late.toEnd()
    assert.deepEqual([types(late.received()), errorOf(late)['S'], errorOf(late)['C']], ['E', 'FATAL', '57P03'])
    const { pid, key } = readKeyData(await raw.until('K'))
    await rawClient(holding.port, cancelRequest(pid, key)).toEnd()
    assert.ok(cancelled)
    leave()
    await drained
    await raw.toEnd()

    const idle = await loggedIn(world)
    await world.listener.drain(60_000)
    await idle.toEnd()
    assert.equal(errorOf(idle)['C'], '57P01')
  })

  test('what does not end within the grace is closed, with its session at the server', async () => {
    await using world = await startWorld([serviceFor((await server()).port)], {}, ({ client }) => new Promise((resolve) => client.once('close', () => resolve())))
    const raw = await loggedIn(world)
    const silent = rawClient(world.port, hello)
    await silent.until('R')
    await world.listener.drain(10)
    for (const { socket } of [raw, silent]) await until('the connection to be closed', () => socket.closed)
    await until('the session at the server to end', async () => (await (await server()).query("select 1 from pg_stat_activity where usename = 'app_scram'")).length === 0)
  })

  test('a session that fails is logged and closed, and the others go on', async () => {
    let first = true
    await using world = await startWorld([serviceFor((await server()).port)], {}, async ({ client }) => {
      if (first) {
        first = false
        throw new Error('a bug')
      }
      await new Promise((resolve) => client.once('close', resolve))
    })
    const failed = await loggedIn(world)
    await failed.toEnd()
    assert.match(world.logged.join(), /nobody foresaw/)
    const raw = await loggedIn(world)
    raw.socket.destroy()
  })
})
