import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeRecordBefore, type RequiredReach } from '../../src/audit/strictness.ts'
import { Refusal } from '../../src/model/refusal.ts'
import { open, started, temporaryDirectory } from './audit-samples.ts'

const local: RequiredReach = { read: 'local', write: 'local+sink', held: 'local+sink', sinks: ['siem'], witnesses: 2, withinMs: 20 }
const refusedWith = (code: string) => (error: unknown): boolean => error instanceof Refusal && error.code === code

test('a record is where its kind of action wants it to be, and nowhere else is asked', async () => {
  using directory = temporaryDirectory()
  await using journal = await open(directory.path)
  const asked: unknown[] = []
  let required = local
  const recordBefore = makeRecordBefore({ journal, durability: () => ({ read: 'written', write: 'synced', held: 'synced' }), required: () => required, sinks: async (id, names) => void asked.push([id, names]), witnesses: async (id, needed) => void asked.push([id, needed]) })
  await recordBefore(started('a'), 'read')
  assert.deepEqual(asked, [])
  await Promise.all([recordBefore(started('b'), 'write'), recordBefore(started('c'), 'held')])
  assert.deepEqual(asked, [['r1/1/1', ['siem']], ['r1/1/2', ['siem']]])
  required = { ...local, held: 'local+witness' }
  await recordBefore(started('d'), 'held')
  assert.deepEqual(asked.at(-1), ['r1/1/3', 2])
})

test('who waits in vain is told so in time, without the cause', async () => {
  using directory = temporaryDirectory()
  await using journal = await open(directory.path)
  const recordBefore = makeRecordBefore({
    journal, durability: () => ({ read: 'written', write: 'written', held: 'written' }), required: () => local,
    sinks: (_id, _names, _within, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('siem: SECRET')))),
    witnesses: async () => {},
  })
  await assert.rejects(recordBefore(started('a'), 'write'), (error) => refusedWith('record-unconfirmed')(error) && !/SECRET/.test((error as Error).message))
})

test('a journal that gives a record its place later is not waited for at the wrong one', async () => {
  using directory = temporaryDirectory()
  await using journal = await open(directory.path)
  const late: typeof journal.append = async (event, durability) => {
    await Promise.resolve()
    return await journal.append(event, durability)
  }
  const parts = { durability: () => ({ read: 'written', write: 'written', held: 'written' }) as const, required: () => local, sinks: async () => {}, witnesses: async () => {} }
  await assert.rejects(makeRecordBefore({ journal: { append: late, last: journal.last, disk: journal.disk }, ...parts })(started('a'), 'write'), /place later/)
  const refused = async (): Promise<void> => Promise.reject(new Refusal('journal-unavailable', 'no'))
  await assert.rejects(makeRecordBefore({ journal: { append: refused, last: journal.last, disk: journal.disk }, ...parts })(started('b'), 'write'), refusedWith('journal-unavailable'))
})

test('on a disk that is nearly full nothing is changed, and reads go on', async () => {
  using directory = temporaryDirectory()
  await using journal = await open(directory.path)
  const recordBefore = makeRecordBefore({ journal: { append: journal.append, last: journal.last, disk: () => ({ mark: 'deny-changes', used: 96 }) }, durability: () => ({ read: 'written', write: 'written', held: 'written' }), required: () => ({ ...local, write: 'local' }), sinks: async () => {}, witnesses: async () => {} })
  await recordBefore(started('a'), 'read')
  for (const weight of ['write', 'held'] as const) await assert.rejects(recordBefore(started('b'), weight), refusedWith('journal-unavailable'))
  assert.equal(journal.last(), 'r1/1/0')
})
