import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { npmPostgres, serverUser, type PostgresBinaries } from './postgres-binaries.ts'

/** The tour's own PostgreSQL with the database `crm`, new at every start and gone at its end. */
export interface Database extends AsyncDisposable {
  readonly host: '127.0.0.1'
  readonly port: number
  readonly major: number
  /** What Countersign logs in as. */
  readonly user: 'crm_app'
  readonly password: string
}

const start = (binaries: PostgresBinaries, folder: string, port: number): ChildProcess =>
  spawn(join(binaries.directory, 'postgres'), ['-D', join(folder, 'data'), '-k', folder, '-p', String(port), '-h', '127.0.0.1', '-c', 'fsync=off', '-c', 'shared_buffers=16MB'], {
    stdio: ['ignore', 'ignore', 'ignore'],
    cwd: folder,
    env: binaries.env,
    // A group of its own: Ctrl-C in the terminal ends Countersign first, and we end the database.
    detached: true,
    ...serverUser(),
  })

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

/** The database, or in words why this machine has none. */
export const startDatabase = async (port: number): Promise<Database | { readonly problem: string }> => {
  const found = npmPostgres()
  if ('problem' in found) return found
  const { binaries } = found
  const folder = mkdtempSync(join(tmpdir(), 'countersign-crm-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  const user = serverUser()
  if (user !== undefined) chownSync(folder, user.uid, user.gid)
  const made = spawnSync(join(binaries.directory, 'initdb'), ['-D', join(folder, 'data'), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], { encoding: 'utf8', cwd: folder, env: binaries.env, ...user })
  if (made.status !== 0) {
    remove()
    return { problem: `initdb failed: ${(made.error?.message ?? made.stderr).trim()}` }
  }
  writeFileSync(join(folder, 'data', 'pg_hba.conf'), 'local all postgres trust\nhost crm crm_app 127.0.0.1/32 scram-sha-256\n')
  const child = start(binaries, folder, port)
  child.once('error', () => {})
  const end = (): void => {
    child.kill('SIGQUIT')
    remove()
  }
  process.once('exit', end)
  const dispose = async (): Promise<void> => {
    process.removeListener('exit', end)
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit')
      child.kill('SIGQUIT')
      await ended
    }
    remove()
  }
  if (!(await ready(child, folder, port))) {
    await dispose()
    return { problem: `PostgreSQL did not start on port ${port}` }
  }
  await fill(folder, port)
  return { host: '127.0.0.1', port, major: binaries.major, user: 'crm_app', password: 'crm-app-secret', [Symbol.asyncDispose]: dispose }
}
