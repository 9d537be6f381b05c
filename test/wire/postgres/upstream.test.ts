import assert from 'node:assert/strict'
import { createHmac, createHash, pbkdf2Sync } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { Secret } from '../../../src/lib/secret.ts'
import { causeText, Refusal } from '../../../src/model/refusal.ts'
import { backend } from '../../../src/protocols/postgres/codec/backend.ts'
import { frontend } from '../../../src/protocols/postgres/codec/frontend.ts'
import { sslRequest } from '../../../src/protocols/postgres/codec/greeting.ts'
import { passwordMessage } from '../../../src/protocols/postgres/codec/proof.ts'
import { authenticationCleartext, authenticationOk, authenticationSasl, authenticationSaslContinue, errorResponse, keyData, parameterStatus, readyForQuery } from '../../../src/protocols/postgres/codec/reply.ts'
import { int32, message } from '../../../src/protocols/postgres/codec/writing.ts'
import type { PostgresRole, PostgresTarget } from '../../../src/protocols/postgres/options.ts'
import { type Backend, connectUpstream } from '../../../src/protocols/postgres/upstream.ts'
import { loginRoles, startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { makeTls } from '../../support/postgres-tls.ts'
import { until } from '../../support/until.ts'
import { type RogueTalk, startRogue } from './rogue.ts'
import { serviceFor } from './world.ts'

const word = 'correct horse battery'
const scramRole: PostgresRole = { user: loginRoles.scram.user, password: new Secret(loginRoles.scram.password) }
const md5Role: PostgresRole = { user: loginRoles.md5.user, password: new Secret(loginRoles.md5.password) }

const open = (target: PostgresTarget, role: PostgresRole = scramRole, parameters: ReadonlyMap<string, string> = new Map()): Promise<Backend> =>
  connectUpstream(target, role, { applicationName: 'test', parameters }, AbortSignal.timeout(10_000))

const refused = async (target: PostgresTarget, cause: RegExp, role?: PostgresRole): Promise<void> => {
  const error = await open(target, role).then(() => undefined, (reason: unknown) => reason)
  assert.ok(error instanceof Refusal)
  assert.equal(error.code, 'upstream-unavailable')
  assert.match(causeText(error.cause) ?? '', cause)
  assert.doesNotMatch(error.message, /127\.0\.0\.1|localhost|app_/)
}

/** One row of one column, asked over the bare socket. */
const ask = async ({ socket }: Backend, sql: string): Promise<string> => {
  const chunks: Buffer[] = []
  const listen = (bytes: Buffer): void => void chunks.push(bytes)
  socket.on('data', listen).resume()
  socket.write(message(frontend.query, `${sql}\0`))
  const end = readyForQuery('I')
  await until('the answer', () => Buffer.concat(chunks).subarray(-6).equals(end))
  socket.off('data', listen).pause()
  return Buffer.concat(chunks).toString('latin1')
}

describe('our login at a real server', () => {
  const servers = new Map<string, Promise<TestPostgres>>()
  const server = (kind: 'scram tls' | 'scram plain' | 'md5' | 'password tls' | 'trust'): Promise<TestPostgres> => {
    const known = servers.get(kind)
    if (known) return known
    const made = startPostgres({
      auth: kind === 'md5' ? 'md5' : kind === 'trust' ? 'trust' : kind === 'password tls' ? 'password' : 'scram-sha-256',
      ...(kind.endsWith('tls') ? { tls: 'required' as const, certificateNames: ['DNS:localhost'] } : {}),
      init: "create role odd login password 'p'; alter role odd set standard_conforming_strings = off",
    })
    servers.set(kind, made)
    return made
  }
  after(async () => {
    for (const made of servers.values()) await (await made)[Symbol.asyncDispose]()
  })

  test('SCRAM with channel binding inside TLS whose certificate is for this name', async () => {
    const { port, tls } = await server('scram tls')
    await using session = await open(serviceFor(port, { host: 'localhost', tls: 'verify-full', caFile: tls?.ca ?? '' }))
    assert.equal(session.parameters.get('client_encoding'), 'UTF8')
    assert.ok(session.pid > 0 && session.key.length === 4 && session.rest.length === 0)
    assert.match(await ask(session, "select 'ssl=' || ssl from pg_stat_ssl where pid = pg_backend_pid()"), /ssl=true/)
  })

  test('a certificate for another name is good enough for verify-ca and require, and for nothing more', async () => {
    const { port, tls } = await server('scram tls')
    await refused(serviceFor(port, { tls: 'verify-full', caFile: tls?.ca ?? '' }), /does not match/)
    await using one = await open(serviceFor(port, { tls: 'verify-ca', caFile: tls?.ca ?? '' }))
    await using two = await open(serviceFor(port, { tls: 'require' }))
    assert.ok(one.pid !== two.pid)
  })

  test('an authority that nobody has told us of is refused', async () => {
    const { port } = await server('scram tls')
    await refused(serviceFor(port, { host: 'localhost', tls: 'verify-full' }), /self-signed certificate|unable to verify|issuer certificate/)
    await refused(serviceFor(port, { tls: 'verify-ca' }), /self-signed certificate|unable to verify|issuer certificate/)
  })

  test('plaintext only where it is configured, SCRAM without binding there', async () => {
    const { port } = await server('scram plain')
    await using session = await open(serviceFor(port))
    assert.match(await ask(session, 'select current_user'), /app_scram/)
    await refused(serviceFor(port, { tls: 'require' }), /does not offer TLS/)
  })

  test('MD5 only where it is allowed', async () => {
    const { port } = await server('md5')
    await refused(serviceFor(port), /MD5/, md5Role)
    await using session = await open(serviceFor(port, { allow: ['md5'] }), md5Role)
    assert.match(await ask(session, 'select current_user'), /app_md5/)
  })

  test('the password in clear only where it is allowed, inside TLS that has been verified', async () => {
    const { port, tls } = await server('password tls')
    const target = { host: 'localhost', caFile: tls?.ca ?? '', tls: 'verify-full' } as const
    await refused(serviceFor(port, target), /in clear/)
    await refused(serviceFor(port, { tls: 'require', allow: ['cleartext'] }), /in clear/)
    await using session = await open(serviceFor(port, { ...target, allow: ['cleartext'] }))
    assert.match(await ask(session, 'select current_user'), /app_scram/)
  })

  test('a server that asks for nothing is believed where it is allowed, or where there is nothing to prove', async () => {
    const { port } = await server('trust')
    await refused(serviceFor(port), /no proof of identity/)
    await using allowed = await open(serviceFor(port, { allow: ['trust'] }))
    await using bare = await open(serviceFor(port), { user: loginRoles.scram.user })
    assert.ok(allowed.pid !== bare.pid)
  })

  test('what is pinned and what passes is what the session has; a key of the server can cancel it', async () => {
    const { port } = await server('scram plain')
    await using session = await open(serviceFor(port, { searchPath: 'pinned, public' }), scramRole, new Map([['TimeZone', 'Asia/Tokyo']]))
    assert.match(await ask(session, "select current_setting('search_path') || '|' || current_setting('timezone') || '|' || current_setting('application_name')"), /pinned, public\|Asia\/Tokyo\|test/)
    const answer = ask(session, 'select pg_sleep(60)')
    await until('the statement to run', async () => (await (await server('scram plain')).query("select 1 from pg_stat_activity where query like 'select pg_sleep%'")).length > 0)
    await session.cancel(AbortSignal.timeout(5_000))
    assert.match(await answer, /57014/)
  })

  test('however often it is asked to cancel, there is one connection for it at a time', async () => {
    const { port } = await server('scram plain')
    await using rogue = await startRogue({ talk: scramServer(word) })
    await using session = await open(serviceFor(rogue.port, { connectTimeoutMs: 200 }), rogueRole)
    const asked = Array.from({ length: 20 }, () => session.cancel(AbortSignal.timeout(5_000)))
    await Promise.allSettled(asked)
    assert.equal(rogue.connections(), 2)
    await using real = await open(serviceFor(port))
    await Promise.all([real.cancel(AbortSignal.timeout(5_000)), real.cancel(AbortSignal.timeout(5_000))])
    await real.cancel(AbortSignal.timeout(5_000))
  })

  test('a wrong password, and a role whose strings are read in another way', async () => {
    const { port } = await server('scram plain')
    await refused(serviceFor(port), /28P01/, { user: loginRoles.scram.user, password: new Secret('wrong') })
    await refused(serviceFor(port), /standard_conforming_strings/, { user: 'odd', password: new Secret('p') })
  })

  test('nobody there; nobody who answers', async () => {
    await refused(serviceFor(1), /ECONNREFUSED/)
    await using silent = await startRogue({})
    await assert.rejects(open(serviceFor(silent.port, { connectTimeoutMs: 100 })), { code: 'upstream-timeout' })
  })
})

/** The server's half of SCRAM, with whatever password it believes in. */
const scramServer = (password: string, change: { readonly iterations?: number; readonly signature?: string; readonly skipFinal?: boolean; readonly nonce?: string } = {}) => async ({ hear, say }: RogueTalk): Promise<void> => {
  say(authenticationSasl(['SCRAM-SHA-256']))
  const initial = (await hear()).toString('latin1')
  const bare = initial.slice(initial.indexOf('n=,r='))
  const iterations = change.iterations ?? 4_096
  const challenge = `r=${change.nonce ?? `${bare.slice(5)}server`},s=${Buffer.from('salt').toString('base64')},i=${iterations}`
  say(authenticationSaslContinue(challenge))
  const proof = (await hear()).subarray(5).toString('latin1')
  const salted = pbkdf2Sync(password, 'salt', iterations, 32, 'sha256')
  const serverKey = createHmac('sha256', salted).update('Server Key').digest()
  const signature = createHmac('sha256', serverKey).update(`${bare},${challenge},${proof.slice(0, proof.indexOf(',p='))}`).digest('base64')
  if (change.skipFinal !== true) say(message(backend.authentication, int32(12), `v=${change.signature ?? signature}`))
  say(authenticationOk, ...ready)
}

const ready = [parameterStatus('client_encoding', 'UTF8'), parameterStatus('standard_conforming_strings', 'on'), keyData(1, Buffer.alloc(4)), readyForQuery('I')]
const rogueRole: PostgresRole = { user: 'app', password: new Secret(word) }
const saying = (...bytes: readonly Buffer[]) => async ({ say }: RogueTalk): Promise<void> => say(...bytes)

describe('a false server', () => {
  test('the script of these tests is one that a true server could follow', async () => {
    await using rogue = await startRogue({ talk: scramServer(word) })
    await using session = await open(serviceFor(rogue.port), rogueRole)
    assert.equal(session.pid, 1)
  })

  const md5Salt = message(backend.authentication, int32(5), Buffer.from('salt'))
  const cases: readonly (readonly [name: string, talk: (talk: RogueTalk) => Promise<void>, cause: RegExp])[] = [
    ['asks for the password in clear', saying(authenticationCleartext), /in clear/],
    ['asks for an MD5 proof', saying(md5Salt), /MD5/],
    ['asks for Kerberos', saying(message(backend.authentication, int32(7))), /not known here/],
    ['lets us in without asking', saying(authenticationOk, ...ready), /no proof of identity/],
    ['has a wrong signature', scramServer(word, { signature: Buffer.alloc(32).toString('base64') }), /does not know the password/],
    ['does not know the password', scramServer('guess'), /does not know the password/],
    ['wants one iteration', scramServer(word, { iterations: 1 }), /1 iterations/],
    ['wants a billion iterations', scramServer(word, { iterations: 999_999_999 }), /iterations/],
    ['leaves out its final message', scramServer(word, { skipFinal: true }), /left out its half/],
    ['answers somebody else', scramServer(word, { nonce: 'another' }), /not for this login/],
    ['adds nothing of its own to the nonce', async ({ hear, say }) => {
      say(authenticationSasl(['SCRAM-SHA-256']))
      const initial = (await hear()).toString('latin1')
      say(authenticationSaslContinue(`r=${initial.slice(initial.indexOf('r=') + 2)},s=c2FsdA==,i=4096`))
    }, /not for this login/],
    ['begins with SCRAM and goes over to clear', async ({ hear, say }) => {
      say(authenticationSasl(['SCRAM-SHA-256']))
      await hear()
      say(authenticationCleartext)
    }, /left out its SCRAM challenge/],
    ['offers binding where there is no TLS', saying(authenticationSasl(['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'])), /without TLS/],
    ['offers what nobody knows', saying(authenticationSasl(['NTLM'])), /none of the ways/],
    ['goes on before it knows who we are', saying(...ready), /before it knew|went on/],
    ['refuses', saying(errorResponse(new Map([['S', 'FATAL'], ['C', '53300'], ['M', 'too many at 127.0.0.1']]))), /53300/],
    ['sends what is no message', saying(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')), /message of type "H"/],
    ['announces what it never sends', saying(Buffer.from('527fffffff', 'hex')), /more than/],
  ]
  for (const [name, talk, cause] of cases)
    test(`that ${name} gets nothing`, async () => {
      await using rogue = await startRogue({ talk })
      await refused(serviceFor(rogue.port), cause, rogueRole)
      const heard = rogue.heard().toString('latin1')
      const md5 = createHash('md5').update(createHash('md5').update(`${word}app`).digest('hex')).update('salt').digest('hex')
      for (const secret of [word, md5, passwordMessage(word).toString('latin1')]) assert.ok(!heard.includes(secret))
      if (!/signature|know the password|final|billion|somebody|nonce/.test(name)) assert.ok(!heard.includes(',p='))
      if (/iteration|somebody|nonce/.test(name)) assert.ok(!heard.includes(',p='))
    })

  for (const [why, settings, cause] of [
    ['in another encoding', [parameterStatus('client_encoding', 'LATIN1'), parameterStatus('standard_conforming_strings', 'on'), keyData(1, Buffer.alloc(4)), readyForQuery('I')], /client_encoding LATIN1/],
    ['where strings are read in another way', [parameterStatus('client_encoding', 'UTF8'), keyData(1, Buffer.alloc(4)), readyForQuery('I')], /standard_conforming_strings/],
    ['in a transaction', [parameterStatus('client_encoding', 'UTF8'), parameterStatus('standard_conforming_strings', 'on'), keyData(1, Buffer.alloc(4)), readyForQuery('T')], /state/],
    ['without a key', [parameterStatus('client_encoding', 'UTF8'), parameterStatus('standard_conforming_strings', 'on'), readyForQuery('I')], /state/],
    ['that asks again', [authenticationCleartext], /behind the last/],
  ] as const)
    test(`a session ${why} is none`, async () => {
      await using rogue = await startRogue({ talk: saying(authenticationOk, ...settings) })
      await refused(serviceFor(rogue.port, { allow: ['trust'] }), cause, rogueRole)
    })
})

const folder = mkdtempSync(join(tmpdir(), 'countersign-tls-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const certificate = await makeTls(folder, ['DNS:elsewhere.test'])

describe('TLS to a server', () => {
  for (const [why, tls, mode, cause] of [
    ['says no', Buffer.from('N'), 'verify-full', /does not offer TLS/],
    ['says no, where anybody would do', Buffer.from('N'), 'require', /does not offer TLS/],
    ['answers with an error', errorResponse(new Map([['M', 'no']])), 'verify-full', /does not offer TLS/],
    ['says yes and more', Buffer.from('Sx'), 'require', /plaintext behind/],
    ['has a certificate for another name', certificate, 'verify-full', /does not match/],
  ] as const)
    test(`a server that ${why} hears no word`, async () => {
      await using rogue = await startRogue({ tls })
      await refused(serviceFor(rogue.port, { host: 'localhost', tls: mode, caFile: certificate.ca }), cause, rogueRole)
      assert.deepEqual(rogue.heard(), sslRequest)
      assert.equal(rogue.connections(), 1)
    })

  test('a server of an unknown authority hears no word', async () => {
    await using rogue = await startRogue({ tls: certificate })
    await refused(serviceFor(rogue.port, { tls: 'verify-ca' }), /verify|issuer|self-signed/, rogueRole)
    assert.deepEqual(rogue.heard(), sslRequest)
  })
})
