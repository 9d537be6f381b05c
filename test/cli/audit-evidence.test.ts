import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { signCheckpoint } from '../../src/audit/checkpoint.ts'
import { cosign } from '../../src/audit/cosignature.ts'
import { openJournal } from '../../src/audit/file-journal.ts'
import { noteSigner, splitNote, witnessSigner, type NoteSigner } from '../../src/audit/signed-note.ts'
import { withApprovalKey } from '../../src/config/approval-key.ts'
import { logSigner, receiptSigners } from '../../src/config/deployment-keys.ts'
import { finished, options, started, temporaryDirectory } from '../audit/audit-samples.ts'
import { configText, makeFolder } from '../config/folder.ts'
import { makeShell } from './shell.ts'

const signer = noteSigner('prod', generateKeyPairSync('ed25519').privateKey)
const stranger = noteSigner('prod', generateKeyPairSync('ed25519').privateKey)

const fill = async (directory: string, tries: number, by = signer, replica = 'r1'): Promise<void> => {
  await using journal = await openJournal(options(directory, { replica }), { now: Date.now, signer: by, checkpointMs: 3_600_000 })
  for (let at = 0; at < tries; at++) {
    await journal.append(started(`try-${at}`), 'queued')
    await journal.append(finished(`try-${at}`), 'queued')
  }
}

const change = (directory: string, edit: (text: string) => string): void => {
  const wal = `${directory}/r1/wal`
  for (const name of readdirSync(wal)) writeFileSync(`${wal}/${name}`, edit(readFileSync(`${wal}/${name}`, 'utf8')))
}

describe('evidence', () => {
  test('verify says that all is well, up to the last signature, and where it is not', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    await fill(directory.path, 10)
    const verify = (...more: string[]) => shell.run(['audit', 'verify', '-d', directory.path, '-k', signer.verifier, ...more])
    const good = await verify()
    assert.deepEqual([good.code, good.out], [0, 'ok      r1: 20 records up to the last signature are what was written (last r1/1/20)\n'])
    assert.deepEqual(JSON.parse((await verify('-o', 'json')).out), { logs: [{ replica: 'r1', records: 21, signed: 20, behind: 0, uncompared: false, beginsLate: false, first: 'r1/1/0', last: 'r1/1/20' }], missing: [] })

    const other = await shell.run(['audit', 'verify', '-d', directory.path, '-k', stranger.verifier])
    assert.deepEqual([other.code, /NOT OK {2}r1: forged at r1\/1\/20: nobody known has signed/.test(other.out)], [18, true])

    change(directory.path, (text) => text.replace('"seq":7,', '"seq":7 ,').replace('"attempt":"try-4"', '"attempt":"try-X"'))
    const bad = await verify()
    assert.deepEqual([bad.code, bad.out.slice(0, 27)], [15, 'NOT OK  r1: unreadable at r'])
    change(directory.path, (text) => text.replace('"seq":7 ,', '"seq":7,'))
    const edited = await verify()
    assert.deepEqual([edited.code, edited.out.slice(0, 30)], [10, 'NOT OK  r1: changed at r1/1/8:'])
  })

  test('a checkpoint that was kept finds what went missing; a log without signatures is not called good', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    await fill(directory.path, 10)
    await fill(directory.path, 5, signer, 'r2')
    const kept = await shell.run(['audit', 'checkpoint', '-d', directory.path])
    assert.match(kept.out, /^prod\/r1\/1\n20\n\S{44}\n\n\u2014 prod \S+\nprod\/r2\/1\n10\n/)
    const file = join(shell.home, 'kept.txt')
    writeFileSync(file, kept.out)
    const verify = (...more: string[]) => shell.run(['audit', 'verify', '-k', signer.verifier, ...more])
    assert.equal((await verify('-d', directory.path, '--checkpoint', file)).code, 0)
    change(directory.path, (text) => `${text.split('\n').slice(0, 15).join('\n')}\n`)
    assert.deepEqual([(await verify('-d', directory.path)).code, (await verify('-d', directory.path, '--checkpoint', file)).code], [20, 17])
    assert.match((await verify('-d', directory.path)).out, /NOT OK {2}r1: 15 records fit each other, and nobody has signed any of them/)
    const only = join(shell.home, 'export.ndjson')
    writeFileSync(only, readFileSync(`${directory.path}/r2/wal/${readdirSync(`${directory.path}/r2/wal`)[0]}`))
    const missing = await verify(only, '--checkpoint', file)
    assert.deepEqual([missing.code, /NOT OK {2}r1: a checkpoint from elsewhere is of this log/.test(missing.out), /ok {6}r2: 10 records/.test(missing.out)], [19, true, true])
    writeFileSync(file, kept.out.replace('\n20\n', '\n21\n'))
    assert.equal((await verify('-d', directory.path, '--checkpoint', file)).code, 18)
  })

  test('what one witness saw does not stand for what another one saw: two logs of one name are found by any pair of checkpoints', async () => {
    await using shell = await makeShell()
    const [w1, w2] = ['w1.example', 'w2.example'].map((name) => witnessSigner(name, generateKeyPairSync('ed25519').privateKey)) as [NoteSigner, NoteSigner]
    const kept = async (tries: number) => {
      const directory = temporaryDirectory()
      await fill(directory.path, tries)
      return { directory, note: (await shell.run(['audit', 'checkpoint', '-d', directory.path])).out }
    }
    const [short, long, third] = [await kept(3), await kept(6), await kept(6)]
    using _short = short.directory
    using here = long.directory
    using _third = third.directory
    const seen = (note: string, by: NoteSigner): string => `${note}${cosign(splitNote(note).text, by, 1_700_000_000)}`
    const file = (name: string, text: string): string => {
      writeFileSync(join(shell.home, name), text)
      return join(shell.home, name)
    }
    const keys = file('witness.keys', `${w1.verifier}\n${w2.verifier}\n`)
    const verify = (...files: readonly string[]) => shell.run(['audit', 'verify', '-d', here.path, '-k', signer.verifier, '--witness-keys', keys, ...files.flatMap((name) => ['--root-log', name])])
    const [a, b, c] = [file('a.txt', seen(short.note, w1)), file('b.txt', seen(long.note, w2)), file('c.txt', seen(third.note, w2))]
    assert.equal((await verify(b)).code, 0)
    for (const files of [[a], [a, b], [b, a], [file('both.txt', seen(short.note, w1) + seen(long.note, w2))]]) {
      const { code, out } = await verify(...files)
      assert.deepEqual([code, /NOT OK {2}r1: forked at r1\/1\/0/.test(out)], [16, true], files.join(' '))
    }
    for (const files of [[b, c], [c, b], [file('same.txt', seen(long.note, w1) + seen(third.note, w1))]]) {
      const { code, out, err } = await verify(...files)
      assert.deepEqual([code, out, /there were two logs prod\/r1\/1: two checkpoints of 12 records/.test(err)], [16, '', true], files.join(' '))
    }
    const twice = await verify(b, file('b1.txt', seen(long.note, w1)))
    assert.deepEqual([twice.code, twice.out.match(/witnessed up to r1\/1\/11 by w\d/g)?.length], [0, 2], 'the same of two is said of both')
  })

  test('it does not say that all is well of evidence with which nothing could be compared', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    await fill(directory.path, 3)
    const witness = witnessSigner('w.example', generateKeyPairSync('ed25519').privateKey)
    const other = noteSigner('other', generateKeyPairSync('ed25519').privateKey)
    const foreign = signCheckpoint({ origin: 'other/r1/1', size: 6, root: Buffer.alloc(32) }, other)
    const [empty, others] = [join(shell.home, 'empty.txt'), join(shell.home, 'others.txt')]
    writeFileSync(empty, '')
    writeFileSync(others, `${foreign}${cosign(splitNote(foreign).text, witness, 1_700_000_000)}`)
    const wanted: readonly (readonly [readonly string[], RegExp])[] = [
      [['--root-log', empty], /empty\.txt: no checkpoint in it is of a log whose key was given/],
      [['--root-log', others], /others\.txt: no checkpoint in it is of a log whose key was given/],
      [['--checkpoint', empty], /empty\.txt: there is no checkpoint in it/],
      [[], /no witness that was named has seen any of these logs/],
    ]
    for (const [more, says] of wanted) {
      const { code, err } = await shell.run(['audit', 'verify', '-d', directory.path, '-k', signer.verifier, '--witness-keys', witness.verifier, ...more])
      assert.equal(code, 22, more.join(' '))
      assert.match(err, says)
    }
  })

  test('an export is checked like the journal, several replicas in one file as they came', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    await fill(directory.path, 10)
    await fill(directory.path, 10, signer, 'r2')
    const lines = ['r1', 'r2'].map((replica) => readFileSync(`${directory.path}/${replica}/wal/${readdirSync(`${directory.path}/${replica}/wal`)[0]}`, 'utf8').trimEnd().split('\n'))
    const file = join(shell.home, 'export.ndjson')
    const mixed = lines[0]!.flatMap((line, at) => [line, lines[1]![at]!])
    const verify = () => shell.run(['audit', 'verify', '-k', signer.verifier, file])
    writeFileSync(file, mixed.join('\n')) // no newline at the end
    assert.deepEqual((await verify()).code, 0)
    writeFileSync(file, mixed.toSpliced(10, 1).join('\n'))
    const { code, out } = await verify()
    assert.deepEqual([code, /r1: missing at r1\/1\/5/.test(out), /ok {6}r2/.test(out)], [11, true, true])
  })

  test('an export as OCSF is checked like the log that it was made from, also after a JSON writer of somebody else', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    await fill(directory.path, 10)
    const file = join(shell.home, 'export.ocsf.ndjson')
    const verify = () => shell.run(['audit', 'verify', '-k', signer.verifier, file])
    const { out, code } = await shell.run(['audit', 'export', '--format', 'ocsf', '-d', directory.path])
    assert.equal(code, 0)
    const events = out.trimEnd().split('\n').map((line) => JSON.parse(line) as { class_uid: number; metadata: { sequence: number }; unmapped: { countersign: { seq: number } } })
    assert.deepEqual([events.length, events[0]?.class_uid, events.every(({ metadata, unmapped }, at) => metadata.sequence === at && unmapped.countersign.seq === at)], [21, 6003, true])
    writeFileSync(file, out)
    assert.deepEqual([(await verify()).code, (await verify()).out], [0, 'ok      r1: 20 records up to the last signature are what was written (last r1/1/20)\n'])
    writeFileSync(file, `${events.map((event) => JSON.stringify({ ingested: '\u00e4\u2028', ...event })).join('\n')}\n`)
    assert.equal((await verify()).code, 0)
    writeFileSync(file, out.replace('"attempt":"try-4"', '"attempt":"try-X"'))
    assert.deepEqual([(await verify()).code, /changed at r1\/1\/8/.test((await verify()).out)], [10, true])
    writeFileSync(file, events.toSpliced(5, 1).map((event) => JSON.stringify(event)).join('\n'))
    assert.equal((await verify()).code, 11)
    assert.equal((await shell.run(['audit', 'export', '--format', 'cef', '-d', directory.path])).code, 2)
  })

  test('what a sink delivered more than once counts once where that is asked for, and only byte for byte', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    await fill(directory.path, 10)
    const file = join(shell.home, 'copy.ndjson')
    const verify = (...more: string[]) => shell.run(['audit', 'verify', '-k', signer.verifier, file, ...more])
    for (const format of ['log', 'ocsf']) {
      const lines = (await shell.run(['audit', 'export', '--format', format, '-d', directory.path])).out.trimEnd().split('\n')
      const again = [...lines.slice(0, 12), ...lines.slice(5)] // a restart went back to the sixth
      const write = (copy: readonly string[]) => writeFileSync(file, `${copy.join('\n')}\n`)
      write(again)
      assert.deepEqual([(await verify()).code, (await verify('--allow-repeats')).code], [14, 0], format)
      assert.equal((await verify('--allow-repeats')).out, 'ok      r1: 20 records up to the last signature are what was written (last r1/1/20)\n        7 lines were repeats of what was there before, byte for byte\n')
      assert.equal((JSON.parse((await verify('--allow-repeats', '-o', 'json')).out) as { logs: { repeats: number }[] }).logs[0]?.repeats, 7)
      write(lines)
      assert.equal((await verify('--allow-repeats')).out, 'ok      r1: 20 records up to the last signature are what was written (last r1/1/20)\n')
      write(again.with(13, again[13]!.replaceAll('try-3', 'try-X')))
      const other = await verify('--allow-repeats')
      assert.deepEqual([other.code, /NOT OK {2}r1: inserted at r1\/1\/6/.test(other.out)], [14, true], `${format}: ${other.out}`)
      write(again.toSpliced(2, 1))
      assert.equal((await verify('--allow-repeats')).code, 11, 'a record that is missing is not made up for')
      write([...lines.slice(0, 5), lines[6]!, lines[5]!, ...lines.slice(6)])
      assert.equal((await verify('--allow-repeats')).code, 12, 'nor is another order')
    }
    const alone = await shell.run(['audit', 'verify', '-d', directory.path, '-k', signer.verifier, '--allow-repeats'])
    assert.deepEqual([alone.code, /name the FILEs/.test(alone.err)], [2, true])
  })

  test('one record and its proof are enough for who has the key', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    await fill(directory.path, 10)
    const [proof, record] = [join(shell.home, 'x.tlog-proof'), join(shell.home, 'x.json')]
    writeFileSync(proof, (await shell.run(['audit', 'prove', 'r1/1/7', '-d', directory.path])).out)
    writeFileSync(record, (await shell.run(['audit', 'prove', 'r1/1/7', '--record', '-d', directory.path])).out)
    const check = () => shell.run(['audit', 'verify', '--proof', proof, record, '-k', signer.verifier])
    const { code, out } = await check()
    assert.deepEqual([code, out], [0, 'ok      r1/1/7 is one of the 20 records of prod/r1/1\n'])
    writeFileSync(record, readFileSync(record, 'utf8').replace('"executed"', '"failed"'))
    assert.equal((await check()).code, 18)
    for (const [id, says] of [['r1/1/20', /nothing is signed behind/], ['r1/1/99', /no such record/], ['r9/1/1', /no log of r9/], ['nonsense', /REPLICA\/EPOCH\/SEQ/]] as const) assert.match((await shell.run(['audit', 'prove', id, '-d', directory.path])).err, says, id)
  })

  test('without more, place and keys are those of the configuration', async () => {
    using folder = makeFolder()
    const config = await folder.config(configText())
    await using shell = await makeShell({ COUNTERSIGN_CONFIG: join(folder.path, 'countersign.yaml') })
    const early = await shell.run(['audit', 'key'])
    assert.deepEqual([early.code, /no approval key yet/.test(early.err), existsSync(config.approvalKeyFile!)], [1, true, false], 'who only looks makes no key')
    const keyed = withApprovalKey(config)
    await fill(config.journal.directory, 3, logSigner(keyed))
    assert.deepEqual((await shell.run(['audit', 'verify'])).code, 0)
    assert.equal((await shell.run(['audit', 'key'])).out, `${logSigner(keyed).verifier}\n${receiptSigners(keyed)[0]?.verifier}\n`)
    assert.match(receiptSigners(keyed)[0]?.verifier ?? '', /^countersign#receipts\+/)
    assert.equal((await shell.run(['audit', 'verify', '-c', 'elsewhere.yaml'])).code, 3)
    assert.equal((await shell.run(['audit', 'verify', '-k', 'nonsense'])).code, 2)
    for (const option of ['--checkpoint', '--proof']) assert.match((await shell.run(['audit', 'verify', option, 'nofile', ...(option === '--proof' ? ['norecord'] : [])])).err, /nofile cannot be read \(ENOENT\)/)
  })
})
