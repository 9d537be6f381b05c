import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { openCheckpoint } from '../audit/checkpoint.ts'
import { lineHead, parseLine } from '../audit/line.ts'
import { checkProof, proofText } from '../audit/proof.ts'
import { longestOcsfLine, recordLineOf } from '../audit/ocsf/line.ts'
import { linesOf, listSegments, type RawLine } from '../audit/segment.ts'
import { BadNote, type NoteVerifier } from '../audit/signed-note.ts'
import { missingLogs, splitAmong } from '../audit/kept-checkpoint.ts'
import type { LogReport } from '../audit/log-report.ts'
import type { GivenLine } from '../audit/record-order.ts'
import { verifyLog } from '../audit/verification.ts'
import { logSigners, receiptSigners } from '../config/deployment-keys.ts'
import { defined } from '../lib/defined.ts'
import { leafHash } from '../lib/leaf-hash.ts'
import { terminalText } from '../lib/terminal-text.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import type { ConfigIo } from './config.ts'
import { findingCodes, logMissing, nothingCompared, nothingSigned } from './finding-codes.ts'
import { exit, Failure } from './io.ts'
import { outputOption, toJson } from './rendering.ts'
import { rootLogsOf } from './root-log.ts'
import { journalOf, keyedConfig, keyOption, keysOf, placeOptions, readText, verifiersOf } from './verification-places.ts'

/* Whether the audit log is what was written, and what is needed to see that. Nothing here talks to a server or a network. */

const replicaOf = (wal: string): string => wal.split('/').at(-2) ?? ''

function* walLines(wal: string): Generator<GivenLine> {
  for (const { name } of listSegments(wal)) yield* linesOf(`${wal}/${name}`)
}

const oursBegin = '{"v":1,"id":"'

/** What left as OCSF is checked as the line that it was made from. */
const asInTheLog = (line: RawLine): RawLine => {
  if (line.text.startsWith(oursBegin)) return line
  const text = recordLineOf(Buffer.from(line.text, 'latin1').toString())
  return text === undefined ? line : { ...line, text, whole: true }
}

/** Sinks deliver at least once: a record whose bytes were there already is left out and counted. One of the same id with other bytes stays, to be found. */
const withoutRepeats = (lines: readonly GivenLine[]): { readonly lines: readonly GivenLine[]; readonly repeats: number } => {
  const seen = new Map<string, string>()
  const kept = lines.filter(({ text, whole }) => {
    const id = whole ? lineHead(text)?.id : undefined
    if (id === undefined) return true
    if (!seen.has(id)) seen.set(id, text)
    else if (seen.get(id) === text) return false
    return true
  })
  return { lines: kept, repeats: lines.length - kept.length }
}

/** What left by a sink, in the order of each replica: lines of several replicas may stand in one file. */
const exportedLogs = (files: readonly string[], io: ConfigIo): ReadonlyMap<string, readonly GivenLine[]> => {
  const logs = new Map<string, GivenLine[]>()
  for (const file of files) {
    if (!existsSync(resolve(io.cwd, file))) throw new Failure(`there is no ${file}`)
    let replica: string | undefined
    for (const given of linesOf(resolve(io.cwd, file), 0, longestOcsfLine)) {
      const line = asInTheLog(given)
      replica = /^\{"v":1,"id":"([A-Za-z0-9._-]{1,64})\//.exec(line.text)?.[1] ?? replica
      if (replica === undefined) throw new Failure(`${file} has no records of an audit log`)
      const lines = logs.get(replica) ?? []
      if (!logs.has(replica)) logs.set(replica, lines)
      lines.push({ text: line.text, whole: line.whole || line.text.endsWith('}') }) // a last line without its newline is usual in exports
    }
  }
  return logs
}

const checkpointsOf = (files: readonly string[] | undefined, keys: readonly NoteVerifier[], io: ConfigIo) =>
  (files ?? []).flatMap((file) => {
    const text = readText(file, io)
    try {
      // One after the other, as `audit checkpoint` prints them.
      const notes = text.split(/(?<=\n\u2014 [^\n]+\n)(?!\u2014)/).filter((note) => note.trim() !== '')
      if (notes.length === 0) throw new Failure(`${file}: there is no checkpoint in it, so nothing can be compared with it`, nothingCompared)
      return notes.map((note) => openCheckpoint(note, keys))
    } catch (error) {
      if (error instanceof BadNote) throw new Failure(`${file}: ${error.message}`, findingCodes.forged)
      throw error
    }
  })

const verifyOptions = {
  ...placeOptions,
  ...keyOption,
  'witness-keys': { type: 'string', value: 'KEY|FILE', multiple: true, help: 'whose word counts for what was seen elsewhere, as `witness key` prints them' },
  'root-log': { type: 'string', value: 'FILE', multiple: true, help: 'what a witness has kept, from its /logs or /root-log: every log in it must be here, as long as it was' },
  checkpoint: { type: 'string', value: 'FILE', multiple: true, help: 'signed checkpoints that were kept elsewhere: what they are of must be here' },
  proof: { type: 'string', value: 'FILE', help: 'a proof that `audit prove` made; FILE is then the one record that it is of' },
  'allow-repeats': { type: 'boolean', help: 'of FILEs: a record that is there several times, byte for byte, counts once. Sinks deliver at least once' },
  output: outputOption('table', 'json'),
} as const satisfies Options

const verify = async (args: readonly string[], io: ConfigIo): Promise<number> => {
  const { values, positionals } = parseOptions(args, verifyOptions, { min: 0, max: 1_000 })
  const keys = await keysOf(values.key, values.config, io)
  if (values.proof !== undefined) return verifyProof(values.proof, positionals, keys, io)
  if (values['allow-repeats'] && positionals.length === 0) throw new Failure('--allow-repeats is for copies: name the FILEs. The journal itself has each record once', exit.usage)
  const witnesses = values['witness-keys'] === undefined ? undefined : verifiersOf('witness-keys', values['witness-keys'], io)
  if (values['root-log'] !== undefined && witnesses === undefined) throw new Failure('--root-log wants --witness-keys: keys come from whoever checks, never from what is checked', exit.usage)
  const checkpoints = [...checkpointsOf(values.checkpoint, keys, io), ...rootLogsOf(values['root-log'], keys, witnesses ?? [], io)]
  const split = splitAmong(checkpoints)
  if (split !== undefined) throw new Failure(`there were two logs ${terminalText(split.origin)}: two checkpoints of ${split.size} records from elsewhere are signed, and are not of the same`, findingCodes.forked)
  const logs = positionals.length > 0 ? exportedLogs(positionals, io) : new Map((await journalOf(values, io)).map((wal) => [replicaOf(wal), walLines(wal)]))
  const evidence = { keys, checkpoints, ...defined({ witnesses }) }
  const reports = [...logs].map(([replica, given]): CopyReport => {
    if (!values['allow-repeats']) return verifyLog(replica, given, evidence)
    const { lines, repeats } = withoutRepeats([...given])
    return { ...verifyLog(replica, lines, evidence), repeats }
  })
  const missing = missingLogs(new Set(logs.keys()), checkpoints)
  if (values.output === 'json') io.stdout.write(toJson({ logs: reports, missing }))
  else {
    for (const report of reports) io.stdout.write(reportText(report))
    for (const replica of missing) io.stdout.write(`NOT OK  ${terminalText(replica)}: a checkpoint from elsewhere is of this log, and it is not here\n`)
  }
  const finding = reports.find((report) => report.finding !== undefined)?.finding
  if (finding !== undefined) return findingCodes[finding.kind]
  if (missing.length > 0) return logMissing
  if (reports.some(({ records, signed }) => records > 0 && signed === 0)) return nothingSigned
  if (witnesses !== undefined && reports.every(({ witnessed }) => (witnessed ?? []).length === 0)) throw new Failure('no witness that was named has seen any of these logs: nothing could be compared', nothingCompared)
  return exit.ok
}

/** Of a copy: how many of its lines were there before. */
type CopyReport = LogReport & { readonly repeats?: number }

const reportText = ({ replica, records, signed, behind, uncompared, first, last, beginsLate, witnessed, repeats, finding }: CopyReport): string => {
  const name = terminalText(replica)
  if (finding !== undefined) return `NOT OK  ${name}: ${finding.kind} at ${terminalText(finding.at)}: ${terminalText(finding.text)}. Nothing behind it was looked at.\n`
  if (records === 0) return `empty   ${name}: no records\n`
  const late = beginsLate ? `; begins at ${terminalText(first ?? '')}, what came before was not given` : ''
  if (signed === 0) return `NOT OK  ${name}: ${records} records fit each other, ${uncompared ? 'and the signatures over them cannot be compared without the first records of their start' : 'and nobody has signed any of them'}${late}\n`
  return `ok      ${name}: ${signed} ${signed === 1 ? 'record' : 'records'} up to the last signature ${signed === 1 ? 'is' : 'are'} what was written${late}${behind === 0 ? '' : `; ${behind} more fit, and are not signed yet: nothing is claimed of them`} (last ${terminalText(last ?? '')})\n${repeats ? `        ${repeats} ${repeats === 1 ? 'line was a repeat' : 'lines were repeats'} of what was there before, byte for byte\n` : ''}${(witnessed ?? []).map(({ witness, upTo, at }) => `        witnessed up to ${terminalText(upTo)} by ${terminalText(witness)}, ${at}\n`).join('')}${witnessed?.length === 0 ? '        no witness that was named has seen any of it\n' : ''}`
}

const verifyProof = (file: string, positionals: readonly string[], keys: readonly NoteVerifier[], io: ConfigIo): number => {
  const [recordFile] = positionals
  if (recordFile === undefined || positionals.length > 1) throw new Failure('--proof wants one FILE, with the record in it', exit.usage)
  const [proof, record] = [readText(file, io), readText(recordFile, io).replace(/\n$/, '')]
  try {
    const { id, origin, size } = checkProof(proof, record, keys)
    io.stdout.write(`ok      ${id} is one of the ${size} records of ${terminalText(origin)}\n`)
    return exit.ok
  } catch (error) {
    if (!(error instanceof BadNote)) throw error
    io.stdout.write(`NOT OK  ${terminalText(error.message)}\n`)
    return findingCodes.forged
  }
}

const proveOptions = { ...placeOptions, record: { type: 'boolean', help: 'print the record itself in place of its proof' } } as const satisfies Options

const prove = async (args: readonly string[], io: ConfigIo): Promise<number> => {
  const { values, positionals } = parseOptions(args, proveOptions, { min: 1, max: 1 })
  const [, replica, epochText, place] = /^([A-Za-z0-9._-]{1,64})\/(\d{1,15})\/(\d{1,15})$/.exec(positionals[0] ?? '') ?? []
  if (replica === undefined) throw new Failure('a record is called by its id: REPLICA/EPOCH/SEQ', exit.usage)
  const wal = (await journalOf(values, io)).find((one) => replicaOf(one) === replica)
  if (wal === undefined) throw new Failure(`no log of ${replica} is here`)
  const [epoch, index] = [Number(epochText), Number(place)]
  const leaves: Buffer[] = []
  for (const { name } of listSegments(wal).filter((segment) => segment.epoch === epoch)) {
    for (const { text, whole } of linesOf(`${wal}/${name}`)) {
      if (!whole) break
      const record = parseLine(text)
      if (record?.seq !== leaves.length) throw new Failure('the log is damaged; `audit verify` says where', findingCodes.changed)
      const found = values.record ? (leaves.length === index ? `${text}\n` : undefined) : record.type === 'checkpoint' && leaves.length > index ? proofText(leaves, index, String(record['signed'])) : undefined
      if (found !== undefined) {
        io.stdout.write(found)
        return exit.ok
      }
      leaves.push(Buffer.from(leafHash(text), 'base64'))
    }
  }
  throw new Failure(index < leaves.length ? 'nothing is signed behind this record yet; try again in a second' : 'there is no such record')
}

const checkpointOptions = { ...placeOptions } as const satisfies Options

/** The last signature of each start that is on record: what a later check is made against. */
const checkpoint = async (args: readonly string[], io: ConfigIo): Promise<number> => {
  const { values } = parseOptions(args, checkpointOptions)
  let found = 0
  for (const wal of await journalOf(values, io)) {
    const last = new Map<number, string>()
    for (const segment of listSegments(wal)) for (const { text, whole } of linesOf(`${wal}/${segment.name}`)) if (whole && text.includes('"type":"checkpoint"')) last.set(segment.epoch, String(parseLine(text)?.['signed'] ?? ''))
    for (const note of last.values()) {
      found++
      io.stdout.write(note)
    }
  }
  if (found === 0) throw new Failure('nothing is signed here yet')
  return exit.ok
}

const keyOptions = { config: placeOptions.config } as const satisfies Options

const key = async (args: readonly string[], io: ConfigIo): Promise<number> => {
  const { values } = parseOptions(args, keyOptions)
  const config = await keyedConfig(values.config, io)
  for (const { verifier } of [...logSigners(config), ...receiptSigners(config)]) io.stdout.write(`${verifier}\n`)
  return exit.ok
}

export const auditEvidenceCommands: readonly Command[] = [
  {
    path: ['audit', 'verify'],
    summary: 'Check that the audit log is what was written',
    usage: '[FILE...] [--directory DIR] [--key KEY|FILE] [--checkpoint FILE] [--witness-keys KEY|FILE] [--root-log FILE] [--allow-repeats]',
    details:
      'Without FILE the journal itself is checked, with FILE what left by a sink or `audit export`, as lines of the log or of OCSF. Whose signatures count is said by --key, or else by the configuration: never by what is checked.\nSinks deliver at least once, so a copy may have records twice. With --allow-repeats a line that was there before, byte for byte, counts once; another line under the same id is found as before (10, 14).\nExit codes: 0 all is well up to the last signature, 10 changed, 11 missing, 12 moved, 13 repeated, 14 inserted, 15 unreadable, 16 forked, 17 truncated, 18 forged, 19 a log is missing, 20 nothing is signed, 22 witnesses or checkpoints were given and nothing could be compared with them.',
    options: verifyOptions,
    examples: ['countersign audit verify', 'countersign audit verify --directory copy/ --key auditor.keys --checkpoint last-week.txt', 'countersign audit verify --allow-repeats siem-export.ndjson --key auditor.keys', 'countersign audit verify --witness-keys witness.keys --root-log logs.txt', 'countersign audit verify --proof vote.tlog-proof vote.json --key auditor.keys'],
    run: verify,
  },
  { path: ['audit', 'prove'], summary: 'Print the proof that one record is in the log', usage: 'ID [--record]', details: 'The proof is for somebody who has the record, this proof and the key, and nothing else: `audit verify --proof`.', options: proveOptions, examples: ['countersign audit prove proxy-0/12/4711 > vote.tlog-proof', 'countersign audit prove proxy-0/12/4711 --record > vote.json'], run: prove },
  { path: ['audit', 'checkpoint'], summary: 'Print the last signed checkpoint of each log', usage: '[--directory DIR]', details: 'Keep it elsewhere: records that go missing later are found by `audit verify --checkpoint`.', options: checkpointOptions, examples: ['countersign audit checkpoint > last-week.txt'], run: checkpoint },
  { path: ['audit', 'key'], summary: 'Print the public keys of the signatures in the audit log and of receipts', usage: '[--config FILE]', details: 'Give them to whoever checks: first those of the log, then those of receipts, whose names end in #receipts. An older approval key that is still configured has its own.', options: keyOptions, examples: ['countersign audit key > auditor.keys'], run: key },
]
