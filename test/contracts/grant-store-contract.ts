import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { GrantEntry } from '../../src/approval/grant-store.ts'
import type { HoldStore } from '../../src/approval/hold-store.ts'
import type { StoreFixture } from './hold-store-contract.ts'

const hour = 3_600_000

/** What every store promises of grants; run over each of them. */
export const grantStoreContract = (name: string, start: () => Promise<StoreFixture>): void => {
  describe(`grant store: ${name}`, () => {
    let fixture: StoreFixture
    let a: HoldStore
    let b: HoldStore
    let skew = 0
    before(async () => {
      fixture = await start()
      a = await fixture.open(() => skew)
      b = await fixture.open(() => skew)
    })
    after(async () => {
      await a?.[Symbol.asyncDispose]()
      await b?.[Symbol.asyncDispose]()
      await fixture?.[Symbol.asyncDispose]()
    })

    const entry = async (over: Partial<GrantEntry> = {}): Promise<GrantEntry & { readonly useKey: string }> => {
      const id = `grant_${randomUUID()}`
      return { id, revision: 1, useKey: `use-${id}`, until: (await a.now()) + hour, sealed: `sealed ${id} é "\\ \n`, ...over }
    }

    it('reads back exactly what was made, from any client, and never makes it twice', async () => {
      const one = await entry()
      assert.equal(await a.grants.add(one, hour), true)
      assert.equal(await b.grants.add({ ...one, sealed: 'another' }, hour), false)
      assert.deepEqual(await b.grants.read(one.id), one)
      assert.deepEqual(await b.grants.find(one.useKey), [one])
      assert.equal(await b.grants.read('grant_none'), undefined)
      assert.deepEqual(await b.grants.find('use-none'), [])
    })

    it('finds by a key what carries it, the oldest first', async () => {
      const first = await entry()
      const second = await entry({ useKey: first.useKey })
      for (const one of [first, second]) await a.grants.add(one, hour)
      assert.deepEqual((await b.grants.find(first.useKey)).map(({ id }) => id), [first.id, second.id])
      const { useKey: _useKey, ...ended } = { ...first, revision: 2, sealed: 'ended' }
      assert.equal(await b.grants.replace(ended, { revision: 1 }), 'replaced')
      assert.deepEqual(await a.grants.find(first.useKey), [second])
      assert.deepEqual(await a.grants.read(first.id), ended)
    })

    it('counts one use at a time: of fifty that race from five clients, one a revision', async () => {
      const one = await entry()
      await a.grants.add(one, hour)
      const stores = await Promise.all(Array.from({ length: 5 }, () => fixture.open()))
      const results = await Promise.all(Array.from({ length: 50 }, (_, at) => stores[at % 5]!.grants.replace({ ...one, revision: 2, sealed: `by ${at}` }, { revision: 1, inTime: true })))
      assert.deepEqual(results.toSorted(), [...Array.from({ length: 49 }, () => 'conflict'), 'replaced'])
      assert.equal((await a.grants.read(one.id))?.sealed, `by ${results.indexOf('replaced')}`)
      assert.equal(await b.grants.replace({ ...one, id: 'grant_none', revision: 2 }, { revision: 1 }), 'missing')
      for (const store of stores) await store[Symbol.asyncDispose]()
    })

    it('judges by its own clock that the time is over, and lets nobody make it longer', async () => {
      const one = await entry()
      await a.grants.add(one, hour)
      assert.equal(await a.grants.replace({ ...one, revision: 2, until: one.until + 10 * hour }, { revision: 1, inTime: true }), 'conflict')
      assert.equal(await a.grants.replace({ ...one, revision: 2 }, { revision: 1, inTime: true }), 'replaced')
      skew = hour + 60_000
      try {
        assert.deepEqual(await b.grants.find(one.useKey), [])
        assert.equal(await b.grants.replace({ ...one, revision: 3 }, { revision: 2, inTime: true }), 'late')
        assert.equal(await b.grants.replace({ ...one, revision: 3 }, { revision: 2 }), 'replaced')
      } finally {
        skew = 0
      }
    })

    it('lists the newest first, page by page', async () => {
      const made: GrantEntry[] = []
      for (let at = 0; at < 5; at++) {
        const one = await entry()
        await a.grants.add(one, hour)
        made.unshift(one)
      }
      const first = await b.grants.list({ limit: 3 })
      const second = await b.grants.list({ limit: 2, after: first.next! })
      assert.deepEqual([...first.entries, ...second.entries].map(({ id }) => id), made.map(({ id }) => id))
      await assert.rejects(b.grants.list({ limit: 2, after: 'nonsense' }), { code: 'malformed' })
    })

    it('forgets what has been kept long enough', async () => {
      const one = await entry()
      await a.grants.add(one, hour)
      skew = 3 * hour
      try {
        await a.grants.add(await entry({ until: (await a.now()) + hour }), hour)
        assert.equal(await b.grants.read(one.id), undefined)
      } finally {
        skew = 0
      }
    })
  })
}
