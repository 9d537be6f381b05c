import { randomBytes } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { sealManifest } from '../../audit/receipts/manifest.ts'
import { questionText } from '../../audit/search/question.ts'
import type { FindingKind } from '../../audit/log-report.ts'
import type { Config } from '../../config/config.ts'
import { logSigners, receiptSigners } from '../../config/deployment-keys.ts'
import { version } from '../../lib/version.ts'
import { causeText } from '../../model/refusal.ts'
import { walsOf } from '../audit-places.ts'
import { momentOption } from '../audit-search.ts'
import { parseOptions, type Command, type Options } from '../command.ts'
import { exit, Failure, type Io } from '../io.ts'
import { findingCodes, nothingSigned } from '../finding-codes.ts'
import { recordReading } from '../reading-record.ts'
import { keyedConfig, placeOptions } from '../verification-places.ts'
import { CaseTable } from './case-table.ts'
import { frameworks, type Framework } from './controls.ts'
import { gravityOf } from './exceptions.ts'
import { gather, type Gathered } from './gathering.ts'
import { logExceptions, openExceptions, writePopulation, writeSample, type ExceptionList } from './pack.ts'
import { openFolder, type PackFolder } from './pack-folder.ts'
import { policyTextsNote, writePolicyTexts } from './policy-texts.ts'
import { readme } from './readme.ts'
import { reportPage, type Sampled } from './report.ts'
import { Tally } from './tally.ts'

const options = {
  ...placeOptions,
  from: { type: 'string', value: 'TIME', help: 'the period begins here: 2026-10-01, 2026-10-01T06:00Z, or so long ago, 30d' },
  to: { type: 'string', value: 'TIME', help: 'and ends before this (now)' },
  framework: { type: 'string', value: 'NAME', help: 'whose controls the parts are mapped to', choices: frameworks },
  out: { type: 'string', value: 'FOLDER', help: 'an empty or new folder for the pack' },
  seed: { type: 'string', value: 'TEXT', help: "the auditor's: decides which cases are drawn (one is made up, and printed)" },
  sample: { type: 'string', value: 'COUNT', help: 'so many held cases are drawn, and a fifth as many of the others (25)' },
  'off-record': { type: 'boolean', help: 'do not record in the log that this pack was made, where the log is a copy that cannot be written; the pack says so' },
} as const satisfies Options

interface Wish {
  readonly from: number
  readonly to: number
  readonly framework: Framework
  readonly out: string
  readonly seed: string
  readonly size: number
  readonly made: number
}

const wishOf = (values: { readonly [K in 'from' | 'to' | 'framework' | 'out' | 'seed' | 'sample']?: string }): Wish => {
  const { framework, out, sample = '25', seed = randomBytes(12).toString('hex') } = values
  for (const name of ['from', 'framework', 'out'] as const) if (values[name] === undefined) throw new Failure(`--${name} is missing`, exit.usage)
  const made = Date.now()
  const [from, to] = [momentOption('from', values.from) ?? 0, Math.min(made, momentOption('to', values.to) ?? made)]
  if (!(from < to)) throw new Failure('--from is not before --to', exit.usage)
  if (!/^[1-9]\d{0,2}$/.test(sample) || Number(sample) > 200) throw new Failure('--sample is a number from 1 to 200', exit.usage)
  if (seed === '' || seed.length > 200 || /[^\x20-\x7e]/.test(seed)) throw new Failure('--seed is up to 200 printable ASCII characters', exit.usage)
  return { from, to, framework: framework as Framework, out: out ?? '', seed, size: Number(sample), made }
}

const progressOf = (io: Io) => {
  const isTerminal = io.stderr.isTTY === true
  return {
    stage: (text: string): void => void io.stderr.write(isTerminal ? `\r\u001b[K${text}\n` : `${text}\n`),
    running: (text: string): void => void (isTerminal && io.stderr.write(`\r\u001b[K${text}`)),
  }
}

/** Who made it is on record before there is a pack. */
const record = async (config: Config, directory: string, query: string, records: number): Promise<string> => {
  try {
    return await recordReading(config, directory, { type: 'audit-read', query, records })
  } catch (error) {
    if (error instanceof Failure) throw error
    throw new Failure(`that this pack is made cannot be recorded in ${directory}, so it is not finished: ${causeText(error) ?? ''}. For a copy that cannot be written there is --off-record`)
  }
}

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, options)
  const wish = wishOf(values)
  const { from, to, seed } = wish
  const config = await keyedConfig(values.config, io)
  const directory = resolve(io.cwd, values.directory ?? io.env['COUNTERSIGN_AUDIT_DIRECTORY'] ?? config.journal.directory)
  const wals = walsOf(directory, io)
  const { stage, running } = progressOf(io)
  const folder = openFolder(resolve(io.cwd, wish.out))
  using table = new CaseTable(join(folder.path, '.cases.db'))
  const tally = new Tally()
  const exceptions = openExceptions(folder)
  const work = { wals, from, to, deployment: config.deployment, keys: logSigners(config), folder, table, tally, except: exceptions.add, progress: running, signal: io.signal }

  stage(`Reading ${wals.length} ${wals.length === 1 ? 'log' : 'logs'}, and computing each signature again`)
  const gathered = await gather(work)
  if (gathered.lines === 0) throw new Failure('nothing is recorded of that time')
  for (const one of logExceptions(gathered)) exceptions.add(one)
  stage(`${gathered.lines.toLocaleString('en-US')} records; gathering the cases`)
  const sample = writePopulation(folder, table, { from, tally, exceptions, seed, size: wish.size })
  for (const one of tally.habits()) exceptions.add(one)
  exceptions.close()
  stage(`${tally.cases.toLocaleString('en-US')} cases; proving the records of ${sample.rows().length} that were drawn`)
  const signers = receiptSigners(config).slice(0, 1)
  const sampled = await writeSample(work, sample.rows(), gathered.reports.map(({ replica }) => replica), { deployment: config.deployment, signers, made: wish.made })

  const query = questionText({ fields: {}, from, to })
  const recorded = values['off-record'] ? 'not on record: made off the record, of a log that was not written to' : await record(config, directory, `evidence ${wish.framework} ${query}`, gathered.lines)
  finish({ wish, config, directory, folder, tally, exceptions, gathered, sampled, recorded, query })

  const { counts } = exceptions
  const grave = [...counts].filter(([kind]) => gravityOf[kind] === 'grave').reduce((sum, [, count]) => sum + count, 0)
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0)
  stage(`${all.toLocaleString('en-US')} ${all === 1 ? 'exception' : 'exceptions'}, ${grave.toLocaleString('en-US')} of them to be answered. Seed: ${seed}`)
  io.stdout.write(`${join(folder.path, 'report.html')}\n`)
  return codeOf(gathered)
}

interface Finished {
  readonly wish: Wish
  readonly config: Config
  readonly directory: string
  readonly folder: PackFolder
  readonly tally: Tally
  readonly exceptions: ExceptionList
  readonly gathered: Gathered
  readonly sampled: readonly Sampled[]
  readonly recorded: string
  readonly query: string
}

/** What is said of all of it, and last of all the manifest: without that a folder is no pack. */
const finish = ({ wish, config, directory, folder, tally, exceptions, gathered, sampled, recorded, query }: Finished): void => {
  const { framework, seed, made } = wish
  const { deployment } = config
  const { starts, policies, reports } = gathered
  const signers = receiptSigners(config).slice(0, 1)
  const [from, to, program] = [moment(wish.from), moment(wish.to), `countersign ${version}`]
  const keys = [...logSigners(config), ...signers].map(({ verifier }) => verifier)
  const populationHash = folder.hashes.get('population/cases.ndjson') ?? ''
  const versions = [...new Set([...policies.map((one) => one.version), ...tally.policies])]
  writeJson(folder, 'scope.json', { deployment, framework, from, to, made: moment(made), program, query: `every action whose first record is ${query}`, logs: starts.map(({ origin }) => origin), keys, programs: [...new Set(starts.flatMap((start) => start.version ?? []))], policyVersions: versions, seed, sample: wish.size, population: { cases: tally.cases, sha256: populationHash }, recorded })
  writeJson(folder, 'counts.json', countsOf(tally))
  writeJson(folder, 'completeness.json', { logs: reports, starts })
  const texts = writePolicyTexts(folder, directory, versions)
  writeJson(folder, 'policies.json', { loaded: policies, decidedBy: [...tally.policies], textsMissing: texts.missing })
  folder.write('keys.txt', keys.join('\n'))
  folder.write('report.html', reportPage({ deployment, framework, from: wish.from, to: wish.to, made, by: `${userInfo().username} on ${hostname()}`, program, seed, tally, exceptions: exceptions.shown, counts: exceptions.counts, reports, starts, policies, policyTexts: policyTextsNote(texts), sample: sampled, keys, populationHash }))
  folder.write('README.md', readme({ deployment, from, to, framework }))
  const files = new Map([...folder.hashes].toSorted(([a], [b]) => (a < b ? -1 : 1)))
  folder.write('manifest.dsse.json', sealManifest({ files, predicate: { deployment, made: moment(made), from, to, framework, seed, program, recorded } }, signers))
}

const moment = (at: number): string => new Date(at).toISOString()
const writeJson = (folder: PackFolder, name: string, value: unknown): void => folder.write(name, JSON.stringify(value, undefined, 2))

const countsOf = (tally: Tally): object => ({
  cases: tally.cases, carriedOver: tally.carried, holds: tally.holds, held: tally.held, approvedEnded: tally.ends, notHeld: tally.other, notHeldEnded: tally.otherEnds,
  equations: tally.equations().map((one) => ({ ...one, holds: one.left === one.right })),
  medianSecondsToVote: (tally.durations.median() ?? 0) / 1_000,
  approvers: [...tally.approvers.values()].map(({ who, issuer, channels, yes, no, durations }) => ({ who, issuer, channels: [...channels], yes, no, medianSeconds: durations.total === 0 ? null : (durations.median() ?? 0) / 1_000 })),
  recordsByType: Object.fromEntries(tally.byType), casesByService: Object.fromEntries(tally.services),
})

/** That of `audit verify`, over the same records. */
const codeOf = ({ reports }: Gathered): number => {
  const kind: FindingKind | undefined = reports.find(({ finding }) => finding !== undefined)?.finding?.kind
  return kind !== undefined ? findingCodes[kind] : reports.some(({ records, signed }) => records > 0 && signed === 0) ? nothingSigned : exit.ok
}

export const evidenceCommand: Command = {
  path: ['evidence'],
  summary: 'Make a folder of evidence that an auditor can check alone',
  usage: '--from TIME [--to TIME] --framework NAME --out FOLDER [--seed TEXT] [--sample COUNT]',
  details:
    'Reads the journal of this machine: the population of actions, what differs from the rule, counts that reconcile, whether the log is whole, and a sample with receipts and proofs. Signed with the key of the configuration. That it was made is a record of the log.\nExit code 0: the log is what was signed; else that of `audit verify`, and the pack says what is wrong.',
  options,
  examples: ['countersign evidence --from 2026-10-01 --to 2026-11-01 --framework soc2 --seed "auditor 4711" --out october/', 'countersign evidence --from 90d --framework pci --directory /var/lib/countersign/journal --config countersign.yaml --out quarter/'],
  run,
}
