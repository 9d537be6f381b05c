import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { openJournal } from '../../src/audit/file-journal.ts'
import { noteSigner } from '../../src/audit/signed-note.ts'
import { finished, options, started, temporaryDirectory } from '../audit/audit-samples.ts'
import { auditLog } from '../channels/web/audit-log.ts'
import { person, startDesk } from '../channels/web/hold-desk.ts'
import { withApprovalKey } from '../../src/config/approval-key.ts'
import { configText, makeFolder } from '../config/folder.ts'
import { fillAll } from './evidence-log.ts'
import { makeShell } from './shell.ts'

const signer = noteSigner('prod', generateKeyPairSync('ed25519').privateKey)

/** Each start of the replica writes two records an hour later than the one before. */
const fill = async (directory: string, starts: number): Promise<void> => {
  for (let at = 0; at < starts; at++) {
    await using journal = await openJournal(options(directory), { now: () => Date.UTC(2026, 0, 1, at), signer, checkpointMs: 3_600_000 })
    await journal.append(started(`try-${at}`), 'written')
    await journal.append(finished(`try-${at}`), 'written')
  }
}

describe('audit search on the files of this machine', () => {
  test('finds, says how much there is, and prints lines as they stand', async () => {
    using place = temporaryDirectory()
    await using shell = await makeShell()
    await fill(place.path, 3)
    const search = (...more: string[]) => shell.run(['audit', 'search', '-d', place.path, ...more])
    const all = await search('--who', 'invoice-agent', '--for', 'alice')
    assert.deepEqual([all.code, all.out.split('\n').length], [0, 8])
    assert.match(all.out, /^TIME .*\n2026-01-01T02:00:00 {2}r1\/3\/1 {2}finished {2}invoice-agent for alice {2}executed .* orders\/write .*http\.POST \/v1\/orders at/)
    const two = await search('--limit', '2', '-o', 'jsonl', 'executed')
    assert.deepEqual([two.out.trim().split('\n').map((line) => (JSON.parse(line) as { id: string }).id), /There are more/.test(two.err)], [['r1/3/1', 'r1/2/1'], true])
    const first = JSON.parse((await search('--to', '2026-01-01T01:00Z', '-o', 'json')).out) as { records: unknown[]; index: { records: number } }
    assert.deepEqual([first.records.length, first.index.records], [2, 6])
    assert.deepEqual((await search('--case', 'try-9')).err, 'Nothing is found.\n')
    for (const args of [['---'], ['--from', 'yesterday'], ['--limit', '0'], ['--who', '*'], ['--whom', 'x']]) assert.equal((await search(...args)).code, 2, args.join(' '))
  })

  test('the index is beside the log or where it is asked for, and is made anew', async () => {
    using place = temporaryDirectory()
    using other = temporaryDirectory()
    await using shell = await makeShell()
    await fill(place.path, 1)
    const elsewhere = `${other.path}/index.db`
    assert.match((await shell.run(['audit', 'index', '-d', place.path, '--index', elsewhere])).out, /^2 records are found, (\d+) of \1 bytes/)
    assert.deepEqual([existsSync(elsewhere), existsSync(`${place.path}/search.db`)], [true, false])
    assert.match((await shell.run(['audit', 'index', '--rebuild', '-d', place.path, '-o', 'json'])).out, /"records": 2/)
    assert.ok(existsSync(`${place.path}/search.db`))
    const refused = await shell.run(['audit', 'search', '-d', place.path, '--index', `${other.path}/index.db/x.db`])
    assert.deepEqual([refused.code, /--index FILE/.test(refused.err)], [1, true])
  })

  test('what is exported verifies, from the start of a replica to the first signature behind the time asked for', async () => {
    using place = temporaryDirectory()
    await using shell = await makeShell()
    await fill(place.path, 4)
    const exported = async (...more: string[]) => {
      const { code, out, err } = await shell.run(['audit', 'export', '-d', place.path, ...more])
      writeFileSync(`${place.path}/export.ndjson`, out)
      return { code, err, ids: out.trim().split('\n').map((line) => (JSON.parse(line) as { id: string }).id), verified: await shell.run(['audit', 'verify', `${place.path}/export.ndjson`, '-k', signer.verifier]) }
    }
    const all = await exported()
    assert.deepEqual([all.code, all.ids.length, all.verified.code], [0, 12, 0])
    const some = await exported('--from', '2026-01-01T01:00Z', '--to', '2026-01-01T03:00Z')
    assert.deepEqual([some.ids, some.verified.code], [['r1/2/0', 'r1/2/1', 'r1/2/2', 'r1/3/0', 'r1/3/1', 'r1/3/2'], 0])
    assert.match(some.err, /6 records, from the start of their replica to a signature/)
    assert.match((await shell.run(['audit', 'export', '-d', place.path, '--from', '2027-01-01'])).err, /nothing is recorded of that time/)
  })
})

test('a server is asked with the rights of whoever asks', async () => {
  await using log = await auditLog(['auditors'])
  await using desk = await startDesk({}, undefined, log.desk)
  await using shell = await makeShell()
  desk.tokens.set('carol', person('carol', 'auditors'))
  const ask = (token: string) => {
    const file = `${log.directory}/${token}`
    writeFileSync(file, token)
    chmodSync(file, 0o600)
    return shell.run(['audit', 'search', '--server', desk.url, '--token-file', file, '--approver', 'bob', '--limit', '3', '-o', 'jsonl'])
  }
  assert.deepEqual((await ask('carol')).out.trim().split('\n').map((line) => (JSON.parse(line) as { type: string }).type), ['finished', 'started', 'released'])
  assert.equal((await ask('dave')).code, 5)
  assert.deepEqual(log.read.map(({ type }) => type), ['audit-read', 'audit-read-refused'])
})

describe('audit export from a server', () => {
  const ask = async (more: readonly string[], token = 'carol') => {
    await using log = await auditLog(['auditors'])
    await using desk = await startDesk({}, undefined, log.desk)
    await using shell = await makeShell()
    desk.tokens.set('carol', person('carol', 'auditors'))
    const file = `${log.directory}/${token}`
    writeFileSync(file, token)
    chmodSync(file, 0o600)
    return { ...(await shell.run(['audit', 'export', '--server', desk.url, '--token-file', file, ...more])), read: log.read }
  }

  test('prints every record that is found, and says that they carry no signatures', async () => {
    const { code, out, err, read } = await ask(['--approver', 'bob', '--from', '7d'])
    assert.deepEqual([code, out.trimEnd().split('\n').map((line) => (JSON.parse(line) as { type: string }).type)], [0, ['finished', 'started', 'released', 'voted']])
    assert.match(err, /^4 records, the newest first, without signatures/)
    assert.deepEqual(read.map((event) => event.type === 'audit-exported' && [event.query.replace(/from=.*/, 'from=…'), event.end]), [['log approver=bob from=…', undefined], ['log approver=bob from=…', 'whole']])
    assert.match((await ask(['--format', 'ocsf', 'ticket 4711'])).out, /"class_uid":3004/)
  })

  test('is refused to others, and not mixed up with files', async () => {
    const refused = await ask([], 'dave')
    assert.deepEqual([refused.code, refused.out, refused.read.map(({ type }) => type)], [5, '', ['audit-read-refused']])
    assert.equal((await ask(['--directory', '/nowhere'])).code, 2)
    await using shell = await makeShell()
    for (const args of [['--who', 'alice'], ['some words']]) assert.deepEqual([(await shell.run(['audit', 'export', '-d', shell.home, ...args])).code], [2], args.join(' '))
  })

  test('what breaks off or is nothing of ours is no export', async () => {
    for (const [sent, said] of [['{"v":1}\n{"v"', /broke off after 1 records .*not whole/], ['\u001b[2J', /something else than records/]] as const) {
      const server = createServer((_request, response) => {
        response.writeHead(200, { 'content-type': 'application/x-ndjson' })
        response.write(sent, () => response.destroy())
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      await using shell = await makeShell({ COUNTERSIGN_TOKEN: 'token' })
      const { code, out, err } = await shell.run(['audit', 'export', '--server', `http://127.0.0.1:${(server.address() as AddressInfo).port}`])
      server.close()
      assert.deepEqual([code, out.includes('\u001b')], [1, false])
      assert.match(err, said)
    }
  })
})

describe('audit export from the files, on record', () => {
  test('before the first line and after the last, in a log of its own that verifies', async () => {
    using folder = makeFolder()
    const config = withApprovalKey(await folder.config(configText()))
    await fillAll(config)
    await using shell = await makeShell({ COUNTERSIGN_CONFIG: join(folder.path, 'countersign.yaml') })
    const exported = await shell.run(['audit', 'export', '--format', 'ocsf', '--from', '2026-10-05'])
    assert.equal(exported.code, 0, exported.err)
    assert.doesNotMatch(exported.err, /not on record/)
    assert.doesNotMatch(exported.out, /audit-exported/)
    const shown = async (id: string) => JSON.parse((await shell.run(['audit', 'show', id, '-o', 'json', '--directory', config.journal.directory])).out) as Record<string, unknown> & { readonly by: { readonly issuer: string } }
    const [begun, ended] = [await shown('evidence/1/0'), await shown('evidence/2/0')]
    assert.deepEqual([begun['type'], begun['query'], begun['end'], begun.by.issuer.startsWith('host:')], ['audit-exported', 'ocsf from=2026-10-05T00:00:00.000Z', undefined, true])
    assert.deepEqual([ended['export'], ended['end'], ended['records']], [begun['export'], 'whole', exported.out.trimEnd().split('\n').length])
    assert.equal((await shell.run(['audit', 'verify'])).code, 0)
  })

  test('where it cannot be written, or nothing could sign it, that is said', async () => {
    using folder = makeFolder()
    const config = withApprovalKey(await folder.config(configText()))
    await fillAll(config)
    const given = ['audit', 'export', '--directory', config.journal.directory]
    await using bare = await makeShell()
    const unsigned = await bare.run(given)
    assert.deepEqual([unsigned.code, existsSync(join(config.journal.directory, 'evidence'))], [0, false])
    assert.match(unsigned.err, /This export is not on record: .*countersign\.yaml/)
    writeFileSync(join(config.journal.directory, 'evidence'), '')
    await using shell = await makeShell({ COUNTERSIGN_CONFIG: join(folder.path, 'countersign.yaml') })
    const unwritable = await shell.run(given)
    assert.deepEqual([unwritable.code, unwritable.out], [0, unsigned.out])
    assert.match(unwritable.err, /This export is not on record: /)
    assert.equal((await bare.run([...given, '--config', 'nowhere.yaml'])).code, 3)
  })
})
