import { hkdfSync } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { openJournal } from '../audit/file-journal.ts'
import { BadNote, isName, noteSigner, witnessSigner, type NoteSigner } from '../audit/signed-note.ts'
import { DirectoryTaken } from '../audit/writer-lock.ts'
import { keptKey } from '../config/approval-key.ts'
import { splitAddress } from '../config/fields.ts'
import { privateKeyOf } from '../lib/ed25519.ts'
import type { CertificateFiles } from '../lib/tls-server.ts'
import { causeText } from '../model/refusal.ts'
import { readHistory } from '../witness/history.ts'
import { makeWitnessListener } from '../witness/listener.ts'
import { makeWitness } from '../witness/witness.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { exit, Failure, type Io } from './io.ts'
import { makeProgramLog } from './program-log.ts'
import { keysOf } from './verification-places.ts'

const identityOptions = {
  name: { type: 'string', value: 'NAME', help: 'its name for ever, such as witness.example.org: it is part of its keys' },
  state: { type: 'string', short: 's', value: 'DIR', help: 'what it keeps: its key and the root log. On a disk that logs it watches are not on' },
} as const satisfies Options

const options = {
  ...identityOptions,
  log: { type: 'string', value: 'KEY|FILE', multiple: true, help: 'whose logs it watches, as `audit key` prints them: each key speaks for the replicas of its deployment' },
  listen: { type: 'string', value: 'ADDRESS', help: 'where it listens (127.0.0.1:8090)' },
  'tls-cert': { type: 'string', value: 'FILE', help: 'certificate, for TLS' },
  'tls-key': { type: 'string', value: 'FILE', help: 'its key' },
  'max-logs': { type: 'string', value: 'N', help: 'it takes no more logs than this (100000); each start of a replica is one' },
} as const satisfies Options

const segmentBytes = 64 * 1024 * 1024
const minFreeBytes = 64 * 1024 * 1024
const saveEveryMs = 600_000
const usualMostLogs = 100_000

interface Keys {
  /** Signs what was seen of others. */
  readonly witness: NoteSigner
  /** Signs the root log. */
  readonly root: NoteSigner
}

const stateOf = (given: string | undefined, io: Io): string => {
  if (given === undefined) throw new Failure('say where it keeps what it has seen: --state DIR', exit.usage)
  return resolve(io.cwd, given)
}

const keysIn = (state: string, name: string | undefined): Keys => {
  if (name === undefined || !isName(name) || name.length > 200) throw new Failure('say what it is called: --name NAME, without spaces and plus signs', exit.usage)
  const secret = keptKey(join(state, 'witness.key')).reveal()
  const derived = (use: string) => privateKeyOf(Buffer.from(hkdfSync('sha256', secret, name, `countersign ${use}`, 32)))
  return { witness: witnessSigner(name, derived('witness key')), root: noteSigner(name, derived('root log key')) }
}

const publicKeys = ({ witness, root }: Keys): string => `${witness.verifier}\n${root.verifier}\n`

const tlsOf = (cert: string | undefined, key: string | undefined, io: Io): CertificateFiles | undefined => {
  if (cert === undefined && key === undefined) return undefined
  if (cert === undefined || key === undefined) throw new Failure('--tls-cert and --tls-key go together', exit.usage)
  const tls = { certFile: resolve(io.cwd, cert), keyFile: resolve(io.cwd, key) }
  for (const file of Object.values(tls)) if (!existsSync(file)) throw new Failure(`there is no ${file}`)
  readFileSync(tls.keyFile)
  return tls
}

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, options)
  const state = stateOf(values.state, io)
  if (values.log === undefined) throw new Failure('say whose logs it watches: --log KEY', exit.usage)
  const trusted = (await keysOf(values.log, undefined, io)).filter(({ name, witness }) => witness === undefined && !name.endsWith('#receipts'))
  if (trusted.length === 0) throw new Failure('--log: there is no key of a log among them', exit.usage)
  const mostLogs = Number(values['max-logs'] ?? usualMostLogs)
  if (!Number.isSafeInteger(mostLogs) || mostLogs < 1) throw new Failure('--max-logs is a number', exit.usage)
  const listen = values.listen ?? '127.0.0.1:8090'
  if (!/^(?:\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/.test(listen)) throw new Failure('--listen is HOST:PORT', exit.usage)
  const tls = tlsOf(values['tls-cert'], values['tls-key'], io)
  mkdirSync(state, { recursive: true, mode: 0o700 })
  const keys = keysIn(state, values.name)
  const log = makeProgramLog('info', {}, (line) => void io.stderr.write(line))

  await using started = new AsyncDisposableStack()
  const failed = (cause: Error): void => log.error({ cause: causeText(cause) }, 'the root log cannot be written: nothing is signed any more, restart after the cause is mended')
  const durability = { read: 'synced', write: 'synced', held: 'synced' } as const
  const journal = started.use(
    await openJournal({ directory: state, replica: 'root', durability, segmentBytes, minFreeBytes }, { now: Date.now, failed, signer: keys.root }).catch((error: unknown) => {
      throw error instanceof DirectoryTaken ? new Failure(error.message) : error
    }),
  )
  const history = await readHistory(state, journal)
  const save = (): Promise<void> => history.save().catch((error: unknown) => log.warn({ cause: causeText(error) }, 'what was seen could not be kept apart; the next start reads more of the root log'))
  await save()
  const saving = setInterval(() => void save(), saveEveryMs).unref()
  started.defer(async () => {
    clearInterval(saving)
    await save()
  })
  const witness = makeWitness({ journal, seen: history.seen, trusted, signer: keys.witness, mostLogs, now: Date.now })
  const listener = started.use(makeWitnessListener({ ...splitAddress(listen), ...(tls === undefined ? {} : { tls }) }, { witness, journal, keys: publicKeys(keys), log }))
  const { host, port } = await listener.listen().catch((error: unknown) => {
    throw new Failure(`cannot listen on ${listen}: ${causeText(error)}`)
  })
  log.info({ address: `${host.includes(':') ? `[${host}]` : host}:${port}` }, 'witness ready')
  if (!io.signal.aborted) await new Promise((done) => io.signal.addEventListener('abort', done, { once: true }))
  return exit.ok
}

const key = async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, identityOptions)
  const state = stateOf(values.state, io)
  try {
    io.stdout.write(publicKeys(keysIn(state, values.name)))
  } catch (error) {
    if (error instanceof BadNote) throw new Failure(error.message, exit.usage)
    throw error
  }
  return exit.ok
}

export const witnessCommands: readonly Command[] = [
  {
    path: ['witness', 'key'],
    summary: 'Print the public keys of a witness',
    usage: '--name NAME --state DIR',
    details: 'The first is for `audit.witnesses` of those whose logs it watches, both are for auditors: audit verify --witness-keys. The secret key is made with the first look.',
    options: identityOptions,
    examples: ['countersign witness key --name witness.example.org --state /var/lib/witness > witness.keys'],
    run: key,
  },
  {
    path: ['witness', 'serve'],
    summary: 'Watch the audit logs of others, and sign what has been seen of them',
    usage: '--name NAME --state DIR --log KEY|FILE [--listen HOST:PORT]',
    details: 'For a host that those who run the logs do not control. It takes checkpoints by POST /add-checkpoint (C2SP tlog-witness) and signs those that have grown out of what it saw before.\nGET /logs has the newest checkpoint of each log, GET /root-log its own log of all of them, GET /keys its keys, GET /healthz how it is. Runs until SIGTERM or SIGINT.',
    options,
    examples: ['countersign witness serve --name witness.example.org --state /var/lib/witness --log prod.keys --listen 0.0.0.0:8090'],
    run,
  },
]
