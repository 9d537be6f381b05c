import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { ReceiptKey } from '../audit/receipts/envelope.ts'
import { BadNote, noteVerifier, type NoteVerifier } from '../audit/signed-note.ts'
import { withKeptApprovalKey } from '../config/approval-key.ts'
import type { Config } from '../config/config.ts'
import { logSigners, receiptSigners } from '../config/deployment-keys.ts'
import { loadConfig } from '../config/load.ts'
import { ed25519KeyOf } from '../lib/json-web-key.ts'
import { formatProblem } from '../lib/problem.ts'
import { walsOf } from './audit-places.ts'
import type { Options } from './command.ts'
import type { ConfigIo } from './config.ts'
import { exit, Failure } from './io.ts'
import { configFileOf } from './serve.ts'

/* Where a log is and whose signatures count: by what the command was told, or else by the configuration. */

export const placeOptions = {
  directory: { type: 'string', short: 'd', value: 'DIR', help: 'where the journal lives; COUNTERSIGN_AUDIT_DIRECTORY, or that of the configuration' },
  config: { type: 'string', short: 'c', value: 'FILE', help: 'the configuration, for the place and the keys that are not given (COUNTERSIGN_CONFIG, or countersign.yaml here)' },
} as const satisfies Options

export const keyOption = { key: { type: 'string', short: 'k', value: 'KEY|FILE', multiple: true, help: 'whose signatures count, as `audit key` prints them; a file has one on each line' } } as const satisfies Options

export const configOf = async (given: string | undefined, io: ConfigIo): Promise<Config> => {
  const { config, problems } = await loadConfig(resolve(io.cwd, configFileOf(given, io)), io.env)
  if (problems) throw new Failure(problems.map(formatProblem).join('\n'), exit.invalid)
  return config
}

/** The server makes a key of its own at its first start. Whoever only looks makes none. */
export const keyedConfig = async (given: string | undefined, io: ConfigIo): Promise<Config> => {
  const config = withKeptApprovalKey(await configOf(given, io))
  if (config === undefined) throw new Failure('there is no approval key yet, so nothing has been signed: the server makes one at its first start')
  return config
}

export const readText = (file: string, io: ConfigIo): string => {
  try {
    return readFileSync(resolve(io.cwd, file), 'utf8')
  } catch (error) {
    throw new Failure(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

const textsOf = (given: readonly string[], io: ConfigIo): readonly string[] => given.map((one) => (existsSync(resolve(io.cwd, one)) ? readFileSync(resolve(io.cwd, one), 'utf8') : one))

const verifiersIn = (text: string, option = 'key'): readonly NoteVerifier[] => {
  try {
    return text.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#')).map(noteVerifier)
  } catch (error) {
    if (error instanceof BadNote) throw new Failure(`--${option}: ${error.message}`, exit.usage)
    throw error
  }
}

/** Keys that an option names, or the files that hold them. */
export const verifiersOf = (option: string, given: readonly string[], io: ConfigIo): readonly NoteVerifier[] => textsOf(given, io).flatMap((text) => verifiersIn(text, option))

export const keysOf = async (given: readonly string[] | undefined, config: string | undefined, io: ConfigIo): Promise<readonly NoteVerifier[]> =>
  given === undefined ? logSigners(await keyedConfig(config, io)) : textsOf(given, io).flatMap((text) => verifiersIn(text))

/** Keys of receipts, and no others: as `audit key` prints them, or as a JSON Web Key Set, whose keys have no names. */
export const receiptKeysOf = async (given: readonly string[] | undefined, config: string | undefined, io: ConfigIo): Promise<readonly ReceiptKey[]> => {
  const keys = given === undefined ? receiptSigners(await keyedConfig(config, io)) : textsOf(given, io).flatMap((text) => (text.trimStart().startsWith('{') ? keySetIn(text) : verifiersIn(text).filter(({ name }) => name.endsWith('#receipts'))))
  if (keys.length === 0) throw new Failure('--key: there is no key of receipts among them: its name ends in #receipts, and a file has it as `audit key` prints it', exit.usage)
  return keys
}

const keySetIn = (text: string): readonly ReceiptKey[] => {
  try {
    const { keys } = JSON.parse(text) as { readonly keys: readonly unknown[] }
    return keys.map((jwk) => ({ name: '', key: ed25519KeyOf(jwk) }))
  } catch (error) {
    throw new Failure(`--key: not a set of Ed25519 keys: ${error instanceof Error ? error.message : ''}`, exit.usage)
  }
}

export const journalOf = async (values: { readonly directory?: string; readonly config?: string }, io: ConfigIo): Promise<readonly string[]> => {
  if (values.directory !== undefined || io.env['COUNTERSIGN_AUDIT_DIRECTORY']) return walsOf(values.directory, io)
  return walsOf((await configOf(values.config, io)).journal.directory, io)
}

