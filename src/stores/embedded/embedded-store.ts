import type { SQLInputValue } from 'node:sqlite'
import { setImmediate as turn } from 'node:timers/promises'
import type { HoldChange, HoldEntry, HoldRevision, HoldStore } from '../../approval/hold-store.ts'
import { defined } from '../../lib/defined.ts'
import { isOpen, type HoldState } from '../../model/hold.ts'
import { Refusal } from '../../model/refusal.ts'
import type { StoreOptions } from '../options.ts'
import { openDatabase } from './database-file.ts'
import { grantSchema, makeGrants } from './grants.ts'
import { makeGroupCommit, type Urgency } from './group-commit.ts'
import { isKept, schema } from './schema.ts'
import { prepareStatements, whole } from './statements.ts'
import { openWriteAheadLog } from './write-ahead-log.ts'

const deadlineMs = 4_000
const pollMs = 40
const maxEntryBytes = 4 << 20
const maxAttachmentBytes = 16 << 20
const changesKept = 50_000
/** So much of the file is kept at hand: the indexes of some ten thousand holds. */
const cacheKb = 8_192
const replicaKeptMs = 86_400_000

interface Row {
  readonly seq: number
  readonly id: string
  readonly revision: number
  readonly state: HoldState
  readonly open_key: string | null
  readonly caller_key: string
  readonly service: string
  readonly due_at: number | null
  readonly sealed: string
}

interface WholeRow extends Row {
  readonly asked: string | null
}

const entryOf = (row: WholeRow): HoldEntry => ({ ...revisionOf(row), asked: row.asked ?? '' })

const revisionOf = (row: Row): HoldRevision => ({
  id: row.id, revision: row.revision, state: row.state, callerKey: row.caller_key, service: row.service, sealed: row.sealed,
  ...defined({ openKey: row.open_key ?? undefined, dueAt: row.due_at ?? undefined }),
})

/** Their actions have run and their answers been given: nobody waits for their record. */
const endings: ReadonlySet<HoldState> = new Set(['executed', 'failed', 'unknown'])

const unavailable = (cause: unknown): Refusal => new Refusal('store-unavailable', 'The store for holds does not answer. NOT EXECUTED. Try again later.', { cause, retryAfterSeconds: 5 })

/**
 * Holds in one SQLite file, for one process or several on one machine. Every write is synced before it is reported;
 * a process that dies in mid write leaves either all of it or nothing. Not for network file systems.
 * `clockSkewMs` moves the store's clock and is for tests.
 */
export const openEmbeddedStore = (options: Extract<StoreOptions, { kind: 'embedded' }>, test: { readonly clockSkewMs?: () => number } = {}): HoldStore => {
  const database = openDatabase(options.path, schema + grantSchema)
  database.exec(`pragma cache_size = -${cacheKb}`)
  const clock = (): number => Math.round(Date.now() + (test.clockSkewMs?.() ?? 0))
  const closing = new AbortController()
  const wakeups = new Set<() => void>()
  const log = openWriteAheadLog(database, options.path)
  let broken: unknown
  const commits = makeGroupCommit({
    database, deadlineMs, sync: log.sync, written: log.written,
    committed: () => wakeups.forEach((wake) => wake()),
    failed: (cause) => { broken = cause },
  })
  const sql = prepareStatements(database)
  let lastSweep = 0

  const one = (statement: { get(...values: SQLInputValue[]): unknown }, ...values: SQLInputValue[]): WholeRow | undefined => statement.get(...values) as WholeRow | undefined
  const number = (found: unknown): number => (found as { n: number }).n

  const read = async <T>(look: () => T): Promise<T> => {
    if (closing.signal.aborted) throw unavailable('the store is closed')
    if (broken !== undefined) throw unavailable(broken) // what could be read may not be on the disk
    try {
      return look()
    } catch (error) {
      throw error instanceof Refusal ? error : unavailable(error)
    }
  }

  const write = async <T>(step: (now: number) => T, urgency: Urgency = 'now'): Promise<T> => {
    try {
      return await commits.write(() => {
        const now = clock()
        if (Math.abs(now - lastSweep) > 1_000) {
          lastSweep = now
          for (const statement of sql.sweep) statement.run(now)
          sql.trim.run(changesKept)
          sql.forgetReplicas.run(now - replicaKeptMs)
        }
        return step(now)
      }, urgency)
    } catch (error) {
      throw unavailable(error)
    }
  }

  const bounded = ({ sealed, asked = '' }: HoldRevision & { readonly asked?: string }): void => {
    if (sealed.length + asked.length > maxEntryBytes) throw new Refusal('too-large', 'This action is too large to be held for approval. NOT EXECUTED. Send less at once.')
  }

  const boundedAttachment = (sealed: Uint8Array): void => {
    if (sealed.byteLength > maxAttachmentBytes) throw new Refusal('too-large', 'This is too large to be kept beside its hold.')
  }

  /** The count kept by the triggers has the overdue in it as well; only where it reaches the limit are they told apart. */
  const isCrowded = (kind: 'caller' | 'service', name: string, limit: number, now: number): boolean => {
    const kept = (sql.openCount.get(kind, name) as { n: number } | undefined)?.n ?? 0
    return kept >= limit && kept - number((kind === 'caller' ? sql.overdueOfCaller : sql.overdueOfService).get(now, name)) >= limit
  }

  const open: HoldStore['open'] = async (entry, limits, superseding, request) => {
    bounded(entry)
    if (request) boundedAttachment(request.sealed)
    return await write((now) => {
      const found = one(sql.byKey, entry.openKey)
      if (found !== undefined && !(superseding?.id === found.id && superseding.revision === found.revision)) return { result: 'attached', entry: entryOf(found) } as const
      if (isCrowded('caller', entry.callerKey, limits.perCaller, now)) return { result: 'flooded', by: 'caller' } as const
      if (isCrowded('service', entry.service, limits.perService, now)) return { result: 'flooded', by: 'service' } as const
      const { lastInsertRowid } = sql.insert.run(entry.id, entry.revision, entry.state, entry.openKey, entry.callerKey, entry.service, entry.dueAt ?? null, entry.sealed)
      sql.ask.run(lastInsertRowid, entry.asked)
      sql.point.run(entry.openKey, entry.id)
      if (request) sql.attach.run(entry.id, 'request', Math.round(now + request.keepMs), request.sealed)
      return { result: 'opened' } as const
    })
  }

  const replace: HoldStore['replace'] = async (entry, expected, keepMs, result) => {
    bounded(entry)
    if (result) boundedAttachment(result.sealed)
    return await write((now) => {
      const { revision, notAfter = Infinity, notBefore = -Infinity } = expected
      const keepUntil = keepMs === undefined || isOpen(entry.state) ? null : Math.round(now + keepMs)
      const isTimely = now <= notAfter && now >= notBefore
      if (isTimely && entry.openKey === undefined) sql.unpoint.run(entry.id, revision)
      if (!isTimely || sql.update.run(entry.revision, entry.state, entry.openKey ?? null, entry.dueAt ?? null, keepUntil, entry.sealed, entry.id, revision).changes === 0) {
        const stored = (sql.head.get(entry.id) as Pick<Row, 'revision'> | undefined)?.revision
        return stored === undefined ? 'missing' : stored !== revision ? 'conflict' : now > notAfter ? 'late' : 'early'
      }
      if (result) sql.attach.run(entry.id, 'result', Math.round(now + result.keepMs), result.sealed)
      return 'replaced'
    }, endings.has(entry.state) ? 'later' : 'now')
  }

  const pageOf = ({ states, service, callerKey, kept, after, limit }: Parameters<HoldStore['list']>[0]): Awaited<ReturnType<HoldStore['list']>> => {
    const before = after === undefined ? Number.MAX_SAFE_INTEGER : Number(after)
    if (!Number.isSafeInteger(before)) throw new Refusal('malformed', 'This page does not exist.')
    const where = ['seq < ?', ...(states ? [`state in (${states.map(() => '?').join()})`] : []), ...(service === undefined ? [] : ['service = ?']), ...(callerKey === undefined ? [] : ['caller_key = ?']), ...(kept ? [isKept] : [])]
    const values = [before, ...(states ?? []), ...(service === undefined ? [] : [service]), ...(callerKey === undefined ? [] : [callerKey])]
    const rows = database.prepare(`${whole} where ${where.join(' and ')} order by seq desc limit ?`).all(...values, Math.max(1, Math.min(limit, 1_000))) as unknown as WholeRow[]
    const last = rows.at(-1)
    return { entries: rows.map(entryOf), ...(last !== undefined && rows.length >= limit ? { next: String(last.seq) } : {}) }
  }

  /** Whoever goes through page after page lets others in between. */
  const list: HoldStore['list'] = async (query) => {
    const page = await read(() => pageOf(query))
    await turn()
    return page
  }

  /** Our own commits wake at once; those of other processes show in `data_version`, looked at only while somebody listens. */
  const changes = async function* (after: string | undefined, signal: AbortSignal): AsyncGenerator<HoldChange> {
    const newest = await read(() => number(sql.lastChange.get()))
    const asked = Number(after)
    let cursor = after === undefined || !Number.isSafeInteger(asked) || asked > newest ? newest : asked
    const ended = AbortSignal.any([signal, closing.signal])
    let version = -1
    while (!ended.aborted) {
      const rows = await read(() => sql.changesAfter.all(cursor) as unknown as { seq: number; id: string; state: HoldState }[])
      for (const row of rows) {
        if (ended.aborted) return
        cursor = row.seq
        yield { cursor: String(row.seq), id: row.id, state: row.state }
      }
      if (rows.length === 0) version = await nextChange(version, ended)
    }
  }

  const nextChange = (version: number, ended: AbortSignal): Promise<number> =>
    new Promise((resolve) => {
      const look = (): void => {
        const seen = closing.signal.aborted ? version : (sql.version.get() as { data_version: number }).data_version
        if (seen !== version || ended.aborted) wake(seen)
      }
      const wake = (seen = version): void => {
        clearInterval(poll)
        wakeups.delete(local)
        ended.removeEventListener('abort', local)
        resolve(seen)
      }
      const local = (): void => wake()
      const poll = setInterval(look, pollMs)
      wakeups.add(local)
      ended.addEventListener('abort', local, { once: true })
      look()
    })

  return {
    now: () => read(clock),
    open,
    find: (openKey) => read(() => { const row = one(sql.byKey, openKey); return row && entryOf(row) }),
    read: (id) => read(() => { const row = one(sql.byId, id); return row && entryOf(row) }),
    latest: (ids) => read(() => {
      const found = new Map((sql.latest.all(JSON.stringify(ids)) as unknown as Row[]).map((row) => [row.id, revisionOf(row)]))
      return ids.map((id) => found.get(id))
    }),
    revisions: (ids) => read(() => {
      const found = new Map((sql.revisions.all(JSON.stringify(ids)) as unknown as Row[]).map((row) => [row.id, row.revision]))
      return ids.map((id) => found.get(id))
    }),
    replace,
    list,
    due: (limit) => read(() => (sql.due.all(clock(), limit) as unknown as WholeRow[]).map(entryOf)),
    changes,
    async putAttachment(id, name, sealed, keepMs) {
      boundedAttachment(sealed)
      await write((now) => { sql.attach.run(id, name, Math.round(now + keepMs), sealed) })
    },
    getAttachment: (id, name) => read(() => (sql.attachment.get(id, name, clock()) as { sealed: Uint8Array } | undefined)?.sealed),
    takeAttachment: (id, name) => write((now) => {
      const taken = sql.takeAway.get(id, name) as { keep_until: number; sealed: Uint8Array } | undefined
      return taken !== undefined && taken.keep_until > now ? taken.sealed : undefined
    }),
    dropAttachment: (id, name) => write(() => { sql.detach.run(id, name) }),
    beat: (replica, { arrived, left, fresh }) => write((now) => {
      sql.beat.run(replica, now)
      if (fresh) sql.forget.run(replica)
      for (const id of left) sql.leave.run(replica, id)
      for (const id of arrived) sql.arrive.run(replica, id)
    }),
    attended: (ids, aliveMs) => read(() => new Set((sql.attended.all(clock() - aliveMs, JSON.stringify(ids)) as unknown as Row[]).map(({ id }) => id))),
    replicas: () => read(() => new Map((sql.replicas.all(clock() - replicaKeptMs) as unknown as { name: string; seen_at: number }[]).map((row) => [row.name, row.seen_at]))),
    grants: makeGrants(database, { read, write, clock }),
    lease: (name, replica, forMs) => write((now) => sql.lease.run(name, replica, Math.round(now + forMs), now).changes > 0),
    check: () => write(() => {}),
    async [Symbol.asyncDispose]() {
      if (closing.signal.aborted) return
      await commits.close()
      closing.abort()
      await log.close()
      database.close()
    },
  }
}
