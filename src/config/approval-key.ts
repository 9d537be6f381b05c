import { randomBytes, randomUUID } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { Secret } from '../lib/secret.ts'
import type { Config } from './config.ts'

/**
 * The configuration with a key for the records of holds: its own, or the one that the first start made beside the data.
 * Whoever loses that file loses the open holds, logins and passkeys, nothing else. Called at boot and at reload, never by `config check`.
 */
export const withApprovalKey = (config: Config): Config => {
  const { approvalKeyFile: file, approval } = config
  if (file === undefined) return config
  return { ...config, approval: { ...approval, keys: [keptKey(file)] } }
}

/** The same for who only reads: `undefined` where none has been made yet. */
export const withKeptApprovalKey = (config: Config): Config | undefined => {
  const { approvalKeyFile: file, approval } = config
  if (file === undefined) return config
  const key = readKey(file)
  return key === undefined ? undefined : { ...config, approval: { ...approval, keys: [new Secret(key)] } }
}

/** What the file keeps, made with the first look at it: 32 bytes, in hexadecimal. */
export const keptKey = (file: string): Secret => new Secret(readKey(file) ?? makeKey(file))

const readKey = (file: string): string | undefined => {
  try {
    const key = readFileSync(file, 'utf8').trim()
    if (!/^[0-9a-f]{64}$/.test(key)) throw new Error(`${file} holds no key that was made here; put it back or remove it`)
    return key
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Appears whole or not at all; of two processes that start at one time, both use the key of the first. */
const makeKey = (file: string): string => {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const draft = `${file}.${randomUUID()}` // two containers can have one process id
  const key = randomBytes(32).toString('hex')
  writeFileSync(draft, `${key}\n`, { mode: 0o600, flush: true })
  try {
    linkSync(draft, file)
    return key
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return readKey(file) ?? key
  } finally {
    rmSync(draft, { force: true })
  }
}
