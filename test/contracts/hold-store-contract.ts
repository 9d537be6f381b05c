import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { HoldEntry, HoldStore } from '../../src/approval/hold-store.ts'
import { until } from '../support/until.ts'

export interface StoreFixture extends AsyncDisposable {
  /** Another client of the same store, with a clock that can be moved. */
  open(clockSkewMs?: () => number): Promise<HoldStore>
}

const limits = { perCaller: 1_000, perService: 1_000 }

export const entry = (over: Partial<HoldEntry> = {}): HoldEntry & { readonly openKey: string } => {
  const id = over.id ?? `hold_${randomUUID()}`
  return { id, revision: 1, state: 'pending', openKey: `key-${id}`, callerKey: `caller-${id}`, service: `service-${id}`, sealed: `sealed ${id} é "\\ \n`, asked: `asked ${id} é "\\ \n`, ...over }
}

export const settledWithin = async <T>(ms: number, promise: Promise<T>): Promise<T> => {
  const timer = Promise.withResolvers<never>()
  const timeout = setTimeout(() => timer.reject(new Error(`not settled within ${ms} ms`)), ms)
  try {
    return await Promise.race([promise, timer.promise])
  } finally {
    clearTimeout(timeout)
  }
}

/** What every hold store promises; run over each of them. */
export const holdStoreContract = (name: string, start: () => Promise<StoreFixture>): void => {
  describe(`hold store: ${name}`, () => {
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

    it('reads back exactly what was opened, from any client', async () => {
      const one = entry({ dueAt: 4_000_000_000_000 })
      assert.deepEqual(await a.open(one, limits), { result: 'opened' })
      assert.deepEqual(await b.read(one.id), one)
      assert.deepEqual(await b.revisions([one.id, 'hold_none']), [1, undefined])
      assert.equal(await b.read('hold_none'), undefined)
      assert.deepEqual(await b.find(one.openKey), one)
      assert.equal(await b.find('key-none'), undefined)
    })

    it('keeps what was asked, and tells what changed without it', async () => {
      const [one, two] = [entry(), entry()]
      for (const each of [one, two]) await a.open(each, limits)
      const { asked, openKey: _openKey, ...changed } = { ...one, revision: 2, state: 'executed' as const, sealed: 'second' }
      const result = { sealed: new Uint8Array([0, 255, 10]), keepMs: 60_000 }
      assert.equal(await a.replace({ ...changed, revision: 9 }, { revision: 7 }, 60_000, result), 'conflict')
      assert.equal(await b.getAttachment(one.id, 'result'), undefined)
      assert.equal(await a.replace(changed, { revision: 1 }, 60_000, result), 'replaced')
      assert.deepEqual(await b.read(one.id), { ...changed, asked })
      assert.deepEqual(Buffer.from((await b.getAttachment(one.id, 'result'))!), Buffer.from(result.sealed))
      const { asked: _asked, ...second } = two
      assert.deepEqual(await b.latest([two.id, 'hold_none', one.id]), [second, undefined, changed])
      assert.deepEqual(await b.latest([]), [])
    })

    it('lets one of many that open the same key win, and attaches the others to it', async () => {
      const openKey = randomUUID()
      const tries = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? a : b).open({ ...entry(), openKey }, limits)))
      assert.equal(tries.filter(({ result }) => result === 'opened').length, 1)
      const ids = new Set(tries.flatMap((result) => (result.result === 'attached' ? [result.entry.id] : [])))
      assert.equal(ids.size, 1)
    })

    it('lets one replica at a time have a lease, until it gives it back or does not come back', async () => {
      const name = randomUUID()
      const tries = await Promise.all(['one', 'two', 'three'].map(async (replica, at) => ((await (at % 2 ? a : b).lease(name, replica, 60_000)) ? replica : '')))
      const [holder, ...more] = tries.filter((replica) => replica !== '')
      assert.ok(holder !== undefined && more.length === 0, String(tries))
      assert.equal(await b.lease(name, holder, 60_000), true)
      assert.equal(await a.lease(name, 'other', 60_000), false)
      assert.equal(await a.lease(randomUUID(), 'other', 60_000), true)
      assert.equal(await a.lease(name, holder, 0), true)
      assert.equal(await b.lease(name, 'other', 5_000), true)
      assert.equal(await a.lease(name, holder, 5_000), false)
      skew = 6_000
      try {
        assert.equal(await a.lease(name, holder, 5_000), true)
      } finally {
        skew = 0
      }
    })

    it('spends once: of fifty racing, one wins', async () => {
      const stores = await Promise.all(Array.from({ length: 5 }, () => fixture.open()))
      const one = entry({ state: 'approved' })
      await a.open(one, limits)
      const results = await Promise.all(Array.from({ length: 50 }, (_, i) => stores[i % 5]!.replace({ ...one, revision: 2, state: 'running', sealed: `by ${i}` }, { revision: 1 })))
      assert.equal(results.filter((result) => result === 'replaced').length, 1)
      assert.equal(results.filter((result) => result === 'conflict').length, 49)
      assert.equal((await a.read(one.id))?.sealed, `by ${results.indexOf('replaced')}`)
      for (const store of stores) await store[Symbol.asyncDispose]()
    })

    it('judges lateness by its own clock, in the same step', async () => {
      const one = entry()
      await a.open(one, limits)
      const now = await a.now()
      assert.equal(await a.replace({ ...one, revision: 2 }, { revision: 1, notAfter: now - 1 }), 'late')
      assert.equal(await a.replace({ ...one, revision: 2 }, { revision: 1, notBefore: now + 60_000 }), 'early')
      assert.equal(await a.replace({ ...one, revision: 2 }, { revision: 7 }), 'conflict')
      assert.equal(await a.replace({ ...entry(), revision: 2 }, { revision: 1 }), 'missing')
      skew = 120_000
      assert.ok((await a.now()) >= now + 120_000)
      assert.equal(await a.replace({ ...one, revision: 2 }, { revision: 1, notAfter: now + 60_000 }), 'late')
      assert.equal(await a.replace({ ...one, revision: 2 }, { revision: 1, notBefore: now + 60_000 }), 'replaced')
      skew = 0
    })

    it('refuses over the limits, counts only what is open, and still attaches', async () => {
      const [callerKey, service] = [randomUUID(), randomUUID()]
      const few = { perCaller: 2, perService: 3 }
      const [one, two] = [entry({ callerKey, service }), entry({ callerKey, service })]
      await a.open(one, few)
      await a.open(two, few)
      assert.deepEqual(await b.open(entry({ callerKey, service }), few), { result: 'flooded', by: 'caller' })
      assert.equal((await b.open({ ...entry({ callerKey, service }), openKey: two.openKey }, few)).result, 'attached')
      assert.equal((await b.open(entry({ service }), few)).result, 'opened')
      assert.deepEqual(await b.open(entry({ service }), few), { result: 'flooded', by: 'service' })
      const { openKey: _key, ...settled } = one
      assert.equal(await a.replace({ ...settled, state: 'denied', revision: 2 }, { revision: 1 }, 60_000), 'replaced')
      assert.equal((await b.open(entry({ callerKey, service }), few)).result, 'opened')
    })

    it('frees the key when an entry drops it, and supersedes only at the named revision', async () => {
      const one = entry()
      await a.open(one, limits)
      assert.equal((await a.open({ ...entry(), openKey: one.openKey }, limits, { id: one.id, revision: 9 })).result, 'attached')
      const two = { ...entry(), openKey: one.openKey }
      assert.equal((await a.open(two, limits, { id: one.id, revision: 1 })).result, 'opened')
      // The superseded one keeps its words but not the key: dropping them must not take the key from its heir.
      const { openKey: _key, ...dropped } = one
      assert.equal(await a.replace({ ...dropped, state: 'expired', revision: 2 }, { revision: 1 }), 'replaced')
      const found = await b.open({ ...entry(), openKey: one.openKey }, limits)
      assert.equal(found.result === 'attached' && found.entry.id, two.id)
      const { openKey: _two, ...twoDropped } = two
      await a.replace({ ...twoDropped, state: 'expired', revision: 2 }, { revision: 1 })
      assert.equal((await b.open({ ...entry(), openKey: one.openKey }, limits)).result, 'opened')
    })

    it('keeps what is settled without an end, and finds it, until a later revision gives it one', async () => {
      const service = `service-${randomUUID()}`
      const all = Array.from({ length: 4 }, () => entry({ service }))
      for (const each of all) await a.open(each, limits)
      const [kept, over, running] = all as [HoldEntry, HoldEntry, HoldEntry]
      await a.replace({ ...kept, revision: 2, state: 'running' }, { revision: 1 })
      await a.replace({ ...kept, revision: 3, state: 'executed' }, { revision: 2 })
      await a.replace({ ...over, revision: 2, state: 'executed' }, { revision: 1 }, 60_000)
      await a.replace({ ...running, revision: 2, state: 'running' }, { revision: 1 })
      const found = async (states?: readonly HoldEntry['state'][]): Promise<readonly string[]> => (await b.list({ service, kept: true, limit: 10, ...(states === undefined ? {} : { states }) })).entries.map(({ id }) => id)
      assert.deepEqual(await found(), [kept.id])
      assert.deepEqual(await found(['executed']), [kept.id])
      assert.deepEqual(await found(['failed']), [])
      await a.replace({ ...kept, revision: 4, state: 'executed' }, { revision: 3 }, 60_000)
      assert.deepEqual(await found(), [])
      assert.equal((await b.read(kept.id))?.revision, 4)
    })

    it('lists newest first, filtered, in pages that neither skip nor repeat', async () => {
      const service = randomUUID()
      const all = Array.from({ length: 7 }, (_, i) => entry({ service, state: i % 2 ? 'approved' : 'pending' }))
      for (const one of all) await a.open(one, limits)
      const ids: string[] = []
      for (let after: string | undefined, rounds = 0; rounds < 20; rounds++) {
        const page = await b.list({ service, limit: 3, ...(after === undefined ? {} : { after }) })
        assert.ok(page.entries.length <= 3)
        ids.push(...page.entries.map(({ id }) => id))
        if (page.next === undefined) break
        after = page.next
      }
      assert.deepEqual(ids, all.map(({ id }) => id).toReversed())
      assert.deepEqual((await b.list({ service, states: ['approved'], limit: 10 })).entries.map(({ id }) => id), [5, 3, 1].map((i) => all[i]!.id))
      assert.deepEqual((await b.list({ callerKey: all[0]!.callerKey, limit: 10 })).entries.map(({ id }) => id), [all[0]!.id])
      await assert.rejects(b.list({ limit: 3, after: 'x; drop table holds' }), { code: 'malformed' })
    })

    it('tells what is due, oldest first, and not before', async () => {
      const now = await a.now()
      const [late, later, not] = [entry({ dueAt: now - 5_000 }), entry({ dueAt: now - 1_000 }), entry({ dueAt: now + 60_000 })]
      for (const one of [later, late, not]) await a.open(one, limits)
      assert.deepEqual((await b.due(10)).map(({ id }) => id), [late.id, later.id])
      for (const one of [late, later]) {
        const { dueAt: _due, ...rest } = one
        await a.replace({ ...rest, revision: 2 }, { revision: 1 })
      }
      assert.deepEqual(await b.due(10), [])
    })

    it('drops settled entries after their time', async () => {
      const one = entry()
      await a.open(one, limits)
      const { openKey: _key, ...settled } = one
      await a.replace({ ...settled, state: 'denied', revision: 2 }, { revision: 1 }, 30_000)
      assert.ok(await a.read(one.id))
      skew = 40_000
      await a.open(entry(), limits)
      skew = 80_000
      await a.open(entry(), limits)
      assert.equal(await a.read(one.id), undefined)
      skew = 0
    })

    it('carries every change to other clients within a second, and from a cursor without a gap', async () => {
      const ended = new AbortController()
      const seen: string[] = []
      const first = Promise.withResolvers<void>()
      const ready = Promise.withResolvers<void>()
      let cursor: string | undefined
      const warm = entry()
      const listen = (async () => {
        for await (const change of b.changes(undefined, ended.signal)) {
          if (change.id === warm.id) { ready.resolve(); continue }
          cursor ??= change.cursor
          seen.push(`${change.id} ${change.state}`)
          if (seen.length === 3) first.resolve()
        }
      })()
      await a.open(warm, limits)
      // The listener starts "from now on"; nudge until it listens.
      for (let revision = 2; ; revision++) {
        const { openKey: _k, ...rest } = warm
        await a.replace({ ...rest, revision }, { revision: revision - 1 })
        if (await Promise.race([ready.promise.then(() => true), new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 50))])) break
      }
      const one = entry()
      await a.open(one, limits)
      await a.replace({ ...one, state: 'approved', revision: 2 }, { revision: 1 })
      await a.replace({ ...one, state: 'running', revision: 3 }, { revision: 2 })
      await settledWithin(1_000, first.promise)
      assert.deepEqual(seen, [`${one.id} pending`, `${one.id} approved`, `${one.id} running`])
      ended.abort()
      await settledWithin(1_000, listen)
      const rest: string[] = []
      const again = new AbortController()
      for await (const change of a.changes(cursor, again.signal)) {
        rest.push(change.state)
        if (rest.length === 2) again.abort()
      }
      assert.deepEqual(rest, ['approved', 'running'])
    })

    it('keeps results, bytes for bytes, until their end', async () => {
      const bytes = Uint8Array.from({ length: 300 }, (_, i) => i % 256)
      await a.putAttachment('hold_r', 'result', bytes, 60_000)
      assert.deepEqual(Buffer.from((await b.getAttachment('hold_r', 'result'))!), Buffer.from(bytes))
      assert.equal(await b.getAttachment('hold_s', 'result'), undefined)
      assert.equal(await b.getAttachment('hold_r', 'request'), undefined)
      await a.putAttachment('hold_r', 'request', bytes.subarray(7), 60_000)
      await a.dropAttachment('hold_r', 'result')
      assert.equal(await b.getAttachment('hold_r', 'result'), undefined)
      assert.deepEqual(Buffer.from((await b.getAttachment('hold_r', 'request'))!), Buffer.from(bytes.subarray(7)))
      await a.putAttachment('hold_r', 'request', bytes, 1)
      await until('its time to pass', async () => (await b.getAttachment('hold_r', 'request')) === undefined)
    })

    it('lets one of many take what is kept, and nobody after its time', async () => {
      const bytes = Uint8Array.from({ length: 1_000 }, (_, i) => i % 256)
      await a.putAttachment('hold_take', 'result', bytes, 60_000)
      await a.putAttachment('hold_take', 'request', bytes, 60_000)
      const tries = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? a : b).takeAttachment('hold_take', 'result')))
      assert.deepEqual(tries.flatMap((found) => (found === undefined ? [] : [Buffer.from(found)])), [Buffer.from(bytes)])
      assert.equal(await b.getAttachment('hold_take', 'result'), undefined)
      assert.ok((await b.getAttachment('hold_take', 'request')) !== undefined)
      await a.putAttachment('hold_late', 'result', bytes, 1)
      await until('its time to pass', async () => (await b.getAttachment('hold_late', 'result')) === undefined)
      assert.equal(await b.takeAttachment('hold_late', 'result'), undefined)
    })

    it('attaches a request in the step that opens its hold, and only where it opens one', async () => {
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
      const one = entry()
      const request = { sealed: bytes, keepMs: 60_000 }
      assert.equal((await a.open(one, limits, undefined, request)).result, 'opened')
      assert.deepEqual(Buffer.from((await b.getAttachment(one.id, 'request'))!), Buffer.from(bytes))
      const repeat = { ...one, id: `${one.id}_again` }
      assert.equal((await b.open(repeat, limits, undefined, request)).result, 'attached')
      assert.equal(await a.getAttachment(repeat.id, 'request'), undefined)
      const flooded = entry()
      assert.equal((await b.open(flooded, { perCaller: 0, perService: 0 }, undefined, request)).result, 'flooded')
      assert.equal(await a.getAttachment(flooded.id, 'request'), undefined)
      const large = entry()
      await assert.rejects(a.open(large, limits, undefined, { sealed: new Uint8Array((16 << 20) + 1), keepMs: 1_000 }), { code: 'too-large' })
      assert.equal(await a.read(large.id), undefined)
    })

    it('knows where clients wait, until their replica falls silent', async () => {
      await a.beat('r1', { arrived: ['h1', 'h2'], left: [], fresh: true })
      await b.beat('r2', { arrived: ['h2'], left: [], fresh: true })
      assert.deepEqual([...(await a.attended(['h1', 'h2', 'h3'], 3_000))].toSorted(), ['h1', 'h2'])
      await a.beat('r1', { arrived: [], left: ['h1', 'h2'], fresh: false })
      assert.deepEqual([...(await a.attended(['h1', 'h2', 'h3'], 3_000))], ['h2'])
      skew = 10_000
      assert.deepEqual([...(await a.attended(['h1', 'h2', 'h3'], 3_000))], [])
      await b.beat('r2', { arrived: [], left: [], fresh: true })
      assert.deepEqual([...(await a.attended(['h2'], 3_000))], [])
      assert.ok((await a.replicas()).has('r1'))
      skew = 0
    })

    it('refuses what is too large, and everything once it is closed', async () => {
      await assert.rejects(a.open(entry({ sealed: 'x'.repeat(5 << 20) }), limits), { code: 'too-large' })
      const c = await fixture.open()
      await c[Symbol.asyncDispose]()
      await assert.rejects(c.read('hold_1'), { code: 'store-unavailable' })
      await assert.rejects(c.open(entry(), limits), { code: 'store-unavailable' })
    })
  })
}
