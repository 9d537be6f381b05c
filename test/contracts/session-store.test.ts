import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { SessionEntry, SessionStore } from '../../src/identity/session-store.ts'
import { Secret } from '../../src/lib/secret.ts'
import { openEmbeddedSessionStore } from '../../src/stores/embedded/session-store.ts'
import { openRedisSessionStore } from '../../src/stores/redis/session-store.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'

interface Fixture extends AsyncDisposable {
  /** Another client of the same store, with a clock that can be moved. */
  open(clockSkewMs: () => number): SessionStore
}

const minute = 60_000
const limits = { idleMs: 30 * minute, atMostMs: 480 * minute, perOwner: 3 }
const entry = (over: Partial<SessionEntry> = {}): SessionEntry => ({ name: randomUUID(), owners: [randomUUID(), randomUUID()], sealed: `sealed é "\\ \n ${randomUUID()}`, ...over })

/** What every store of logins promises; run over each of them. */
const contract = (name: string, start: () => Promise<Fixture>): void => {
  describe(`session store: ${name}`, () => {
    let fixture: Fixture
    let a: SessionStore
    let b: SessionStore
    let skew = 0
    before(async () => {
      fixture = await start()
      a = fixture.open(() => skew)
      b = fixture.open(() => skew)
    })
    after(async () => {
      await a[Symbol.asyncDispose]()
      await b[Symbol.asyncDispose]()
      await fixture[Symbol.asyncDispose]()
    })

    test('what one replica put another one finds, as it was, until it is ended', async () => {
      const one = entry()
      await a.put(one, limits)
      assert.equal(await b.find(one.name, limits.idleMs), one.sealed)
      assert.equal(await b.find(randomUUID(), limits.idleMs), undefined)
      await b.end(one.name)
      assert.equal(await a.find(one.name), undefined)
      await a.end(one.name)
    })

    test('lives while it is used; a mere look is no use', async () => {
      const [used, looked] = [entry(), entry()]
      await a.put(used, limits)
      await a.put(looked, limits)
      skew += 29 * minute
      assert.equal(await a.find(used.name, limits.idleMs), used.sealed)
      assert.equal(await a.find(looked.name), looked.sealed)
      skew += 2 * minute
      assert.equal(await a.find(used.name), used.sealed)
      assert.equal(await a.find(looked.name, limits.idleMs), undefined)
    })

    test('ends at last, however much it is used', async () => {
      const one = entry()
      await a.put(one, limits)
      for (let passed = 0; passed < 460; passed += 20) {
        skew += 20 * minute
        assert.equal(await a.find(one.name, limits.idleMs), one.sealed)
      }
      skew += 20 * minute
      assert.equal(await a.find(one.name, limits.idleMs), undefined)
    })

    test('all of one account, or of one login at the issuer, end together', async () => {
      const [account, login] = [randomUUID(), randomUUID()]
      const [first, second, other] = [entry({ owners: [account, login] }), entry({ owners: [account, randomUUID()] }), entry()]
      for (const each of [first, second, other]) await a.put(each, limits)
      assert.equal(await b.endAll(login), 1)
      assert.deepEqual([await a.find(first.name), await a.find(second.name)], [undefined, second.sealed])
      assert.equal(await b.endAll(account), 1)
      assert.deepEqual([await a.find(second.name), await a.find(other.name)], [undefined, other.sealed])
      assert.equal(await b.endAll(account), 0)
    })

    test('one account has only so many', async () => {
      const account = randomUUID()
      const all = []
      for (let n = 0; n < 5; n++) {
        skew += 10
        all.push(entry({ owners: [account] }))
        await a.put(all[n]!, limits)
      }
      const kept = []
      for (const { name: each } of all) kept.push((await b.find(each)) !== undefined)
      assert.deepEqual(kept, [false, false, true, true, true])
    })

    test('a name comes first once, whoever says it', async () => {
      const said = randomUUID()
      assert.deepEqual((await Promise.all([a.first(said, minute), b.first(said, minute), a.first(said, minute)])).toSorted(), [false, false, true])
      assert.equal(await b.first(said, minute), false)
    })

    test('a closed store refuses', async () => {
      const closed = fixture.open(() => 0)
      await closed[Symbol.asyncDispose]()
      await assert.rejects(closed.find('x'), { code: 'store-unavailable' })
    })
  })
}

contract('embedded', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'countersign-sessions-'))
  return { open: (clockSkewMs) => openEmbeddedSessionStore({ kind: 'embedded', path: join(dir, 'holds.db') }, { clockSkewMs }), [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) }
})

contract('redis', async () => {
  const server = await startRedis()
  return { open: (clockSkewMs) => open(server, clockSkewMs), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
})

const open = ({ port }: TestRedis, clockSkewMs = () => 0): SessionStore => openRedisSessionStore({ kind: 'redis', connect: { mode: 'single', url: new Secret(`redis://127.0.0.1:${port}`) }, prefix: 'cs', acknowledgingReplicas: 0 }, { clockSkewMs })

test('without its Redis nobody is logged in', async () => {
  const server = await startRedis()
  await using store = open(server)
  const one = entry()
  await store.put(one, limits)
  await server[Symbol.asyncDispose]()
  await assert.rejects(store.find(one.name), { code: 'store-unavailable' })
})
