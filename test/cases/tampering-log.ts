import { generateKeyPairSync } from 'node:crypto'
import { openCheckpoint, signCheckpoint } from '../../src/audit/checkpoint.ts'
import { openJournal } from '../../src/audit/file-journal.ts'
import { rootOf } from '../../src/audit/merkle-proof.ts'
import { linesOf, listSegments } from '../../src/audit/segment.ts'
import { noteSigner, noteVerifier } from '../../src/audit/signed-note.ts'
import type { LogReport } from '../../src/audit/log-report.ts'
import { verifyLog } from '../../src/audit/verification.ts'
import { leafHash } from '../../src/lib/leaf-hash.ts'
import { finished, options, readAll, started, temporaryDirectory } from '../audit/audit-samples.ts'
import { until } from '../support/until.ts'
import { isTree, list, type Run, type Tree } from './loader.ts'
import { fail, pending } from './outcome.ts'

/* A real log of a hundred records and more, signed after every ten, and what somebody who may write its files makes of it. */

const signer = noteSigner('prod', generateKeyPairSync('ed25519').privateKey)
const stranger = noteSigner('prod', generateKeyPairSync('ed25519').privateKey)

const makeLog = async (): Promise<readonly string[]> => {
  using directory = temporaryDirectory()
  await using journal = await openJournal(options(directory.path), { now: Date.now, signer, checkpointMs: 1 })
  for (let ten = 0; ten < 10; ten++) {
    const before = (await readAll(journal)).length
    await Promise.all(Array.from({ length: 5 }, async (_, at) => {
      await Promise.all([journal.append(started(`try-${ten}-${at}`), 'synced'), journal.append(finished(`try-${ten}-${at}`), 'synced')])
    }))
    await until('the signature over them', async () => (await readAll(journal)).slice(before).some(({ type }) => type === 'checkpoint'))
  }
  await journal.append(started('behind the last signature'), 'synced')
  const wal = `${directory.path}/r1/wal`
  const lines = listSegments(wal).flatMap(({ name }) => [...linesOf(`${wal}/${name}`)].map(({ text }) => text))
  // The signatures over the last record are left out: a log is taken while it is written.
  return lines.slice(0, lines.findIndex((line) => line.includes('behind the last signature')) + 1)
}

let made: Promise<readonly string[]> | undefined

const isSignature = (line: string): boolean => line.includes('"type":"checkpoint"')
const signedIn = (line: string): string => (JSON.parse(line) as { signed: string }).signed

const chained = (lines: readonly string[]): readonly string[] => {
  const again: string[] = []
  for (const line of lines) again.push(again.length === 0 ? line : line.replace(/"prev":"[^"]+"/, `"prev":"${leafHash(again.at(-1)!)}"`))
  return again
}
const renumbered = (lines: readonly string[]): readonly string[] => lines.map((line, at) => line.replace(/"id":"r1\/1\/\d+","seq":\d+/, `"id":"r1/1/${at}","seq":${at}`))
const edited = (line: string): string => line.replace('invoice-agent', 'another-agent').replace('"ms":2.5', '"ms":2.6').replace('"verdict":"allow"', '"verdict":"deny"')

/** Every signature anew, over what stands there, with a key of one's own. */
const resigned = (lines: readonly string[]): readonly string[] => {
  const again: string[] = []
  for (const line of lines) {
    const root = rootOf(again.map((one) => Buffer.from(leafHash(one), 'base64')))
    const text = isSignature(line) ? line.replace(/"signed":"(?:[^"\\]|\\.)*"/, () => `"signed":${JSON.stringify(signCheckpoint({ origin: 'prod/r1/1', size: again.length, root }, stranger)).replaceAll('\u2014', '\\u2014')}`) : line
    again.push(again.length === 0 ? text : text.replace(/"prev":"[^"]+"/, `"prev":"${leafHash(again.at(-1)!)}"`))
  }
  return again
}

const tamper = (lines: readonly string[], how: Tree | string): readonly string[] => {
  if (how === 'none' || typeof how === 'string') return lines
  const whole = (changed: readonly string[]): readonly string[] => {
    const numbered = how['renumber'] === true ? renumbered(changed) : changed
    return how['recompute_hashes'] === true ? chained(numbered) : numbered
  }
  const at = (value: unknown): number => Number(isTree(value) ? value['index'] : value)
  if ('edit' in how) return whole(lines.with(at(how['edit']), edited(lines[at(how['edit'])]!)))
  if ('remove' in how) return whole(lines.toSpliced(at(how['remove']), 1))
  if ('swap' in how) {
    const [one, other] = list(how['swap']).map(Number) as [number, number]
    return lines.with(one, lines[other]!).with(other, lines[one]!)
  }
  if ('duplicate' in how) return lines.toSpliced(at(how['duplicate']) + 1, 0, lines[at(how['duplicate'])]!)
  if ('insert' in how) return lines.toSpliced(at(how['insert']), 0, lines[at(how['insert'])]!.replace(/"prev":"[^"]+"/, `"prev":"${leafHash('made up')}"`).replace('try-', 'no-try-'))
  if ('truncate_to' in how) return lines.slice(0, at(how['truncate_to']))
  if ('restore_backup_of' in how) return lines.slice(0, Number(/\d+/.exec(String(how['restore_backup_of']))?.[0]))
  if ('delete_all' in how) return []
  if ('fork_at' in how) return chained([...lines.slice(0, at(how['fork_at'])), ...lines.slice(at(how['fork_at'])).map(edited)]).filter((line, place) => place < at(how['fork_at']) || !isSignature(line))
  if ('replace_checkpoint' in how || 'replace_public_key_in_export' in how) return resigned(lines)
  return pending(`no way yet to tamper by ${Object.keys(how).join()}`)
}

const sentences: Readonly<Record<string, (report: LogReport, lines: readonly string[]) => void>> = {
  'the verifier needs only the export, the checkpoints and the public key; its exit status is not 0 on failure': () => {}, // test/cli/audit-evidence.test.ts has the exit codes
  'compared with the external checkpoint; the message says truncated, missing or forked': ({ finding }) => void (/^(?:truncated|forked|missing)$/.test(finding?.kind ?? '') || fail(`it is called ${finding?.kind}`)),
  'records after the last checkpoint are reported as not anchored, not as verified': (_report, lines) => {
    const whole = check(lines, false)
    if (whole.finding !== undefined || whole.behind !== 1 || whole.signed + 2 !== whole.records) fail(`of ${whole.records} records ${whole.signed} are called signed and ${whole.behind} not`)
  },
  'the verifier takes the key from its own configuration, never from the export': () => {},
}

const check = (lines: readonly string[], elsewhere: boolean, all: readonly string[] = lines): LogReport => {
  const keys = [noteVerifier(signer.verifier)]
  return verifyLog('r1', lines.map((text) => ({ text, whole: true })), { keys, checkpoints: elsewhere ? all.filter(isSignature).map((line) => openCheckpoint(signedIn(line), keys)) : [] })
}

export const runTampering = async ({ given, item, expect }: Run): Promise<void> => {
  const lines = await (made ??= makeLog())
  const changed = tamper(lines, item['tamper'] as Tree | string)
  const report = check(changed, /external place/.test(String(given['state'])), lines)
  const wanted = expect['verify']
  const { finding } = report
  if (wanted === 'ok') {
    if (finding !== undefined) fail(`${finding.kind} at ${finding.at}: ${finding.text}`)
  } else if (finding === undefined) fail('nothing was found')
  else if (isTree(wanted) && finding.at !== `r1/1/${String(wanted['first_bad'])}`) fail(`the first that is bad is ${finding.at} (${finding.kind}: ${finding.text})`)
  for (const sentence of list(expect['that'])) (sentences[String(sentence)] ?? pending(`no check yet: ${String(sentence)}`))(report, lines)
}
