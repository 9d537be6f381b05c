import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { openJournal, type RecoveredJournal } from '../../src/audit/file-journal.ts'
import { noteSigner, noteVerifier } from '../../src/audit/signed-note.ts'
import { makeWitnesses, type Witnesses } from '../../src/sinks/witnesses.ts'
import { finished, options, readAll, started } from '../audit/audit-samples.ts'
import { makeShell } from '../cli/shell.ts'
import { makeTls } from '../support/postgres-tls.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { until } from '../support/until.ts'
import { startRelay } from './relay.ts'
import { timeOfCosignature } from './second-log.ts'
import { startWitness } from './witness-process.ts'

const signer = noteSigner('prod', generateKeyPairSync('ed25519').privateKey)
const log = { warn: () => {} }
const pace = { firstMs: 5, longestMs: 50 }
const soon = (ms = 10_000): AbortSignal => AbortSignal.timeout(ms)

const open = (directory: string, replica = 'r1'): Promise<RecoveredJournal> => openJournal(options(directory, { replica }), { now: Date.now, signer, checkpointMs: 3_600_000 })
/** Nobody is told of anything before somebody waits for it. */
const watch = (journal: RecoveredJournal, ...places: (readonly [url: string, key: string])[]): Witnesses =>
  makeWitnesses(places.map(([url, key], at) => ({ name: `w${at}`, url, key: noteVerifier(key), everyMs: 3_600_000, timeoutMs: 2_000 })), { journal, log, pace })

const write = async (journal: RecoveredJournal, count: number): Promise<string> => {
  for (let at = 0; at < count; at++) await journal.append(at % 2 === 0 ? started(`a${at}`) : finished(`a${at - 1}`), 'written')
  return journal.last()
}
/** It waits in vain, and this is why. */
const refusedFor = async (witnesses: Witnesses, id: string, cause: RegExp): Promise<void> => {
  const over = new AbortController()
  const arrived = assert.rejects(witnesses.arrived(id, 1, 60_000, over.signal), cause)
  await until(`the cause ${cause.source}`, () => cause.test(witnesses.state()[0]?.lastError ?? ''), 10_000)
  over.abort()
  await arrived
}
const cosigned = async (journal: RecoveredJournal): Promise<readonly string[]> => (await readAll(journal)).filter(({ type }) => type === 'cosigned').map(({ signed }) => String(signed))

describe('a log that is watched', () => {
  test('is seen up to the record that somebody waits for, at once, and what was seen is on record', async () => {
    using folder = temporaryFolder('watched')
    await using witness = await startWitness(join(folder.path, 'w'), [signer.verifier])
    for (const start of [1, 2]) {
      await using journal = await open(folder.path)
      await using witnesses = watch(journal, [witness.url, witness.keys[0]])
      for (const count of [1, 6, 3, 17]) await witnesses.arrived(await write(journal, count), 1, 10_000, soon())
      const notes = await until('what was seen on record', async () => ((await cosigned(journal)).length >= start * 4 ? cosigned(journal) : undefined))
      for (const note of notes) assert.ok(timeOfCosignature(note.slice(note.lastIndexOf('\u2014')), witness.keys[0], note) > 0)
      assert.ok(notes.at(-1)!.startsWith(`prod/r1/${start}\n`))
    }
    assert.deepEqual((await witness.get('/logs')).body.match(/^prod\/r1\/\d$/gm), ['prod/r1/1', 'prod/r1/2'])
  })

  test('waits for as many witnesses as it must, and not for a dead one', async () => {
    using folder = temporaryFolder('watched')
    await using alive = await startWitness(join(folder.path, 'w'), [signer.verifier])
    await using journal = await open(folder.path)
    await using witnesses = watch(journal, ['http://127.0.0.1:9', alive.keys[0]], [alive.url, alive.keys[0]])
    await witnesses.arrived(await write(journal, 3), 1, 10_000, soon())
    await assert.rejects(witnesses.arrived(await write(journal, 3), 2, 10_000, soon(100)), /not arrived in time/)
    await assert.rejects(witnesses.arrived(journal.last(), 3, 10_000, soon(100)), /not so many/)
    assert.match(witnesses.state()[0]?.lastError ?? '', /ECONNREFUSED/)
  })

  test('is shown over TLS to the witness alone whose certificate is of the named authority', async () => {
    using folder = temporaryFolder('watched')
    const { ca, cert, key } = await makeTls(folder.path)
    await using witness = await startWitness(join(folder.path, 'w'), [signer.verifier], ['--tls-cert', cert, '--tls-key', key])
    await using journal = await open(folder.path)
    const place = { name: 'w', url: witness.url, key: noteVerifier(witness.keys[0]), everyMs: 3_600_000, timeoutMs: 2_000 }
    {
      await using strangers = makeWitnesses([place], { journal, log, pace })
      await refusedFor(strangers, await write(journal, 1), /certificate/)
    }
    await using witnesses = makeWitnesses([{ ...place, ca: readFileSync(ca, 'utf8') }], { journal, log, pace })
    await witnesses.arrived(await write(journal, 3), 1, 10_000, soon())
  })

  test('goes on where the witness is: an answer was lost, it was put back to a copy of yesterday, it knows nothing any more', async () => {
    using folder = temporaryFolder('watched')
    const state = (name: string): string => join(folder.path, name)
    const first = await startWitness(state('w'), [signer.verifier])
    const { keys } = first
    await using relay = await startRelay(first.url)
    await using journal = await open(folder.path)
    await using witnesses = watch(journal, [relay.url, keys[0]])
    await witnesses.arrived(await write(journal, 5), 1, 10_000, soon())

    relay.loseAnswers = true
    const lost = await write(journal, 8)
    const arrived = witnesses.arrived(lost, 1, 10_000, soon())
    await until('the answer to be lost', () => relay.asked.some(({ old, status }) => old === 5 && status === 200))
    relay.loseAnswers = false
    await arrived
    assert.ok(relay.asked.some(({ status }) => status === 409))
    await first.kill('SIGTERM')
    cpSync(state('w'), state('copy'), { recursive: true })

    {
      await using second = await startWitness(state('w'), [signer.verifier])
      relay.lead(second.url)
      await witnesses.arrived(await write(journal, 9), 1, 10_000, soon())
    }
    await using copy = await startWitness(state('copy'), [signer.verifier])
    relay.lead(copy.url)
    await witnesses.arrived(await write(journal, 9), 1, 10_000, soon())
    const last = relay.asked.at(-1)
    assert.deepEqual([last?.status, last!.old < relay.asked.at(-2)!.old], [200, true], JSON.stringify(relay.asked))

    cpSync(join(state('w'), 'witness.key'), join(folder.path, 'new', 'witness.key'))
    await using empty = await startWitness(state('new'), [signer.verifier])
    relay.lead(empty.url)
    await witnesses.arrived(await write(journal, 2), 1, 10_000, soon())
    assert.equal(relay.asked.at(-1)?.old, 0)
  })

  test('is not signed where another log of its name was seen, or by somebody who is not the witness', async () => {
    using folder = temporaryFolder('watched')
    await using witness = await startWitness(join(folder.path, 'w'), [signer.verifier])
    {
      await using journal = await open(join(folder.path, 'first'))
      await using witnesses = watch(journal, [witness.url, witness.keys[0]])
      await witnesses.arrived(await write(journal, 20), 1, 10_000, soon())
    }
    for (const count of [4, 40]) {
      await using journal = await open(join(folder.path, `second-${count}`))
      await using witnesses = watch(journal, [witness.url, witness.keys[0]])
      await refusedFor(witnesses, await write(journal, count), count === 4 ? /another log of this name, of 2\d records/ : /HTTP 422/)
      assert.deepEqual(await cosigned(journal), [])
    }
    await using other = await startWitness(join(folder.path, 'other'), [signer.verifier])
    await using journal = await open(join(folder.path, 'third'))
    await using witnesses = watch(journal, [other.url, witness.keys[0]])
    await refusedFor(witnesses, await write(journal, 4), /not signed with its key/)
  })
})

describe('whoever checks a log', () => {
  const setUp = async (folder: string) => {
    const witness = await startWitness(join(folder, 'w'), [signer.verifier])
    for (const replica of ['r1', 'r2']) {
      await using journal = await open(join(folder, 'journal'), replica)
      await using witnesses = watch(journal, [witness.url, witness.keys[0]])
      await witnesses.arrived(await write(journal, 20), 1, 10_000, soon())
      await until('that on record', async () => (await cosigned(journal)).length === 1)
      if (replica === 'r2') await write(journal, 3)
    }
    const [logs, root, keys] = ['logs.txt', 'root.ndjson', 'witness.keys'].map((name) => join(folder, name)) as [string, string, string]
    writeFileSync(logs, (await witness.get('/logs')).body)
    writeFileSync(keys, `${witness.keys.join('\n')}\n`)
    await witness.kill('SIGTERM')
    const wal = join(folder, 'w', 'root', 'wal')
    writeFileSync(root, readdirSync(wal).map((name) => readFileSync(join(wal, name), 'utf8')).join(''))
    return { logs, root, keys, directory: join(folder, 'journal') }
  }
  const edit = (directory: string, replica: string, change: (lines: string[]) => readonly string[]): void => {
    const wal = join(directory, replica, 'wal')
    const [name = ''] = readdirSync(wal)
    writeFileSync(join(wal, name), change(readFileSync(join(wal, name), 'latin1').split('\n').slice(0, -1)).map((line) => `${line}\n`).join(''), 'latin1')
  }

  test('hears how far witnesses have seen it, and nothing is claimed behind that', async () => {
    using folder = temporaryFolder('checked')
    const { logs, root, keys, directory } = await setUp(folder.path)
    await using shell = await makeShell()
    const verify = (...more: string[]) => shell.run(['audit', 'verify', '-d', directory, '-k', signer.verifier, ...more])
    const bare = await verify('--witness-keys', keys)
    assert.equal(bare.code, 0, bare.err)
    assert.match(bare.out, /ok {6}r1: 20 records up to the last signature[^\n]*\n {8}witnessed up to r1\/1\/19 by witness\.test, 20/)
    assert.match(bare.out, /r2: 25 records up to the last signature[^\n]*\n {8}witnessed up to r2\/1\/19 by witness\.test/, 'signed is more than seen')
    for (const kept of [logs, root]) {
      const found = await verify('--witness-keys', keys, '--root-log', kept)
      assert.deepEqual([found.code, found.out], [0, bare.out], found.err)
    }
    const stranger = join(folder.path, 'stranger.keys')
    writeFileSync(stranger, readFileSync(keys, 'utf8').replaceAll('witness.test', 'another.test'))
    assert.equal((await verify('--witness-keys', stranger)).code, 2, 'no key')
    assert.equal((await verify('--root-log', logs)).code, 2)
  })

  test('finds what is missing, cut off or another log, although all that is there fits', async () => {
    using folder = temporaryFolder('checked')
    const { logs, root, keys, directory } = await setUp(folder.path)
    await using shell = await makeShell()
    const verify = async (journal: string, kept: string): Promise<string> => {
      const { code, out, err } = await shell.run(['audit', 'verify', '-d', journal, '-k', signer.verifier, '--witness-keys', keys, '--root-log', kept])
      return `${code} ${/NOT OK {2}([^\n]*?)[:.]? (?:truncated|forked|a checkpoint)[^\n]*/.exec(out)?.[0] ?? err}`
    }
    const copy = (name: string): string => {
      cpSync(directory, join(folder.path, name), { recursive: true })
      return join(folder.path, name)
    }
    for (const kept of [logs, root]) {
      const gone = copy(`gone-${kept.endsWith('txt')}`)
      edit(gone, 'r1', (lines) => lines.slice(0, 12))
      assert.match(await verify(gone, kept), /^17 NOT OK {2}r1: truncated at r1\/1\/12: there are 12 records of this start, and a checkpoint from elsewhere is of 20/)
    }
    const only = join(folder.path, 'only')
    cpSync(join(directory, 'r1'), join(only, 'r1'), { recursive: true })
    assert.match(await verify(only, logs), /^19 NOT OK {2}r2: a checkpoint from elsewhere is of this log, and it is not here/)

    // Somebody who has the key of the log wrote another one.
    const forked = join(folder.path, 'forked')
    {
      await using journal = await open(forked)
      await write(journal, 30)
    }
    cpSync(join(directory, 'r2'), join(forked, 'r2'), { recursive: true })
    assert.match(await verify(forked, logs), /^16 NOT OK {2}r1: forked at r1\/1\/0/)

    const cut = join(folder.path, 'cut.ndjson')
    writeFileSync(cut, readFileSync(root, 'utf8').replace('prod/r2/1', 'prod/r3/1'))
    assert.match(await verify(directory, cut), /^1\d .*the root log is not what the witness wrote: changed/)
    writeFileSync(cut, readFileSync(logs, 'utf8').replace(/\u2014 witness\.test [^\n]+\n/, ''))
    assert.match(await verify(directory, cut), /^18 .*no witness that was named has signed/)
  })
})
