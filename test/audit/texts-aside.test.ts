import assert from 'node:assert/strict'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { asideOf, eraseAside, openAside, withTextsAside } from '../../src/audit/texts-aside.ts'
import type { RecordData } from '../../src/audit/record-data.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import { open, readAll, samples, temporaryDirectory } from './audit-samples.ts'

const secret = 'Petra is ill'

/** Every reason and note that anybody could have written. */
const written = (event: AuditEvent): AuditEvent => JSON.parse(JSON.stringify(event), (key, value: unknown) => ((key === 'reason' || key === 'note') && typeof value === 'string' ? secret : value)) as AuditEvent

describe('texts beside the log', () => {
  test('no record holds what people wrote, and each refers to what is kept of it', async () => {
    using directory = temporaryDirectory()
    await using opened = await open(directory.path)
    const journal = withTextsAside(opened, openAside(directory.path, 'r1'))
    for (const sample of samples) await journal.append(written(sample), 'written')
    const records = await readAll(opened, 1 << 24)
    assert.doesNotMatch(JSON.stringify(records), /Petra/)
    const kept = records.flatMap((record) => asideOf(record, directory.path))
    const people = samples.filter((event) => ((event.type === 'voted' || event.type === 'broke-glass') && event.vote.reason !== undefined) || ('note' in event && event.note !== undefined))
    assert.ok(people.length >= 5)
    assert.deepEqual(kept.map(({ text }) => text), people.map(() => secret))
    assert.equal(new Set(kept.map(({ path }) => path)).size, kept.length, 'the same words twice are two hashes: nobody can tell that they are the same')
    for (const { path } of kept) assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal(statSync(`${directory.path}/r1/aside`).mode & 0o777, 0o700)
  })

  test('what is erased is gone, and what somebody put in its place is not believed', async () => {
    using directory = temporaryDirectory()
    const keep = openAside(directory.path, 'r1')
    const record: RecordData = { id: 'r1/1/0', vote: { reason: keep(secret) }, note: keep('another note') }
    const [reason, note] = asideOf(record, directory.path)
    assert.ok(reason && note)
    eraseAside(reason)
    assert.deepEqual(asideOf(record, directory.path).map(({ field, text }) => [field, text]), [['reason', undefined], ['note', 'another note']])
    writeFileSync(reason.path, JSON.stringify({ salt: '', text: 'something else' }))
    writeFileSync(note.path, 'no JSON')
    assert.deepEqual(asideOf(record, directory.path).map(({ text }) => text), [undefined, undefined])
    assert.equal(readdirSync(`${directory.path}/r1/aside`).length, 2)
    for (const odd of ['aside:sha256:../../../etc/passwd', 'aside:sha256:', `x aside:sha256:${'0'.repeat(64)}`]) assert.deepEqual(asideOf({ id: 'r1/1/0', note: odd }, directory.path), [])
    assert.deepEqual(asideOf({ id: '../x/1/0', note: `aside:sha256:${'0'.repeat(64)}` }, directory.path), [])
  })

  test('secrets in them are masked as in the log; where they cannot be kept nothing is recorded', async () => {
    using directory = temporaryDirectory()
    const keep = openAside(directory.path, 'r1')
    assert.equal(asideOf({ id: 'r1/1/0', note: keep('see postgres://app:S3CRET@db/x') }, directory.path)[0]?.text, 'see postgres://***@db/x')
    await using opened = await open(directory.path)
    const journal = withTextsAside(opened, () => {
      throw new Error('EIO')
    })
    await assert.rejects(journal.append(samples.find(({ type }) => type === 'voted')!, 'written'), { code: 'journal-unavailable' })
    assert.deepEqual(await readAll(opened), [])
  })
})
