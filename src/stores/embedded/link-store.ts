import { hash } from 'node:crypto'
import type { LinkEntry, LinkStore } from '../../identity/link-store.ts'
import { openRecordFile, type EmbeddedOptions } from './record-file.ts'

/**
 * links   one row for each account of a chat that is linked; both names are unique
 * people  what was last known of somebody
 * said    names that came once
 */
const schema = `
  create table if not exists links (account text primary key, person text not null unique, until integer not null, sealed text not null) strict, without rowid;
  create index if not exists links_by_until on links (until);
  create table if not exists people (name text primary key, until integer not null, sealed text not null) strict, without rowid;
  create index if not exists people_by_until on people (until);
  create table if not exists said (name text primary key, until integer not null) strict, without rowid;
  create index if not exists said_by_until on said (until);
`

/** Links in a SQLite file beside that of the holds. `clockSkewMs` moves the store's clock and is for tests. */
export const openEmbeddedLinkStore = (options: EmbeddedOptions, test: { readonly clockSkewMs?: () => number } = {}): LinkStore => {
  const file = openRecordFile(`${options.path}-links`, schema, 'links', test)
  const { database, now, step, write } = file
  const sql = {
    free: database.prepare('delete from links where (account = ? or person = ?) and until <= ?'),
    link: database.prepare('insert into links (account, person, until, sealed) values (?, ?, ?, ?) on conflict (account) do update set until = excluded.until, sealed = excluded.sealed where person = excluded.person on conflict (person) do nothing'),
    byAccount: database.prepare('select account, person, sealed from links where account = ? and until > ?'),
    byPerson: database.prepare('select account, person, sealed from links where person = ? and until > ?'),
    unlink: database.prepare('delete from links where account = ? and person = ? and until > ?'),
    know: database.prepare('insert into people (name, until, sealed) values (?, ?, ?) on conflict (name) do update set until = excluded.until, sealed = excluded.sealed'),
    known: database.prepare('select sealed from people where name = ? and until > ?'),
    forget: database.prepare('delete from people where name = ?'),
    say: database.prepare('insert into said (name, until) values (?, ?) on conflict (name) do update set until = excluded.until where until <= ?'),
  }
  file.sweepWith(
    'delete from links where account in (select account from links where until <= ? limit 200)',
    'delete from people where name in (select name from people where until <= ? limit 200)',
    'delete from said where name in (select name from said where until <= ? limit 200)',
  )
  const entry = (row: object | undefined): LinkEntry | undefined => row && { ...(row as LinkEntry) }

  return {
    link: ({ account, person, sealed }, keepMs) =>
      write((at) => {
        sql.free.run(account, person, at)
        return Number(sql.link.run(account, person, Math.round(at + keepMs), sealed).changes) > 0 ? 'linked' : 'taken'
      }),
    byAccount: (account) => step(() => entry(sql.byAccount.get(account, now()))),
    byPerson: (person) => step(() => entry(sql.byPerson.get(person, now()))),
    unlink: ({ account, person }) => write((at) => Number(sql.unlink.run(account, person, at).changes) > 0),
    know: (name, sealed, keepMs) => write((at) => void sql.know.run(name, Math.round(at + keepMs), sealed)),
    known: (name) => step(() => (sql.known.get(name, now()) as { readonly sealed: string } | undefined)?.sealed),
    forget: (name) => write(() => void sql.forget.run(name)),
    first: (name, keepMs) => write((at) => Number(sql.say.run(hash('sha256', name), Math.round(at + keepMs), at).changes) > 0),
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  }
}
