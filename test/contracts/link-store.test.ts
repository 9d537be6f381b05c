import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { LinkEntry, LinkStore } from '../../src/identity/link-store.ts'
import { Secret } from '../../src/lib/secret.ts'
import { openEmbeddedLinkStore } from '../../src/stores/embedded/link-store.ts'
import { openRedisLinkStore } from '../../src/stores/redis/link-store.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

interface Fixture extends AsyncDisposable {
  /** Another client of the same store, with a clock that can be moved. */
  open(clockSkewMs: () => number): LinkStore
}

const day = 86_400_000
const entry = (over: Partial<LinkEntry> = {}): LinkEntry => ({ account: randomUUID(), person: randomUUID(), sealed: `sealed é "\\ \n ${randomUUID()}`, ...over })

/** What every store of links promises; run over each of them. */
const contract = (name: string, start: () => Promise<Fixture>): void => {
  describe(`link store: ${name}`, () => {
    let fixture: Fixture
    let a: LinkStore
    let b: LinkStore
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

    test('what one replica linked another one finds from both sides, until it is ended', async () => {
      const one = entry()
      assert.equal(await a.link(one, day), 'linked')
      assert.deepEqual(await b.byAccount(one.account), one)
      assert.deepEqual(await b.byPerson(one.person), one)
      assert.equal(await b.byAccount(one.person), undefined)
      assert.equal(await b.byPerson(one.account), undefined)
      assert.equal(await b.unlink(one), true)
      assert.equal(await a.byAccount(one.account), undefined)
      assert.equal(await a.byPerson(one.person), undefined)
      assert.equal(await a.unlink(one), false)
    })

    test('one account, one person: whoever is linked is not taken over', async () => {
      const one = entry()
      await a.link(one, day)
      assert.equal(await b.link(entry({ account: one.account }), day), 'taken')
      assert.equal(await b.link(entry({ person: one.person }), day), 'taken')
      const other = entry()
      await a.link(other, day)
      assert.equal(await b.link(entry({ account: one.account, person: other.person }), day), 'taken')
      assert.deepEqual([await a.byAccount(one.account), await a.byPerson(one.person), await a.byPerson(other.person)], [one, one, other])
      assert.equal(await a.unlink({ account: one.account, person: other.person }), false)
      assert.deepEqual(await a.byAccount(one.account), one)
    })

    test('of many who link one account at one moment, one does', async () => {
      const account = randomUUID()
      const tries = Array.from({ length: 8 }, () => entry({ account }))
      const ends = await Promise.all(tries.map((one, at) => (at % 2 === 0 ? a : b).link(one, day)))
      assert.equal(ends.filter((end) => end === 'linked').length, 1)
      assert.deepEqual(await a.byAccount(account), tries[ends.indexOf('linked')])
    })

    test('the same two begin anew; what is over is free for others', async () => {
      const one = entry()
      await a.link(one, day)
      skew += 0.9 * day
      const again = { ...one, sealed: 'again' }
      assert.equal(await b.link(again, day), 'linked')
      skew += 0.9 * day
      assert.deepEqual(await a.byPerson(one.person), again)
      skew += 0.2 * day
      assert.deepEqual([await a.byAccount(one.account), await a.byPerson(one.person), await a.unlink(one)], [undefined, undefined, false])
      const next = entry({ account: one.account })
      assert.equal(await a.link(next, day), 'linked')
      assert.equal(await a.link(entry({ person: one.person }), day), 'linked')
      assert.deepEqual(await b.byAccount(one.account), next)
    })

    test('what is known of somebody is the latest, for as long as it is kept', async () => {
      const who = randomUUID()
      assert.equal(await a.known(who), undefined)
      await a.know(who, 'first', day)
      await b.know(who, 'second é\n', day)
      assert.equal(await a.known(who), 'second é\n')
      skew += day + 1_000
      assert.equal(await a.known(who), undefined)
      await a.know(who, 'third', day)
      await b.forget(who)
      assert.equal(await a.known(who), undefined)
    })

    test('a name comes first once, whoever says it', async () => {
      const said = randomUUID()
      assert.deepEqual((await Promise.all([a.first(said, day), b.first(said, day), a.first(said, day)])).toSorted(), [false, false, true])
      assert.equal(await b.first(said, day), false)
    })

    test('a closed store refuses', async () => {
      const closed = fixture.open(() => 0)
      await closed[Symbol.asyncDispose]()
      await assert.rejects(closed.byAccount('x'), { code: 'store-unavailable' })
    })
  })
}

contract('embedded', async () => {
  const folder = temporaryFolder('links')
  return { open: (clockSkewMs) => openEmbeddedLinkStore({ kind: 'embedded', path: `${folder.path}/holds.db` }, { clockSkewMs }), [Symbol.asyncDispose]: async () => folder[Symbol.dispose]() }
})

contract('redis', async () => {
  const server = await startRedis()
  return { open: (clockSkewMs) => open(server, clockSkewMs), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
})

const open = ({ port }: TestRedis, clockSkewMs = () => 0): LinkStore => openRedisLinkStore({ kind: 'redis', connect: { mode: 'single', url: new Secret(`redis://127.0.0.1:${port}`) }, prefix: 'cs', acknowledgingReplicas: 0 }, { clockSkewMs })

test('without its Redis nobody is known', async () => {
  const server = await startRedis()
  await using store = open(server)
  const one = entry()
  await store.link(one, day)
  await server[Symbol.asyncDispose]()
  await assert.rejects(store.byAccount(one.account), { code: 'store-unavailable' })
})
