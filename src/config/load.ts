import { defined } from '../lib/defined.ts'
import { readFileSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { ApprovalOptions } from '../approval/options.ts'
import { readDocument } from '../lib/document.ts'
import { canHavePasskeys } from '../lib/webauthn.ts'
import { problemAt } from '../lib/yaml-source.ts'
import { makeChannels, votesBy } from './channels.ts'
import { type Checks, makeChecks, missing } from './checks.ts'
import type { Config, Environment, LoadedConfig } from './config.ts'
import { bytes, makeIssuers, ms } from './issuers.ts'
import { checkPorts, makeAdmin, makeConsole, makeHttpListener } from './listeners.ts'
import { makeAgents, makeMembers, makePeople, makeReaders } from './people.ts'
import { readPolicyFiles } from './policy-files.ts'
import { makePostgres } from './postgres.ts'
import { makeAuditIndex, makeDiskMarks, makeRequired, makeWitnesses } from './audit.ts'
import { configSchema, type ConfigSource } from './schema.ts'
import { makeServices } from './services.ts'
import { makeSinks } from './sinks.ts'
import { makeStore } from './stores.ts'

const MAX_BYTES = 1_048_576

const readText = (file: string): string | { readonly problem: string } => {
  try {
    const about = statSync(file)
    if (!about.isFile()) return { problem: 'is no regular file' }
    if (about.size > MAX_BYTES) return { problem: `is longer than ${MAX_BYTES} bytes` }
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file))
  } catch (error) {
    return { problem: error instanceof TypeError ? 'is not UTF-8' : `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})` }
  }
}

/** Reads everything or nothing: with any problem there is no configuration. Changes nothing, opens no connection. */
export const loadConfig = async (file: string, env: Environment): Promise<LoadedConfig> => {
  const full = resolve(file)
  const text = readText(full)
  if (typeof text !== 'string') return { problems: [{ file, line: 1, column: 1, path: '', message: `the file ${text.problem}` }], files: [full] }
  const read = readDocument(text, file, configSchema)
  if ('problems' in read) return { problems: read.problems, files: [full] }
  const { value, source } = read.document
  const checks = makeChecks(source, env, dirname(full), { hosts: value.outbound?.hosts })
  const config = makeConfig(value, checks, env)
  const files = [full, ...checks.files, ...checks.resolver.files]
  const problems = checks.problems.toSorted((a, b) => a.line - b.line || a.column - b.column)
  return problems.length > 0 ? { problems, files, ...(problems.length === checks.absences() ? { policyFacts: config.policyFacts } : {}) } : { config: { ...config, fileHashes: Object.fromEntries(checks.fileHashes) }, files, warnings: checks.warnings, place: (path, message) => problemAt(source, path, message, { on: 'key' }) }
}

const makeConfig = (value: ConfigSource, checks: Checks, env: Environment): Config => {
  const data = resolve(checks.folder, value.data)
  const replica = makeReplica(value, checks, env)
  const issuers = makeIssuers(value.issuers, checks)
  const agents = makeAgents(value.agents, issuers, checks)
  const { http, services, credentials } = makeServices(value.services, checks)
  checkPorts(value.listeners, checks)
  const console = makeConsole(value.listeners, new Map(issuers.map((issuer) => [issuer.name, issuer.issuers])), checks)
  const postgres = makePostgres(value, issuers, console.url, checks)
  const keys = makeKeys(value, checks)
  const channels = makeChannels(value, issuers, checks)
  const members = makeMembers(value, agents, issuers, checks)
  for (const [index, host] of (value.outbound?.hosts ?? []).entries()) if (!/^[A-Za-z0-9_.:-]+$/.test(host)) checks.report(['outbound', 'hosts', index], 'must be an exact host name, without scheme, port or pattern')
  return {
    deployment: value.deployment,
    replica,
    workers: value.workers,
    data,
    identity: { issuers, agents, cache: { entries: value.limits['cached-identities'], maxAgeMs: ms(value.limits['identity-max-age']) }, maxTokenBytes: bytes(value.limits.token) },
    http: makeHttpListener(value.listeners, http, console.url, checks),
    ...(postgres === undefined ? {} : { postgres }),
    console,
    admin: makeAdmin(value.listeners, checks),
    credentials,
    approval: {
      replica,
      openPerCaller: value.approvals['open-per-caller'],
      openPerService: value.approvals['open-per-service'],
      maxWaiting: value.approvals.waiting,
      maxWaitingPerCaller: value.approvals['waiting-per-caller'],
      replayWindowMs: ms(value.approvals['replay-window']),
      resultKeptMs: ms(value.approvals['results-kept']),
      resultsOnce: value.approvals['results-once'],
      settledKeptMs: ms(value.approvals['settled-kept']),
      people: makePeople(value.people, agents, issuers, checks),
      keys,
    },
    ...(keys.length === 0 ? { approvalKeyFile: join(data, 'approval.key') } : {}),
    store: makeStore(value, checks),
    journal: {
      directory: value.journal.directory === undefined ? join(data, 'journal') : resolve(checks.folder, value.journal.directory),
      replica,
      durability: value.journal.durability,
      segmentBytes: bytes(value.journal['segment-size']),
      minFreeBytes: bytes(value.journal['min-free']),
      diskMarks: makeDiskMarks(value, checks),
    },
    auditRequired: makeRequired(value, checks),
    members,
    ...defined({ auditIndex: makeAuditIndex(value, checks) }),
    witnesses: makeWitnesses(value, checks),
    auditReaders: makeReaders(value, checks),
    auditTexts: value.audit.texts,
    receiptHeaders: value.audit.receipts,
    sinks: makeSinks(value, checks),
    channels,
    policyFiles: readPolicyFiles(value.policies, checks),
    policyFacts: { services, issuers: issuers.map(({ name, issuers: exact }) => ({ name, issuers: exact })), channels: ['console', 'chat', ...(console.signIn !== undefined && canHavePasskeys(console.url) ? ['passkey' as const] : [])], voteChannels: votesBy(console, channels), members, signIn: console.signIn !== undefined, ...(value.groups === undefined ? {} : { groups: value.groups }) },
    ...(value.outbound === undefined ? {} : { outboundHosts: value.outbound.hosts }),
    fileHashes: {},
    effective: value,
  }
}

const makeReplica = ({ replica }: ConfigSource, { report }: Checks, env: Environment): string => {
  if (replica !== undefined) return replica
  const found = (env['HOSTNAME'] ?? hostname()).replaceAll(/[^A-Za-z0-9._-]/g, '-').slice(0, 64)
  if (!/^[A-Za-z0-9]/.test(found)) report([], 'the host name is no name for a replica; set "replica"')
  return found
}

/** Shorter than this is guessed. */
const LEAST_KEY_BYTES = 32

const makeKeys = ({ approvals, store }: ConfigSource, checks: Checks): ApprovalOptions['keys'] => {
  const file = approvals['keys-file']
  if (approvals.keys === undefined && file === undefined) {
    if (store.kind === 'redis') checks.report(['approvals', 'keys'], 'is missing; replicas that share a store seal its records with the same key')
    return []
  }
  const given = approvals.keys ?? [undefined]
  const keys = given.map((reference, index) => {
    const path = approvals.keys === undefined ? ['approvals', 'keys'] : ['approvals', 'keys', index]
    const key = checks.secret(path, reference, approvals.keys === undefined || index === 0 ? file : undefined, true)
    if (key !== undefined && key !== missing && Buffer.byteLength(key.reveal()) < LEAST_KEY_BYTES) checks.report(path, `is shorter than ${LEAST_KEY_BYTES} bytes`, { hide: true })
    return key
  })
  return keys.filter((key) => key !== undefined)
}
