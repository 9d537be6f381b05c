import type { PasskeyEntry, PasskeyStore } from '../../identity/passkey-store.ts'
import { openRecordFile, type EmbeddedOptions } from './record-file.ts'

const schema = `
  create table if not exists passkeys (name text primary key, owner text not null, revision integer not null, sealed text not null) strict, without rowid;
  create index if not exists passkeys_by_owner on passkeys (owner);
`

/** Passkeys in a SQLite file beside that of the holds. */
export const openEmbeddedPasskeyStore = (options: EmbeddedOptions): PasskeyStore => {
  const file = openRecordFile(`${options.path}-passkeys`, schema, 'passkeys', {})
  const { database, step, write } = file
  const sql = {
    count: database.prepare('select count(*) as n from passkeys where owner = ?'),
    add: database.prepare('insert into passkeys (name, owner, revision, sealed) values (?, ?, ?, ?)'),
    find: database.prepare('select name, owner, revision, sealed from passkeys where name = ?'),
    list: database.prepare('select name, owner, revision, sealed from passkeys where owner = ? order by name'),
    replace: database.prepare('update passkeys set revision = ?, sealed = ? where name = ? and owner = ? and revision = ?'),
    remove: database.prepare('delete from passkeys where name = ? and owner = ?'),
  }
  const entry = (row: object | undefined): PasskeyEntry | undefined => row && { ...(row as PasskeyEntry) }

  return {
    add: ({ name, owner, revision, sealed }, perOwner) =>
      write(() => {
        if (sql.find.get(name) !== undefined) return 'known'
        if ((sql.count.get(owner) as { readonly n: number }).n >= perOwner) return 'full'
        sql.add.run(name, owner, revision, sealed)
        return 'added'
      }),
    find: (name) => step(() => entry(sql.find.get(name))),
    list: (owner) => step(() => sql.list.all(owner).map((row) => ({ ...(row as unknown as PasskeyEntry) }))),
    replace: ({ name, owner, revision, sealed }) =>
      write(() => {
        if (Number(sql.replace.run(revision, sealed, name, owner, revision - 1).changes) > 0) return 'replaced'
        return entry(sql.find.get(name))?.owner === owner ? 'conflict' : 'missing'
      }),
    remove: (name, owner) => write(() => Number(sql.remove.run(name, owner).changes) > 0),
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  }
}
