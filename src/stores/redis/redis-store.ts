import type { HoldEntry, HoldRevision, HoldStore } from '../../approval/hold-store.ts'
import { isOpen } from '../../model/hold.ts'
import { Refusal } from '../../model/refusal.ts'
import { makeChanges } from './changes.ts'
import { connect, type Connection, type RedisStoreOptions } from './connection.ts'
import { keepsRecords, UnsafeRedis } from './eviction.ts'
import { makeGrants } from './grants.ts'
import { inTime } from './in-time.ts'
import { runScript, type Script } from './script.ts'
import { aliveScript, beatScript, dueScript, findScript, latestScript, leaseScript, listScript, nowScript, openScript, readScript, replaceScript } from './scripts.ts'

const acknowledgeMs = 1_000
const changesKept = 50_000
const scanned = 1_000
const maxEntryBytes = 4 << 20
const maxAttachmentBytes = 16 << 20
const dayMs = 86_400_000

const unavailable = (cause: unknown): Refusal => new Refusal('store-unavailable', 'The store for holds does not answer. NOT EXECUTED. Try again later.', { cause, retryAfterSeconds: 5 })

const metaOf = ({ id, revision, state, openKey, callerKey, service, dueAt }: HoldRevision): string => JSON.stringify({ id, revision, state, openKey, callerKey, service, dueAt })
const revisionOf = (meta: string, sealed: string): HoldRevision => ({ ...(JSON.parse(meta) as Omit<HoldRevision, 'sealed'>), sealed })
const entryOf = (meta: string, sealed: string, asked: string | null | undefined): HoldEntry => ({ ...revisionOf(meta, sealed), asked: asked ?? '' })

/**
 * Holds in Redis, alone, behind Sentinel or in a Cluster. Redis answers before it has written to disk or to its replicas, as it is set up;
 * `acknowledgingReplicas` makes a spend wait for copies, so that a failover cannot bring back a hold that was spent.
 * Rejects with `UnsafeRedis` when Redis would evict records; a Redis that is not there yet is looked for again with every step.
 * `clockSkewMs` moves the store's clock and is for tests.
 */
export const openRedisStore = async (options: RedisStoreOptions, test: { readonly clockSkewMs?: () => number } = {}): Promise<HoldStore> => {
  const writer = connect(options, 'holds')
  const key = (name: string): string => `{${options.prefix}}:${name}`
  const skew = (): string => String(Math.round(test.clockSkewMs?.() ?? 0))
  const closing = new AbortController()
  const records = ['holds', 'meta', 'open', 'index', 'live', 'due', 'gone', 'changes'].map(key)
  const [holds, meta, asked] = [key('holds'), key('meta'), key('asked')]
  let safe: Promise<void> | undefined

  writer.on('close', () => { safe = undefined }) // after a failover another Redis answers, with settings of its own

  const ask = async <T>(step: () => Promise<T>, verify = true): Promise<T> => {
    if (closing.signal.aborted) throw unavailable('the store is closed')
    try {
      return await inTime(writer, async () => {
        if (verify) await (safe ??= keepsRecords(writer))
        return await step()
      })
    } catch (error) {
      safe = undefined
      throw error instanceof UnsafeRedis || error instanceof Refusal ? error : unavailable(error)
    }
  }

  const run = (step: Script, keys: readonly string[], args: readonly (string | number | Buffer)[]): Promise<unknown> => runScript(writer, step, keys, [skew(), ...args])

  const counted = (entry: HoldRevision): readonly string[] => [key(`open-of-caller:${entry.callerKey}`), key(`open-of-service:${entry.service}`)]

  const bounded = ({ sealed, asked: fixed = '' }: HoldRevision & { readonly asked?: string }): void => {
    if (sealed.length + fixed.length > maxEntryBytes) throw new Refusal('too-large', 'This action is too large to be held for approval. NOT EXECUTED. Send less at once.')
  }

  const bytesOf = (sealed: Uint8Array): Buffer => {
    if (sealed.byteLength > maxAttachmentBytes) throw new Refusal('too-large', 'This is too large to be kept beside its hold.')
    return Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
  }

  /** Waits for copies where the configuration asks for them. */
  const runSafely = (script: Script, keys: readonly string[], args: readonly (string | number | Buffer)[]): Promise<unknown> =>
    ask(() => (options.acknowledgingReplicas > 0 ? runAcknowledged(script, keys, args) : run(script, keys, args)))

  const open: HoldStore['open'] = async (entry, limits, superseding, request) => {
    bounded(entry)
    const args = [entry.id, metaOf(entry), entry.sealed, entry.openKey, entry.dueAt ?? '', limits.perCaller, limits.perService, superseding?.id ?? '', superseding?.revision ?? -1, changesKept, entry.state, request ? bytesOf(request.sealed) : '', request ? wholeMs(request.keepMs) : '', entry.asked]
    const [result, first, second, third] = (await ask(() => run(openScript, [...records, ...counted(entry), key('seq'), key(`request:${entry.id}`), asked], args))) as [string, string, string, string]
    if (result === 'attached') return { result, entry: entryOf(first, second, third) }
    if (result === 'flooded') return { result, by: first === 'caller' ? 'caller' : 'service' }
    return { result: 'opened' }
  }

  const replace: HoldStore['replace'] = async (entry, expected, keepMs, result) => {
    bounded(entry)
    const phase = isOpen(entry.state) ? 'open' : entry.state === 'running' ? 'running' : keepMs === undefined ? 'kept' : 'settled'
    const args = [
      entry.id, metaOf(entry), entry.sealed, entry.openKey ?? '', entry.dueAt ?? '', expected.revision, expected.notAfter ?? '', expected.notBefore ?? '',
      phase === 'settled' && keepMs !== undefined ? Math.round(keepMs) : '', entry.state, phase, changesKept, result ? bytesOf(result.sealed) : '', result ? wholeMs(result.keepMs) : '',
    ]
    const keys = [...records, ...counted(entry), key(`result:${entry.id}`), asked, key('kept')]
    return (await (entry.state === 'running' ? runSafely(replaceScript, keys, args) : ask(() => run(replaceScript, keys, args)))) as Awaited<ReturnType<HoldStore['replace']>>
  }

  /** The step and the question who else has it travel together: on another connection the answer would be about other writes. */
  const runAcknowledged = async (script: Script, keys: readonly string[], args: readonly (string | number | Buffer)[]): Promise<unknown> => {
    const node = await ownerOf(writer, keys[0]!)
    const [step, copies] = await Promise.all([node.eval(script.text, keys.length, ...keys, skew(), ...args), node.wait(options.acknowledgingReplicas, acknowledgeMs)])
    if ((step === 'replaced' || step === 1) && copies < options.acknowledgingReplicas) throw new Error(`${copies} of ${options.acknowledgingReplicas} replicas have acknowledged it`)
    return step
  }

  const list: HoldStore['list'] = async ({ states, service, callerKey, kept, after, limit }) => {
    if (after !== undefined && !/^\d{1,16}$/.test(after)) throw new Refusal('malformed', 'This page does not exist.')
    const live = states?.every((state) => isOpen(state) || state === 'running')
    const args = [after === undefined ? '+inf' : `(${after}`, Math.max(1, Math.min(limit, 1_000)), service ?? '', callerKey ?? '', scanned, ...(states ?? [])]
    const [next, ...found] = (await ask(() => run(listScript, [holds, meta, key(kept ? 'kept' : live ? 'live' : 'index'), asked], args))) as string[]
    return { entries: entriesIn(found), ...(next ? { next } : {}) }
  }

  const changes = makeChanges(options, key('changes'), { writer, ask, closing: closing.signal })

  const beat: HoldStore['beat'] = async (replica, { arrived, left, fresh }) => {
    const marks = [...left.map((id) => `-${id}`), ...arrived.map((id) => `+${id}`)]
    for (let at = 0; at === 0 || at < marks.length; at += 1_000)
      await ask(() => run(beatScript, [key('replicas'), key(`present:${replica}`)], [replica, fresh && at === 0 ? 1 : 0, ...marks.slice(at, at + 1_000)]))
  }

  const alive = async (withinMs: number): Promise<ReadonlyMap<string, number>> => {
    const found = (await ask(() => run(aliveScript, [key('replicas')], [withinMs]))) as string[]
    return new Map(found.flatMap((name, at) => (at % 2 === 0 ? [[name, Number(found[at + 1])] as const] : [])))
  }

  const attended: HoldStore['attended'] = async (ids, aliveMs) => {
    if (ids.length === 0) return new Set()
    const names = [...(await alive(aliveMs)).keys()].slice(0, 500)
    const answers = await ask(() => Promise.all(names.map((name) => writer.smismember(key(`present:${name}`), ...ids))))
    return new Set(ids.filter((_, at) => answers.some((answer) => answer[at] === 1)))
  }

  const now = async (): Promise<number> => Number(await ask(() => run(nowScript, [holds], [])))

  const store: HoldStore = {
    now,
    open,
    find: async (openKey) => entriesIn((await ask(() => run(findScript, [holds, meta, asked, key('open')], [openKey]))) as string[])[0],
    read: async (id) => entriesIn((await ask(() => run(readScript, [holds, meta, asked], [id]))) as string[])[0],
    latest: async (ids) => {
      const found = (await ask(() => run(latestScript, [holds, meta], ids))) as (string | null)[]
      return ids.map((_, at) => {
        const [fields, sealed] = [found[2 * at], found[2 * at + 1]]
        return fields == null || sealed == null ? undefined : revisionOf(fields, sealed)
      })
    },
    revisions: async (ids) => (ids.length === 0 ? [] : (await ask(() => writer.hmget(meta, ...ids))).map((text) => (text === null ? undefined : (JSON.parse(text) as HoldEntry).revision))),
    replace,
    list,
    due: async (limit) => entriesIn((await ask(() => run(dueScript, [holds, meta, key('due'), asked], [limit]))) as string[]),
    changes: changes.after,
    async putAttachment(id, name, sealed, keepMs) {
      const bytes = bytesOf(sealed)
      await ask(() => writer.set(key(`${name}:${id}`), bytes, 'PX', wholeMs(keepMs)))
    },
    getAttachment: async (id, name) => (await ask(() => writer.getBuffer(key(`${name}:${id}`)))) ?? undefined,
    takeAttachment: async (id, name) => {
      const [taken] = (await ask(() => writer.multi().getBuffer(key(`${name}:${id}`)).del(key(`${name}:${id}`)).exec())) ?? []
      if (taken?.[0]) throw taken[0]
      return (taken?.[1] as Buffer | null | undefined) ?? undefined
    },
    dropAttachment: async (id, name) => void (await ask(() => writer.del(key(`${name}:${id}`)))),
    beat,
    attended,
    replicas: () => alive(dayMs),
    grants: makeGrants({ key, run: (script, keys, values) => ask(() => run(script, keys, values)), runSafely }, now),
    lease: async (name, replica, forMs) => (await ask(() => run(leaseScript, [key(`lease:${name}`)], [replica, Math.round(forMs)]))) === 1,
    check: async () => {
      safe = undefined
      await ask(async () => {})
    },
    async [Symbol.asyncDispose]() {
      if (closing.signal.aborted) return
      closing.abort()
      await changes.ended()
      writer.disconnect()
    },
  }
  await store.check().catch(async (error: unknown) => {
    if (!(error instanceof UnsafeRedis)) return
    await store[Symbol.asyncDispose]()
    throw error
  })
  return store
}

const wholeMs = (ms: number): number => Math.max(1, Math.round(ms))

/** Meta, record and what was asked, in turn. */
const entriesIn = (found: readonly (string | null)[]): readonly HoldEntry[] => {
  const entries: HoldEntry[] = []
  for (let at = 0; at + 2 < found.length; at += 3) {
    const [meta, sealed, asked] = [found[at], found[at + 1], found[at + 2]]
    if (meta != null && sealed != null) entries.push(entryOf(meta, sealed, asked))
  }
  return entries
}

/** In a Cluster: the connection to the primary that owns the key's slot. */
const ownerOf = async (connection: Connection, key: string) => {
  if (!('nodes' in connection)) return connection
  const slot = Number(await connection.cluster('KEYSLOT', key))
  const owner = connection.slots[slot]?.[0]
  const node = connection.nodes('master').find(({ options: at }) => `${at.host}:${at.port}` === owner)
  if (node === undefined) throw new Error('the node that owns the holds is not known')
  return node
}
