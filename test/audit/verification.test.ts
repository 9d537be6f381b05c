import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { openCheckpoint, type Checkpoint } from '../../src/audit/checkpoint.ts'
import { cosign } from '../../src/audit/cosignature.ts'
import { openJournal } from '../../src/audit/file-journal.ts'
import { checkProof, proofText } from '../../src/audit/proof.ts'
import { linesOf, listSegments } from '../../src/audit/segment.ts'
import { BadNote, noteSigner, splitNote, witnessSigner, type NoteSigner } from '../../src/audit/signed-note.ts'
import { missingLogs } from '../../src/audit/kept-checkpoint.ts'
import { verifyLog } from '../../src/audit/verification.ts'
import { leafHash } from '../../src/lib/leaf-hash.ts'
import { until } from '../support/until.ts'
import { finished, options, readAll, started, temporaryDirectory } from './audit-samples.ts'

const signer = noteSigner('prod', generateKeyPairSync('ed25519').privateKey)

const linesIn = (directory: string): string[] => listSegments(`${directory}/r1/wal`).flatMap(({ name }) => [...linesOf(`${directory}/r1/wal/${name}`)].map(({ text }) => text))

/** So many starts of a replica, each with so many records and one signature at its end. */
const journalOf = async (starts: number, records: number, by: (start: number) => NoteSigner | undefined = () => signer, segmentBytes = 1_000_000): Promise<string[]> => {
  using directory = temporaryDirectory()
  for (let start = 0; start < starts; start++) {
    const key = by(start)
    await using journal = await openJournal(options(directory.path, { segmentBytes }), { now: Date.now, ...(key ? { signer: key } : {}), checkpointMs: 3_600_000 })
    for (let at = 0; at < records / 2; at++) {
      await journal.append(started(`a${start}-${at}`), 'queued')
      await journal.append(finished(`a${start}-${at}`), 'queued')
    }
  }
  return linesIn(directory.path)
}

const verify = (lines: readonly string[], checkpoints: readonly Checkpoint[] = [], keys = [signer]) => verifyLog('r1', lines.map((text) => ({ text, whole: true })), { keys, checkpoints })
const found = (lines: readonly string[], checkpoints: readonly Checkpoint[] = []) => {
  const { finding } = verify(lines, checkpoints)
  return finding && `${finding.kind} ${finding.at}`
}

/** Somebody who may write the file and has no key: every line after the change is chained anew. */
const rechained = (lines: readonly string[]): string[] => {
  const made: string[] = []
  for (const [at, line] of lines.entries()) made.push(at === 0 ? line : line.replace(/"prev":"[^"]+"/, `"prev":"${leafHash(made[at - 1]!)}"`))
  return made
}
const renumbered = (lines: readonly string[]): string[] => lines.map((line, at) => line.replace(/"id":"r1\/1\/\d+","seq":\d+/, `"id":"r1/1/${at}","seq":${at}`))
const edited = (lines: readonly string[], at: number): string[] => lines.with(at, lines[at]!.replace('invoice-agent', 'another-agent').replace('"ms":2.5', '"ms":2.6')) as string[]

test('what was written is what was written, over starts and segments, up to the last signature', async () => {
  const lines = await journalOf(3, 100, () => signer, 5_000)
  const { finding, records, signed, beginsLate, first, last } = verify(lines)
  assert.deepEqual({ finding, records, signed, beginsLate, first, last }, { finding: undefined, records: 303, signed: 302, beginsLate: false, first: 'r1/1/0', last: 'r1/3/100' })
})

test('nothing is claimed of what is behind the last signature, or was never signed', async () => {
  const lines = await journalOf(1, 10)
  assert.deepEqual([verify(lines).signed, verify(lines).behind], [10, 0])
  const unsigned = lines.slice(0, -1)
  assert.deepEqual([verify(unsigned).finding, verify(unsigned).records, verify(unsigned).signed, verify(unsigned).behind], [undefined, 10, 0, 10])
  // An edit of the last record, or all of an unsigned tail chained anew: nothing shows it, so nothing may be said of it.
  assert.deepEqual([found(edited(unsigned, 9)), verify(edited(unsigned, 9)).signed], [undefined, 0])
  assert.equal(verify(await journalOf(1, 10, () => undefined)).signed, 0)
})

test('a later start signs, by the chain, what an earlier one could not any more', async () => {
  const lines = await journalOf(2, 10, (start) => (start === 0 ? undefined : signer))
  assert.deepEqual([verify(lines.slice(0, 10)).signed, verify(lines).signed], [0, 20])
  assert.equal(found(rechained(edited(lines, 5))), 'changed r1/2/0')
})

test('one change in a record, wherever it is', async () => {
  const lines = await journalOf(1, 100)
  for (const at of [0, 1, 49, 50, 98, 99]) assert.equal(found(edited(lines, at)), `changed r1/1/${at}`, `${at}`)
  assert.equal(found(lines.with(50, lines[50]!.replace(/"prev":"(.)/, (_, start: string) => `"prev":"${start === 'A' ? 'B' : 'A'}`))), 'changed r1/1/50', 'the chain itself')
  assert.equal(found(lines.with(50, '{"v":1}')), 'unreadable r1/1/50')
})

test('a record that is gone, out of its place, there twice, or not ours', async () => {
  const lines = await journalOf(1, 100)
  assert.equal(found(lines.toSpliced(50, 1)), 'missing r1/1/50')
  assert.equal(found(lines.toSpliced(50, 3)), 'missing r1/1/50')
  assert.equal(found(lines.with(50, lines[51]!).with(51, lines[50]!)), 'moved r1/1/50')
  assert.equal(found(lines.toSpliced(51, 0, lines[50]!)), 'repeated r1/1/51')
  const foreign = lines[50]!.replace(/"attempt":"[^"]+"/, '"attempt":"never"')
  assert.equal(found(lines.toSpliced(50, 0, foreign.replace(/"prev":"[^"]+"/, `"prev":"${leafHash('made up')}"`))), 'changed r1/1/50')
  assert.equal(found(lines.toSpliced(50, 0, foreign)), 'inserted r1/1/50')
  assert.equal(found(lines.toSpliced(1, 0, 'GET / HTTP/1.1')), 'unreadable r1/1/1')
  assert.match(verify([...lines.slice(0, -1), '{"v":1,"id":"r1/1/100"']).finding?.text ?? '', /no record/)
})

test('who chains it anew has no signature for it', async () => {
  const lines = await journalOf(2, 50)
  const first = lines.slice(0, 51)
  assert.equal(found(rechained(edited(first, 20))), 'changed r1/1/0')
  assert.equal(found(rechained(renumbered(first.toSpliced(20, 1)))), 'forged r1/1/49', 'the signature is of one record more')
  assert.equal(found(rechained(edited(lines, 70))), 'changed r1/2/0', 'only the start that was changed')
  const stranger = noteSigner('prod', generateKeyPairSync('ed25519').privateKey)
  const theirs = await journalOf(1, 50, () => stranger)
  assert.equal(found(theirs), 'forged r1/1/50', 'keys come from whoever checks')
  const elsewhere = lines[50]!
  assert.equal(found(rechained([...first.slice(0, 30), elsewhere.replace(/"id":"r1\/1\/\d+","seq":\d+/, '"id":"r1/1/30","seq":30')])), 'forged r1/1/30', 'the signature of another place')
})

test('a checkpoint that was kept elsewhere finds an end that is missing, and a second log', async () => {
  const lines = await journalOf(1, 100)
  const note = JSON.parse(lines[100]!) as { signed: string }
  const kept = openCheckpoint(note.signed, [signer])
  assert.equal(kept.size, 100)
  assert.deepEqual([found(lines, [kept]), found(lines.slice(0, 100), [kept]), verify(lines.slice(0, 100), [kept]).signed], [undefined, undefined, 100])
  assert.equal(found(lines.slice(0, 90), [kept]), 'truncated r1/1/90')
  assert.equal(found([], [kept]), 'truncated r1/1/0')
  assert.equal(found([...lines.slice(0, 80), ...rechained(lines.map((line, at) => (at >= 80 ? line.replace('"ms":2.5', '"ms":9') : line))).slice(80, 100)], [kept]), 'forked r1/1/0')
  assert.deepEqual([missingLogs(new Set(['r1']), [kept]), missingLogs(new Set(['r2']), [kept])], [[], ['r1']])
})

test('what a witness has signed speaks for itself once, and copies of it are counted like any other record', async () => {
  const lines = await journalOf(1, 10)
  const [one, other] = ['one.example', 'other.example'].map((name) => witnessSigner(name, generateKeyPairSync('ed25519').privateKey)) as [NoteSigner, NoteSigner]
  const { signed } = JSON.parse(lines[10]!) as { signed: string }
  const by = (witness: NoteSigner): string => `${signed}${cosign(splitNote(signed).text, witness, 1_700_000_000)}`
  const withNotes = (...notes: readonly string[]): string[] =>
    rechained([...lines, ...notes.map((note, at) => JSON.stringify({ v: 1, id: `r1/1/${11 + at}`, seq: 11 + at, prev: leafHash('-'), time: new Date().toISOString(), type: 'cosigned', signed: note }).replaceAll('\u2014', '\\u2014'))])
  const behind = (...notes: readonly string[]) => [[one], undefined].map((witnesses) => {
    const report = verifyLog('r1', withNotes(...notes).map((text) => ({ text, whole: true })), { keys: [signer], checkpoints: [], ...(witnesses ? { witnesses } : {}) })
    assert.equal(report.finding, undefined)
    return report.behind
  })
  assert.deepEqual(behind(by(one), by(other)), [0, 0], 'each witness by itself')
  assert.deepEqual(behind(by(one), by(one), by(other), by(one)), [2, 2])
  assert.deepEqual(behind(signed), [1, 1], 'nobody but the log itself')
})

test('a start that is missing, and one that went on without signatures', async () => {
  const lines = await journalOf(3, 10)
  assert.equal(found(lines.filter((line) => !line.includes('"id":"r1/2/'))), 'missing r1/2/0')
  const later = (line: string, ms: number): string => line.replace(/"time":"[^"]+"/, `"time":"${new Date(Date.now() + ms).toISOString()}"`)
  const quiet = rechained([...lines, ...(await journalOf(1, 40, () => undefined)).map((line, at) => later(line.replace(/"id":"r1\/1\//, '"id":"r1/4/'), at * 1_000))])
  assert.deepEqual([verify(quiet).finding, verify(quiet).behind], [undefined, 40], 'a replica that died in its first second has signed nothing')
  const long = rechained([...lines, ...(await journalOf(1, 100, () => undefined)).map((line, at) => later(line.replace(/"id":"r1\/1\//, '"id":"r1/4/'), at * 1_000))])
  assert.equal(found(long), 'unsigned r1/4/0')
})

test('what begins later than the log is checked from there, and said to', async () => {
  const lines = await journalOf(2, 20)
  const later = verify(lines.slice(5))
  assert.deepEqual([later.finding, later.beginsLate, later.signed], [undefined, true, 36], 'the second start is whole, and vouches by its chain for what is there of the first')
})

test('of a start whose first records were not given, nothing signed can be compared, and a checkpoint of it is not passed over', async () => {
  const lines = await journalOf(1, 100)
  const spread = rechained(lines.map((line, at) => line.replace(/"time":"[^"]+"/, `"time":"${new Date(Date.now() + at * 2_000).toISOString()}"`)))
  const late = verify(lines.slice(5))
  assert.deepEqual([late.finding, late.signed, late.uncompared, late.behind, late.beginsLate], [undefined, 0, true, 0, true])
  assert.equal(verify(spread.slice(5)).finding, undefined, 'it has its signature, however long it is')
  assert.deepEqual([verify(lines).uncompared, found(lines.slice(5), [openCheckpoint((JSON.parse(lines[100]!) as { signed: string }).signed, [signer])])], [false, 'truncated r1/1/0'])
})

test('the running journal signs a second later, once, and again only after more has come', async () => {
  using directory = temporaryDirectory()
  await using journal = await openJournal(options(directory.path), { now: Date.now, signer, checkpointMs: 20 })
  const signed = async () => (await readAll(journal)).filter(({ type }) => type === 'checkpoint')
  await journal.append(started('a'), 'synced')
  await until('a signature', async () => (await signed()).length === 1)
  await journal.append(finished('a'), 'synced')
  await until('another one', async () => (await signed()).length === 2)
  assert.deepEqual((await readAll(journal)).map(({ type }) => type), ['started', 'checkpoint', 'finished', 'checkpoint'])
  assert.deepEqual([found(linesIn(directory.path)), verify(linesIn(directory.path)).signed], [undefined, 3])
})

test('one record is proved to who has nothing else', async () => {
  const lines = await journalOf(1, 30)
  const leaves = lines.slice(0, 30).map((line) => Buffer.from(leafHash(line), 'base64'))
  const { signed } = JSON.parse(lines[30]!) as { signed: string }
  for (const at of [0, 7, 29]) {
    const proof = proofText(leaves, at, signed)
    assert.deepEqual(checkProof(proof, lines[at]!, [signer]), { id: `r1/1/${at}`, origin: 'prod/r1/1', size: 30 })
    assert.throws(() => checkProof(proof, lines[at === 7 ? 8 : 7]!, [signer]), BadNote)
    assert.throws(() => checkProof(proof, edited(lines, at)[at]!, [signer]), /not the one that is proved/)
    assert.throws(() => checkProof(proof.replace(`index ${at}`, `index ${at + 1}`), lines[at]!, [signer]), BadNote)
    assert.throws(() => checkProof(proof.replace('tlog-proof@v1', 'tlog-proof@v2'), lines[at]!, [signer]), /does not read/)
  }
})
