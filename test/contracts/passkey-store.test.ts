import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { PasskeyEntry, PasskeyStore } from '../../src/identity/passkey-store.ts'
import { Secret } from '../../src/lib/secret.ts'
import { openEmbeddedPasskeyStore } from '../../src/stores/embedded/passkey-store.ts'
import { openRedisPasskeyStore } from '../../src/stores/redis/passkey-store.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'

interface Fixture extends AsyncDisposable {
  /** Another client of the same store. */
  open(): PasskeyStore
}

const entry = (over: Partial<PasskeyEntry> = {}): PasskeyEntry => ({ name: randomUUID(), owner: randomUUID(), revision: 1, sealed: `sealed é "\\ \n ${randomUUID()}`, ...over })

/** What every store of passkeys promises; run over each of them. */
const contract = (name: string, start: () => Promise<Fixture>): void => {
  describe(`passkey store: ${name}`, () => {
    let fixture: Fixture
    let a: PasskeyStore
    let b: PasskeyStore
    before(async () => {
      fixture = await start()
      a = fixture.open()
      b = fixture.open()
    })
    after(async () => {
      await a[Symbol.asyncDispose]()
      await b[Symbol.asyncDispose]()
      await fixture[Symbol.asyncDispose]()
    })

    test('what one replica added another one finds, as it was', async () => {
      const one = entry()
      assert.equal(await a.add(one, 5), 'added')
      assert.deepEqual(await b.find(one.name), one)
      assert.deepEqual(await b.list(one.owner), [one])
      assert.deepEqual([await b.find(randomUUID()), await b.list(randomUUID())], [undefined, []])
    })

    test('a name is one passkey, and stays with its owner', async () => {
      const one = entry()
      const answers = await Promise.all([a.add(one, 5), b.add({ ...one, owner: randomUUID() }, 5)])
      assert.deepEqual(answers.toSorted(), ['added', 'known'])
      const kept = await a.find(one.name)
      assert.equal(await b.add({ ...entry(), name: one.name }, 5), 'known')
      assert.deepEqual(await a.find(one.name), kept)
    })

    test('one owner has only so many', async () => {
      const owner = randomUUID()
      const answers = await Promise.all([a, b, a, b].map((store) => store.add(entry({ owner }), 3)))
      assert.deepEqual(answers.toSorted(), ['added', 'added', 'added', 'full'])
      const mine = await b.list(owner)
      assert.deepEqual([mine.length, mine.map(({ name: each }) => each)], [3, mine.map(({ name: each }) => each).toSorted()])
    })

    test('of changes of one revision one is made', async () => {
      const one = entry()
      await a.add(one, 5)
      const next = { ...one, revision: 2 }
      const answers = await Promise.all([a, b, a, b].map((store, at) => store.replace({ ...next, sealed: `changed ${at}` })))
      assert.deepEqual(answers.toSorted(), ['conflict', 'conflict', 'conflict', 'replaced'])
      assert.equal((await b.find(one.name))?.sealed, `changed ${answers.indexOf('replaced')}`)
      assert.equal(await a.replace({ ...next, revision: 2 }), 'conflict')
      assert.equal(await a.replace({ ...next, revision: 3, owner: randomUUID() }), 'missing')
      assert.equal(await a.replace({ ...entry(), revision: 2 }), 'missing')
      assert.equal((await b.find(one.name))?.revision, 2)
    })

    test('its owner removes it, and nobody else', async () => {
      const one = entry()
      await a.add(one, 5)
      assert.equal(await b.remove(one.name, randomUUID()), false)
      assert.deepEqual(await a.find(one.name), one)
      assert.deepEqual((await Promise.all([a.remove(one.name, one.owner), b.remove(one.name, one.owner)])).toSorted(), [false, true])
      assert.deepEqual([await b.find(one.name), await b.list(one.owner)], [undefined, []])
      assert.equal(await b.replace({ ...one, revision: 2 }), 'missing')
      assert.equal(await b.add(one, 1), 'added')
    })

    test('a closed store refuses', async () => {
      const closed = fixture.open()
      await closed[Symbol.asyncDispose]()
      await assert.rejects(closed.find('x'), { code: 'store-unavailable' })
    })
  })
}

contract('embedded', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'countersign-passkeys-'))
  return { open: () => openEmbeddedPasskeyStore({ kind: 'embedded', path: join(dir, 'holds.db') }), [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) }
})

contract('redis', async () => {
  const server = await startRedis()
  return { open: () => open(server), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
})

const open = ({ port }: TestRedis): PasskeyStore => openRedisPasskeyStore({ kind: 'redis', connect: { mode: 'single', url: new Secret(`redis://127.0.0.1:${port}`) }, prefix: 'cs', acknowledgingReplicas: 0 })

test('without its Redis nobody has a passkey', async () => {
  const server = await startRedis()
  await using store = open(server)
  const one = entry()
  await store.add(one, 5)
  await server[Symbol.asyncDispose]()
  await assert.rejects(store.find(one.name), { code: 'store-unavailable' })
})
