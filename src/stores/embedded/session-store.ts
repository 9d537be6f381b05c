import { hash } from 'node:crypto'
import type { SessionStore } from '../../identity/session-store.ts'
import { openRecordFile, type EmbeddedOptions } from './record-file.ts'

/**
 * sessions  one row a login: until when unless it is used, and until when at most
 * owners    by which logins are ended together; `place` 0 is the account
 * said      names that came once
 */
const schema = `
  create table if not exists sessions (seq integer primary key autoincrement, name text not null unique, idle_until integer not null, ends_at integer not null, sealed text not null) strict;
  create index if not exists sessions_by_idle on sessions (idle_until);
  create table if not exists owners (owner text not null, seq integer not null, place integer not null, primary key (owner, seq)) strict, without rowid;
  create index if not exists owners_by_seq on owners (seq);
  create trigger if not exists session_removed after delete on sessions begin delete from owners where seq = old.seq; end;
  create table if not exists said (name text primary key, until integer not null) strict, without rowid;
  create index if not exists said_by_until on said (until);
`

/** Time is given anew when this part of it is used up, so that not every look is a write. */
const worthRenewing = 0.02

/** Logins in a SQLite file beside that of the holds. `clockSkewMs` moves the store's clock and is for tests. */
export const openEmbeddedSessionStore = (options: EmbeddedOptions, test: { readonly clockSkewMs?: () => number } = {}): SessionStore => {
  const file = openRecordFile(`${options.path}-sessions`, schema, 'logins', test)
  const { database, now, write } = file
  const sql = {
    put: database.prepare('insert into sessions (name, idle_until, ends_at, sealed) values (?, ?, ?, ?)'),
    own: database.prepare('insert or ignore into owners (owner, seq, place) values (?, ?, ?)'),
    crowd: database.prepare('delete from sessions where seq in (select seq from owners where owner = ? and place = 0 order by seq desc limit -1 offset ?)'),
    find: database.prepare('select idle_until, ends_at, sealed from sessions where name = ? and idle_until > ? and ends_at > ?'),
    renew: database.prepare('update sessions set idle_until = ? where name = ?'),
    end: database.prepare('delete from sessions where name = ?'),
    endAll: database.prepare('delete from sessions where seq in (select seq from owners where owner = ?)'),
    say: database.prepare('insert into said (name, until) values (?, ?) on conflict (name) do update set until = excluded.until where until <= ?'),
  }
  file.sweepWith('delete from sessions where seq in (select seq from sessions where idle_until <= ? order by idle_until limit 200)', 'delete from said where name in (select name from said where until <= ? limit 200)')

  return {
    put: (entry, { idleMs, atMostMs, perOwner }) =>
      write((at) => {
        const { lastInsertRowid } = sql.put.run(entry.name, Math.round(at + Math.min(idleMs, atMostMs)), Math.round(at + atMostMs), entry.sealed)
        for (const [place, owner] of entry.owners.entries()) sql.own.run(owner, lastInsertRowid, place)
        sql.crowd.run(entry.owners[0] ?? '', perOwner)
      }),
    async find(name, idleMs) {
      const at = now()
      const row = await file.step(() => sql.find.get(name, at, at) as { readonly idle_until: number; readonly ends_at: number; readonly sealed: string } | undefined)
      if (row === undefined) return undefined
      const until = idleMs === undefined ? 0 : Math.min(Math.round(at + idleMs), row.ends_at)
      if (idleMs !== undefined && until - row.idle_until > idleMs * worthRenewing) await write(() => void sql.renew.run(until, name))
      return row.sealed
    },
    end: (name) => write(() => void sql.end.run(name)),
    endAll: (owner) => write(() => Number(sql.endAll.run(owner).changes)),
    first: (name, keepMs) => write((at) => Number(sql.say.run(hash('sha256', name), Math.round(at + keepMs), at).changes) > 0),
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  }
}
