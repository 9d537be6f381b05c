import { spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { npmPostgres, serverUser, type PostgresBinaries } from './postgres-binaries.ts'
import { spawnTied } from './tied.ts'

/** The tour's own PostgreSQL with the database `crm`, new at every start and gone at its end. */
export interface Database extends AsyncDisposable {
  readonly host: '127.0.0.1'
  readonly port: number
  readonly major: number
  /** What Countersign logs in as. */
  readonly user: 'crm_app'
  readonly password: string
}

const start = (binaries: PostgresBinaries, folder: string, port: number): ChildProcess => {
  const log = openSync(logOf(folder), 'w')
  const options = ['-D', join(folder, 'data'), '-k', folder, '-p', String(port), '-h', '127.0.0.1', '-c', 'fsync=off', '-c', 'shared_buffers=16MB']
  const child = spawnTied(join(binaries.directory, 'postgres'), options, { cwd: folder, env: binaries.env, signal: 'SIGQUIT', folder, output: log, ...serverUser() })
  closeSync(log)
  return child
}

const logOf = (folder: string): string => join(folder, 'log')

const connect = async (folder: string, port: number, database: string): Promise<pg.Client> => {
  const client = new pg.Client({ host: folder, port, user: 'postgres', database })
  await client.connect()
  return client
}

const ready = async (child: ChildProcess, folder: string, port: number): Promise<boolean> => {
  for (const end = Date.now() + 20_000; Date.now() < end && child.exitCode === null; ) {
    const client = await connect(folder, port, 'postgres').catch(() => undefined)
    if (client !== undefined) return client.end().then(() => true)
    await new Promise((resume) => setTimeout(resume, 50))
  }
  return false
}

const fill = async (folder: string, port: number): Promise<void> => {
  const first = await connect(folder, port, 'postgres')
  await first.query('create database crm')
  await first.end()
  const crm = await connect(folder, port, 'crm')
  await crm.query(readFileSync(join(import.meta.dirname, 'crm.sql'), 'utf8'))
  await crm.end()
}

const create = (binaries: PostgresBinaries, folder: string): void => {
  const user = serverUser()
  if (user !== undefined) chownSync(folder, user.uid, user.gid)
  const made = spawnSync(join(binaries.directory, 'initdb'), ['-D', join(folder, 'data'), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], { encoding: 'utf8', cwd: folder, env: binaries.env, ...user })
  if (made.status !== 0) throw new Error(`initdb failed: ${(made.error?.message ?? made.stderr).trim()}`)
  writeFileSync(join(folder, 'data', 'pg_hba.conf'), 'local all postgres trust\nhost crm crm_app 127.0.0.1/32 scram-sha-256\n')
}

const begin = async (port: number): Promise<Database> => {
  const found = npmPostgres()
  if ('problem' in found) throw new Error(found.problem)
  const { binaries } = found
  await using begun = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'countersign-crm-'))
  begun.defer(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  create(binaries, folder)
  const child = start(binaries, folder, port)
  const ended = once(child, 'exit').catch(() => {})
  begun.defer(async () => {
    child.kill('SIGQUIT')
    await ended
  })
  if (!(await ready(child, folder, port))) throw new Error(`PostgreSQL did not start on port ${port}: ${readFileSync(logOf(folder), 'utf8').trim()}`)
  await fill(folder, port)
  const life = begun.move()
  return { host: '127.0.0.1', port, major: binaries.major, user: 'crm_app', password: 'crm-app-secret', [Symbol.asyncDispose]: () => life.disposeAsync() }
}

/** The database, or in words why this machine has none. */
export const startDatabase = (port: number): Promise<Database | { readonly problem: string }> => begin(port).catch((error: unknown) => ({ problem: error instanceof Error ? error.message : String(error) }))
