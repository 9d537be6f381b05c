import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { openJournal } from '../../src/audit/file-journal.ts'
import { linesOf, listSegments, segmentOf } from '../../src/audit/segment.ts'
import { noteSigner, signNote, splitNote, witnessSigner } from '../../src/audit/signed-note.ts'
import { finished, options, started, temporaryDirectory } from '../audit/audit-samples.ts'
import { expectedFiles, openSigned, rootOfEntries, TileReader } from '../audit/tile-reader.ts'
import { until } from '../support/until.ts'
import { makeShell } from './shell.ts'

const signer = noteSigner('prod', generateKeyPairSync('ed25519').privateKey)
const witness = witnessSigner('w.example', generateKeyPairSync('ed25519').privateKey)

/** So many pairs of records and a signature. */
const fill = async (directory: string, tries: number, { replica = 'r1', by = signer } = {}): Promise<void> => {
  await using journal = await openJournal(options(directory, { replica, segmentBytes: 50_000 }), { now: Date.now, signer: by, checkpointMs: 3_600_000 })
  for (let at = 0; at < tries; at++) {
    await journal.append(started(`try-${at}`), 'queued')
    await journal.append(finished(`try-${at}`), 'queued')
  }
}

const linesIn = (directory: string, replica = 'r1'): string[] => listSegments(`${directory}/${replica}/wal`).flatMap(({ name }) => [...linesOf(`${directory}/${replica}/wal/${name}`)].map(({ text }) => text))
const filesIn = (folder: string): string[] => globSync('**/*', { cwd: folder }).filter((name) => statSync(join(folder, name)).isFile()).sort()

const readerOf = (folder: string) => {
  const checkpoint = openSigned(readFileSync(join(folder, 'checkpoint'), 'utf8'), signer.verifier)
  return { checkpoint, reader: new TileReader((path) => (existsSync(join(folder, path)) ? readFileSync(join(folder, path)) : undefined), checkpoint.size) }
}

const isSigned = (line: string): boolean => line.includes('"type":"checkpoint"')

/** One start with a signature behind each 60 records. */
const signedOften = async (signatures: number): Promise<string[]> => {
  using directory = temporaryDirectory()
  await using journal = await openJournal(options(directory.path), { now: Date.now, signer, checkpointMs: 1 })
  for (let batch = 1; batch <= signatures; batch++) {
    await Promise.all(Array.from({ length: 60 }, (_, at) => journal.append(started(`try-${batch}-${at}`), 'queued')))
    await until('a signature behind the batch', () => {
      const lines = linesIn(directory.path)
      return lines.filter((line) => !isSigned(line)).length === 60 * batch && isSigned(lines.at(-1) ?? '')
    })
  }
  return linesIn(directory.path)
}

/** The log as it was when it had so many lines. */
const keep = (directory: string, lines: readonly string[]): void => {
  mkdirSync(`${directory}/r1/wal`, { recursive: true })
  writeFileSync(`${directory}/r1/wal/${segmentOf(1, 0).name}`, `${lines.join('\n')}\n`)
}

/** Everything that another reader can find out about a folder of tiles. */
const checkFolder = (folder: string, lines: readonly string[]): void => {
  const { checkpoint, reader } = readerOf(folder)
  const entries = reader.entries()
  assert.deepEqual(entries.map(String), lines.slice(0, checkpoint.size))
  assert.equal(rootOfEntries(entries).toString('hex'), checkpoint.root.toString('hex'))
  assert.equal(reader.root().toString('hex'), checkpoint.root.toString('hex'))
}

describe('audit tiles', () => {
  test('each log becomes a folder from which another reader makes the same proofs', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    await fill(directory.path, 300)
    await fill(directory.path, 3)
    await fill(directory.path, 128, { replica: 'r2' })
    const out = join(shell.home, 'tiles')
    const made = await shell.run(['audit', 'tiles', '-d', directory.path, '--out', 'tiles'])
    assert.deepEqual([made.code, made.out], [0, `ok      prod/r1/1: 600 records; 7 files written, 0 were there\nok      prod/r1/2: 6 records; 2 files written, 0 were there\nok      prod/r2/1: 256 records; 3 files written, 0 were there\n`])
    assert.deepEqual(filesIn(join(out, 'prod/r1/1')), ['checkpoint', ...expectedFiles(600)])
    assert.deepEqual(filesIn(join(out, 'prod/r2/1')), ['checkpoint', ...expectedFiles(256)])
    const lines = linesIn(directory.path)
    checkFolder(join(out, 'prod/r1/1'), lines)
    checkFolder(join(out, 'prod/r1/2'), lines.slice(601))
    checkFolder(join(out, 'prod/r2/1'), linesIn(directory.path, 'r2'))
    const { reader } = readerOf(join(out, 'prod/r1/1'))
    for (const index of [0, 255, 256, 511, 512, 599]) {
      const proof = (await shell.run(['audit', 'prove', `r1/1/${index}`, '-d', directory.path])).out
      const size = Number(proof.split('\n\n')[1]?.split('\n')[1])
      assert.equal(proof.split('\n\n')[0], ['c2sp.org/tlog-proof@v1', `index ${index}`, ...reader.inclusion(index, size).map((hash) => hash.toString('base64'))].join('\n'))
    }
    using rootLog = temporaryDirectory()
    await fill(rootLog.path, 2, { replica: 'root', by: noteSigner('witness.example.org', generateKeyPairSync('ed25519').privateKey) })
    assert.match((await shell.run(['audit', 'tiles', '-d', rootLog.path, '--out', 'tiles'])).out, /^ok {6}witness\.example\.org\/root\/1: 4 records; 2 files written/, 'what a witness keeps is a log as well')
    assert.equal(statSync(join(out, 'prod/r1/1/tile/entries/000')).mode & 0o077, 0, 'records are for whoever may read the log')
  })

  test('what is there is continued; parts give way to whole tiles; the published checkpoint finds an end that is missing', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    const folder = join(shell.home, 'tiles/prod/r1/1')
    const run = () => shell.run(['audit', 'tiles', '-d', directory.path, '--out', 'tiles'])
    const lines = await signedOften(6)
    const early = lines.findIndex((line, at) => at > 130 && isSigned(line))
    assert.ok(early > 130 && early < 250, `${early}`)
    keep(directory.path, lines.slice(0, early + 8))
    assert.deepEqual([(await run()).code, readerOf(folder).checkpoint.size], [0, early], 'what is behind the last signature is not in it')
    checkFolder(folder, lines)
    assert.deepEqual(filesIn(folder), ['checkpoint', ...expectedFiles(early)])
    assert.match((await run()).out, /0 files written, 2 were there/)

    keep(directory.path, lines)
    assert.equal((await run()).code, 0)
    checkFolder(folder, lines)
    const { size } = readerOf(folder).checkpoint
    assert.equal(size, lines.findLastIndex(isSigned))
    assert.deepEqual(filesIn(folder), ['checkpoint', ...expectedFiles(size)], 'no parts of what is whole now')
    assert.equal((await shell.run(['audit', 'verify', '-d', directory.path, '-k', signer.verifier, '--checkpoint', join(folder, 'checkpoint')])).code, 0)

    keep(directory.path, lines.slice(0, early + 1))
    const cut = await run()
    assert.deepEqual([cut.code, cut.out], [17, `NOT OK  r1/1: truncated: ${early} records are signed, and the checkpoint that is there is of ${size}\n`])
    assert.equal(readerOf(folder).checkpoint.size, size)
  })

  test('a tile that went missing is made anew, and one that was changed is named and not written over', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    await fill(directory.path, 300)
    const folder = join(shell.home, 'tiles/prod/r1/1')
    const run = () => shell.run(['audit', 'tiles', '-d', directory.path, '--out', 'tiles'])
    assert.equal((await run()).code, 0)
    rmSync(join(folder, 'tile/0/001'))
    assert.throws(() => readerOf(folder).reader.entries(), /tile\/0\/001: missing/)
    assert.match((await run()).out, /1 files written, 6 were there/)
    for (const name of ['tile/0/001', 'tile/0/002.p/88', 'tile/entries/000', 'tile/1/000.p/2']) {
      const good = readFileSync(join(folder, name))
      const bad = Buffer.from(good)
      bad.writeUInt8(bad.readUInt8(40) ^ 1, 40)
      writeFileSync(join(folder, name), bad)
      assert.throws(() => readerOf(folder).reader.entries(), /is not (what level 0 says|the root of the tile below)/, name)
      const { code, out } = await run()
      assert.deepEqual([code, out], [10, `NOT OK  r1/1: changed: ${join(folder, name)} is not what the log says. Delete it to have it made anew\n`])
      assert.deepEqual(readFileSync(join(folder, name)), bad)
      rmSync(join(folder, name))
      assert.equal((await run()).code, 0)
      assert.deepEqual(readFileSync(join(folder, name)), good)
    }
    writeFileSync(join(folder, 'checkpoint'), 'nonsense')
    assert.deepEqual([(await run()).code, /checkpoint: not a signed note. Delete it/.test((await run()).out)], [10, true])
  })

  test('of a log that is not what was signed nothing is written, and the others are', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    await fill(directory.path, 5)
    await fill(directory.path, 5, { replica: 'r2' })
    const lines = linesIn(directory.path)
    const said = async (edited: readonly string[]): Promise<string> => {
      keep(directory.path, edited)
      rmSync(join(shell.home, 'tiles'), { recursive: true, force: true })
      const { code, out } = await shell.run(['audit', 'tiles', '-d', directory.path, '--out', 'tiles'])
      assert.match(out, /ok {6}prod\/r2\/1: 10 records/)
      assert.ok(!existsSync(join(shell.home, 'tiles/prod/r1')))
      return `${code} ${/^(?:NOT OK|empty) .*$/m.exec(out)?.[0]}`
    }
    assert.equal(await said(lines.with(4, lines[4]!.replace('try-2', 'try-X'))), '10 NOT OK  r1/1: changed: the records before r1/1/10 are not those that were signed')
    assert.equal(await said(lines.toSpliced(4, 1)), '11 NOT OK  r1/1: missing: r1/1/4 is not here: r1/1/5 stands in its place')
    assert.equal(await said(lines.slice(3)), '11 NOT OK  r1/1: missing: r1/1/0 is not here: r1/1/3 stands in its place')
    assert.equal(await said(lines.toSpliced(4, 0, lines[3]!)), '12 NOT OK  r1/1: moved: r1/1/4 is not here: r1/1/3 stands in its place')
    assert.equal(await said(lines.with(4, 'GET / HTTP/1.1')), '15 NOT OK  r1/1: unreadable: r1/1/4 is no record')
    assert.equal(await said(lines.with(4, lines[4]!.replace('try-2', 'try-\u00e4'))), '15 NOT OK  r1/1: unreadable: r1/1/4 is no record')
    const withNote = (note: string) => lines.with(10, lines[10]!.replace(/"signed":"[^"]*"/, () => `"signed":${JSON.stringify(note).replace(/\u2014/g, '\\u2014')}`))
    const elsewhere = signNote(`prod/../../r1/1\n10\n${Buffer.from(rootOfEntries(lines.slice(0, 10).map((line) => Buffer.from(line)))).toString('base64')}\n`, signer)
    assert.match(await said(withNote(elsewhere)), /^18 NOT OK {2}r1\/1: forged: prod\/\.\.\/\.\.\/r1\/1 is no name of a log$/)
    assert.match(await said(withNote(elsewhere.replace('prod/../../r1/1', 'prod/r1/2'))), /^18 NOT OK {2}r1\/1: forged: the signature in r1\/1\/10 is of 10 records of prod\/r1\/2$/)
    assert.equal(await said(lines.slice(0, 10)), '0 empty   r1/1: nothing is signed yet')
  })

  test('another log of the same name is refused, whoever signed it', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    const said = async (tries: number, by = signer): Promise<string> => {
      using other = temporaryDirectory()
      await fill(other.path, tries, { by })
      const { code, out } = await shell.run(['audit', 'tiles', '-d', other.path, '--out', 'tiles'])
      return `${code} ${out}`
    }
    await fill(directory.path, 20)
    assert.equal((await shell.run(['audit', 'tiles', '-d', directory.path, '--out', 'tiles'])).code, 0)
    const before = readFileSync(join(shell.home, 'tiles/prod/r1/1/checkpoint'), 'utf8')
    const others = '16 NOT OK  r1/1: forked: the first 40 records are others than those of the checkpoint that is there\n'
    assert.deepEqual([await said(20), await said(20, noteSigner('prod', generateKeyPairSync('ed25519').privateKey))], [others, others])
    assert.equal(await said(30), '16 NOT OK  r1/1: forked: the checkpoint that is there is of 40 records, and nobody has signed so many here\n')
    assert.equal(readFileSync(join(shell.home, 'tiles/prod/r1/1/checkpoint'), 'utf8'), before)
  })

  test('what witnesses have signed of the newest checkpoint goes along with it', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    await fill(directory.path, 3)
    const lines = linesIn(directory.path)
    const { signed } = JSON.parse(lines.at(-1)!) as { signed: string }
    const theirs = `${signed}${signNote(splitNote(signed).text, witness).split('\n\n')[1]}`
    keep(directory.path, [...lines, lines.at(-1)!.replace('"id":"r1/1/6","seq":6', '"id":"r1/1/7","seq":7').replace('"type":"checkpoint"', '"type":"cosigned"').replace(/"signed":"[^"]*"/, () => `"signed":${JSON.stringify(theirs).replace(/\u2014/g, '\\u2014')}`)])
    assert.equal((await shell.run(['audit', 'tiles', '-d', directory.path, '--out', 'tiles', '--log', 'r1/1'])).code, 0)
    assert.equal(readFileSync(join(shell.home, 'tiles/prod/r1/1/checkpoint'), 'utf8'), theirs)
    assert.equal(readerOf(join(shell.home, 'tiles/prod/r1/1')).checkpoint.size, 6)
  })

  test('what it needs to be told, and where it cannot write', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    await fill(directory.path, 3)
    const run = (...more: string[]) => shell.run(['audit', 'tiles', '-d', directory.path, ...more])
    assert.deepEqual([(await run()).code, /--out FOLDER/.test((await run()).err)], [2, true])
    assert.match((await run('--out', 'tiles', '--log', 'r1/9')).err, /no log of r1\/9 is here/)
    writeFileSync(join(shell.home, 'file'), '')
    assert.match((await run('--out', 'file')).err, /file\/prod\/r1\/1\/tile\/\S+ cannot be written \(.*ENOTDIR/)
    keep(directory.path, linesIn(directory.path).slice(0, 3))
    assert.equal((await run('--out', 'tiles')).code, 20)
  })
})
