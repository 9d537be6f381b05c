import assert from 'node:assert/strict'
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { openEmbeddedStore } from '../../src/stores/embedded/embedded-store.ts'
import { entry } from '../contracts/hold-store-contract.ts'
import { inTheEnd, until } from '../support/until.ts'

const place = async () => {
  const dir = await mkdtemp(join(tmpdir(), 'countersign-embedded-'))
  return { path: join(dir, 'deep', 'holds.db'), [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) }
}
const limits = { perCaller: 1e9, perService: 1e9 }
const start = (mode: string, path: string, name: string): ChildProcess & { text: () => string } => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'embedded-writer.ts'), mode, path, name], { stdio: ['pipe', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (data) => (text += String(data)))
  return Object.assign(child, { text: () => text })
}

test('several processes race for one hold: one wins', async () => {
  await using at = await place()
  await using store = openEmbeddedStore({ kind: 'embedded', path: at.path })
  await store.open({ ...entry({ id: 'raced', state: 'approved', callerKey: 'c', service: 's' }), openKey: 'k' }, limits)
  const racers = ['a', 'b', 'c'].map((name) => start('race', at.path, name))
  for (const racer of racers) await until('ready', () => racer.text().startsWith('ready'), 10_000)
  for (const racer of racers) racer.stdin?.write('go\n')
  await Promise.all(racers.map((racer) => once(racer, 'exit')))
  assert.equal(racers.map((racer) => Number(racer.text().split('\n')[1])).reduce((a, b) => a + b), 1)
})

test('a process killed in mid write leaves every hold that it was told of, and a store that goes on', async () => {
  await using at = await place()
  for (let round = 0; round < 3; round++) {
    const child = start('write', at.path, `r${round}`)
    await until('some writes', () => child.text().length > 2_000, 10_000)
    child.kill('SIGKILL')
    await once(child, 'exit')
    await using store = openEmbeddedStore({ kind: 'embedded', path: at.path })
    const told = child.text().split('\n').slice(0, -1)
    for (let i = 0; i < told.length; i += 1_000) for (const revision of await store.revisions(told.slice(i, i + 1_000))) assert.equal(revision, 1)
    assert.deepEqual(await store.open(entry({ id: `after-${round}` }), limits), { result: 'opened' })
  }
  const check = new DatabaseSync(at.path)
  assert.deepEqual({ ...check.prepare('pragma integrity_check').get() }, { integrity_check: 'ok' })
  check.close()
})

test('a file that an earlier version made goes on: its holds count, and each change is told once', async () => {
  await using at = await place()
  await (await openEmbeddedStore({ kind: 'embedded', path: at.path }))[Symbol.asyncDispose]()
  const earlier = new DatabaseSync(at.path)
  earlier.exec(`
    drop trigger hold_settled; drop trigger hold_is_new; drop trigger hold_changed; drop table changes; drop table attachments;
    create table changes (seq integer primary key autoincrement, id text not null, state text not null) strict;
    create table attachments (id text not null, name text not null, keep_until integer not null, sealed blob not null, primary key (id, name)) strict, without rowid;
    create index open_by_caller on holds (caller_key, due_at) where state in ('pending', 'approved');
    create index open_by_service on holds (service, due_at) where state in ('pending', 'approved');
    create trigger hold_settled after update of state on holds when old.state in ('pending', 'approved') and new.state not in ('pending', 'approved') begin
      update open_counts set n = n - 1 where (kind, name) in (values ('caller', old.caller_key), ('service', old.service));
      delete from open_counts where n <= 0 and (kind, name) in (values ('caller', old.caller_key), ('service', old.service));
    end;
    insert into holds (id, revision, state, open_key, caller_key, service, sealed) values ('one', 1, 'approved', 'k1', 'c', 's', 'r1'), ('two', 1, 'pending', 'k2', 'c', 's', 'r1');
    insert into open_keys values ('k1', 'one'), ('k2', 'two');
    insert into asked values (1, 'asked one'), (2, 'asked two');
    insert into changes (id, state) values ('one', 'approved'), ('two', 'pending');
  `)
  earlier.close()

  await using store = openEmbeddedStore({ kind: 'embedded', path: at.path })
  const mine = { callerKey: 'c', service: 's' }
  const two = { perCaller: 2, perService: 2 }
  assert.deepEqual(await store.open(entry(mine), two), { result: 'flooded', by: 'caller' })
  assert.equal(await store.replace(entry({ ...mine, id: 'one', state: 'running', revision: 2, openKey: 'k1' }), { revision: 1 }), 'replaced')
  assert.equal(await store.replace(entry({ ...mine, id: 'one', state: 'executed', revision: 3, openKey: 'k1' }), { revision: 2 }, 60_000, { sealed: Buffer.from('answer'), keepMs: 60_000 }), 'replaced')
  assert.equal(Buffer.from((await store.getAttachment('one', 'result')) ?? []).toString(), 'answer')
  assert.deepEqual(await store.open(entry({ ...mine, id: 'three' }), two), { result: 'opened' })
  assert.deepEqual(await store.open(entry(mine), two), { result: 'flooded', by: 'caller' })
  const told: string[] = []
  for await (const { id, state } of store.changes('0', AbortSignal.timeout(5_000))) if (told.push(`${id} ${state}`) === 5) break
  assert.deepEqual(told, ['one approved', 'two pending', 'one running', 'one executed', 'three pending'])
})

test('the file is for its owner alone', async () => {
  await using at = await place()
  await using store = openEmbeddedStore({ kind: 'embedded', path: at.path })
  await store.open(entry(), limits)
  for (const suffix of ['', '-wal', '-shm']) assert.equal((await stat(at.path + suffix)).mode & 0o777, 0o600)
})

test('a file that somebody else holds: refused in time, the loop stays free, nothing half done', async () => {
  await using at = await place()
  await using store = openEmbeddedStore({ kind: 'embedded', path: at.path })
  const other = new DatabaseSync(at.path)
  other.exec('begin immediate')
  let ticks = 0
  const timer = setInterval(() => ticks++, 10)
  const one = entry()
  const begun = performance.now()
  await assert.rejects(store.open(one, limits), { code: 'store-unavailable' })
  clearInterval(timer)
  assert.ok(performance.now() - begun < inTheEnd)
  assert.ok(ticks > 100)
  const second = store.open(one, limits)
  other.exec('rollback')
  other.close()
  assert.deepEqual(await second, { result: 'opened' })
})

test('writes of one moment share a sync', async (context) => {
  await using at = await place()
  await using store = openEmbeddedStore({ kind: 'embedded', path: at.path })
  const executed = context.mock.method(DatabaseSync.prototype, 'exec')
  await Promise.all(Array.from({ length: 3_000 }, () => store.open(entry({ sealed: 'x'.repeat(1_000) }), limits)))
  const commits = executed.mock.calls.filter(({ arguments: [sql] }) => sql === 'commit').length
  assert.ok(commits > 0 && commits < 300, `3000 steps took ${commits} commits`)
})

test('a log that cannot be synced: nothing is reported as written, and nothing is read any more', async () => {
  await using at = await place()
  await using store = openEmbeddedStore({ kind: 'embedded', path: at.path })
  const one = entry()
  assert.deepEqual(await store.open(one, limits), { result: 'opened' })
  await rm(`${at.path}-wal`)
  const two = entry()
  await assert.rejects(store.open(two, limits), { code: 'store-unavailable' })
  for (const asked of [store.read(one.id), store.read(two.id), store.check(), store.latest([one.id])]) await assert.rejects(asked, { code: 'store-unavailable' })
})

test('the log is carried over to the file while it is written, and what is in it survives', async () => {
  await using at = await place()
  const all = Array.from({ length: 6_000 }, () => entry({ sealed: 'x'.repeat(4_000) }))
  {
    await using store = openEmbeddedStore({ kind: 'embedded', path: at.path })
    for (let from = 0; from < all.length; from += 1_000) await Promise.all(all.slice(from, from + 1_000).map((one) => store.open(one, limits)))
    await until('the file to grow', async () => (await stat(at.path)).size > 1 << 20)
  }
  await using again = openEmbeddedStore({ kind: 'embedded', path: at.path })
  for (const one of [all[0]!, all[3_000]!, all.at(-1)!]) assert.deepEqual(await again.read(one.id), one)
})

test('several processes that open a new file at one moment all get it', async () => {
  await using at = await place()
  // Processes, not threads: those of one process share its locks and do not shut each other out as replicas do.
  const openers = [1, 2, 3].map(() => fork(join(import.meta.dirname, 'opener.ts')))
  try {
    await Promise.all(openers.map((opener) => once(opener, 'message')))
    for (let round = 0; round < 40; round++) {
      const answers = openers.map(async (opener) => ((await once(opener, 'message')) as [string])[0])
      for (const opener of openers) opener.send({ path: `${at.path}-${round}`, at: Date.now() + 10 })
      assert.deepEqual(await Promise.all(answers), ['opened', 'opened', 'opened'])
    }
  } finally {
    for (const opener of openers) opener.kill()
  }
})
