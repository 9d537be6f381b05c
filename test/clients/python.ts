/** `npm run clients:python`: Python's drivers do the same directly and through Countersign. Fetches them from PyPI into var/python at the first time. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { startProxiedPostgres } from '../support/proxied-postgres.ts'
import { ways } from './ways.ts'

const place = join(resolve(import.meta.dirname, '..', '..'), 'var', 'python')
const python = join(place, 'bin', 'python')
const drivers = ['psycopg[binary]==3.3.9', 'asyncpg==0.32.0', 'sqlalchemy==2.1.9']

const installed = join(place, 'drivers.txt')
const wanted = `${drivers.join('\n')}\n`

if (!existsSync(installed) || readFileSync(installed, 'utf8') !== wanted) {
  execFileSync('python3', ['-m', 'venv', place], { stdio: 'inherit' })
  execFileSync(python, ['-m', 'pip', 'install', '--quiet', ...drivers], { stdio: 'inherit' })
  writeFileSync(installed, wanted)
}

const fixture = `
  create table things (id int primary key, name text, born date, weight numeric(6, 2), extra jsonb, photo bytea);
  insert into things select n, 'thing ' || n, date '1950-01-01' + n, n / 3.0, jsonb_build_object('n', n), decode(lpad(to_hex(n), 8, '0'), 'hex') from generate_series(1, 500) n;
  create table notes (id serial primary key, text text not null constraint said check (text <> ''));
  analyze;
`

const run = async (script: string, env: NodeJS.ProcessEnv): Promise<unknown> => {
  const child = spawn(python, [join(import.meta.dirname, script)], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [code] = await once(child, 'close', { signal: AbortSignal.timeout(60_000) })
  assert.equal(code, 0)
  return JSON.parse(output)
}

{
  await using proxied = await startProxiedPostgres({ postgres: { init: fixture } })
  const [direct, ours] = await ways(proxied)
  assert.deepEqual(await run('python.py', ours.env), await run('python.py', direct.env))
  process.stdout.write('psycopg, asyncpg and SQLAlchemy find the same directly and through Countersign\n')
}
{
  await using proxied = await startProxiedPostgres({ listener: { login: 'oauthbearer', oauth: { issuer: 'corp' } } })
  const [, { env }] = await ways(proxied)
  const { PGPASSWORD: token, ...place } = env
  const issuer = proxied.issuer.issuer
  // libpq takes an issuer without TLS in this mode only.
  const found = await run('oauth.py', { ...place, TOKEN: token, ISSUER: issuer, PGOAUTHDEBUG: 'UNSAFE' })
  const asked = [`${issuer}/.well-known/openid-configuration`, 'openid']
  assert.deepEqual(found, { in: 7, refused: 'The token was not accepted.', asked: [asked, asked] })
  process.stdout.write('libpq 18 logs in by OAUTHBEARER\n')
}
