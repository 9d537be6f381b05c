import type { DatabaseSync } from 'node:sqlite'
import type { GrantEntry, GrantStore } from '../../approval/grant-store.ts'
import { defined } from '../../lib/defined.ts'
import { Refusal } from '../../model/refusal.ts'

/** One row a grant; `seq` is the order in which they were made. */
export const grantSchema = `
  create table if not exists grants (
    seq integer primary key autoincrement,
    id text not null unique,
    revision integer not null,
    use_key text,
    ends_at integer not null,
    keep_until integer not null,
    sealed text not null
  ) strict;
  create index if not exists grants_by_key on grants (use_key, seq) where use_key is not null;
  create index if not exists grants_by_end on grants (keep_until);
`

interface Row {
  readonly seq: number
  readonly id: string
  readonly revision: number
  readonly use_key: string | null
  readonly ends_at: number
  readonly sealed: string
}

export interface GrantAccess {
  read<T>(look: () => T): Promise<T>
  write<T>(step: (now: number) => T): Promise<T>
  readonly clock: () => number
}

const mostFound = 20
const entryOf = (row: Row): GrantEntry => ({ id: row.id, revision: row.revision, until: row.ends_at, sealed: row.sealed, ...defined({ useKey: row.use_key ?? undefined }) })

/** Grants in the file of the holds. */
export const makeGrants = (database: DatabaseSync, { read, write, clock }: GrantAccess): GrantStore => {
  const sql = {
    add: database.prepare('insert or ignore into grants (id, revision, use_key, ends_at, keep_until, sealed) values (?, ?, ?, ?, ?, ?)'),
    byId: database.prepare('select * from grants where id = ?'),
    find: database.prepare('select * from grants where use_key = ? and ends_at >= ? order by seq limit ?'),
    update: database.prepare('update grants set revision = ?, use_key = ?, sealed = ? where id = ?'),
    list: database.prepare('select * from grants where seq < ? order by seq desc limit ?'),
    sweep: database.prepare('delete from grants where seq in (select seq from grants where keep_until < ? order by keep_until limit 50)'),
  }
  const one = (id: string): Row | undefined => sql.byId.get(id) as Row | undefined

  return {
    add: (entry, keepMs) => write((now) => {
      sql.sweep.run(now)
      return Number(sql.add.run(entry.id, entry.revision, entry.useKey ?? null, entry.until, Math.round(entry.until + keepMs), entry.sealed).changes) > 0
    }),
    read: (id) => read(() => { const row = one(id); return row && entryOf(row) }),
    find: (useKey) => read(() => (sql.find.all(useKey, clock(), mostFound) as unknown as Row[]).map(entryOf)),
    replace: (entry, { revision, inTime }) => write((now) => {
      const found = one(entry.id)
      if (found === undefined) return 'missing'
      if (found.revision !== revision || found.ends_at !== entry.until) return 'conflict'
      if (inTime === true && now > found.ends_at) return 'late'
      sql.update.run(entry.revision, entry.useKey ?? null, entry.sealed, entry.id)
      return 'replaced'
    }),
    list: ({ after, limit }) => read(() => {
      const before = after === undefined ? Number.MAX_SAFE_INTEGER : Number(after)
      if (!Number.isSafeInteger(before)) throw new Refusal('malformed', 'This page does not exist.')
      const rows = sql.list.all(before, Math.max(1, Math.min(limit, 1_000))) as unknown as Row[]
      const last = rows.at(-1)
      return { entries: rows.map(entryOf), ...(last !== undefined && rows.length >= limit ? { next: String(last.seq) } : {}) }
    }),
  }
}
