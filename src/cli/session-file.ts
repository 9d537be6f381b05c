import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { Failure, type Io } from './io.ts'

/** A login at one server. The access token is sent to that server alone. */
export interface Session {
  readonly issuer: string
  readonly clientId: string
  readonly scopes: readonly string[]
  readonly resource?: string | undefined
  readonly accessToken: string
  readonly refreshToken?: string | undefined
  /** Milliseconds. */
  readonly expiresAt: number
}

export interface Sessions {
  /** The server that commands speak to when none is named. */
  readonly current?: string | undefined
  readonly servers: Readonly<Record<string, Session>>
}

const shape = z.strictObject({
  current: z.string().optional(),
  servers: z.record(z.string(), z.strictObject({ issuer: z.string(), clientId: z.string(), scopes: z.array(z.string()), resource: z.string().optional(), accessToken: z.string(), refreshToken: z.string().optional(), expiresAt: z.number() })),
})

const directoryOf = (io: Io): string => {
  const state = io.env['XDG_STATE_HOME']
  // As the base directory specification has it: a relative path there is to be ignored.
  return join(state?.startsWith('/') ? state : join(io.env['HOME'] ?? homedir(), '.local', 'state'), 'countersign')
}

const fileOf = (io: Io): string => join(directoryOf(io), 'sessions.json')

export const readSessions = async (io: Io): Promise<Sessions> => {
  const file = fileOf(io)
  let text: string
  try {
    text = await readFile(file, 'utf8')
    const { mode } = await stat(file)
    if ((mode & 0o077) !== 0) {
      io.stderr.write(`countersign: ${file} could be read by others; closed it. If others use this machine, log in again.\n`)
      await chmod(file, 0o600)
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { servers: {} }
    throw new Failure(`cannot read ${file}: ${(error as Error).message}`)
  }
  try {
    return shape.parse(JSON.parse(text))
  } catch {
    throw new Failure(`${file} is not what login wrote; remove it and log in again`)
  }
}

export const writeSessions = async (io: Io, sessions: Sessions): Promise<void> => {
  const file = fileOf(io)
  await mkdir(directoryOf(io), { recursive: true, mode: 0o700 })
  const next = `${file}.${process.pid}`
  try {
    // `wx`: nobody can have put a link there to be written through.
    await writeFile(next, `${JSON.stringify(sessions, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' })
    await rename(next, file)
  } catch (error) {
    await rm(next, { force: true })
    throw new Failure(`cannot write ${file}: ${(error as Error).message}`)
  }
}
