import type { DatabaseSync } from 'node:sqlite'

/** A hold with all that is kept of it. */
export const whole = 'select holds.*, (select asked from asked where asked.seq = holds.seq) as asked from holds'

/** What the store says to its file, prepared once. */
export const prepareStatements = (database: DatabaseSync) => ({
  byId: database.prepare(`${whole} where id = ?`),
  byKey: database.prepare(`${whole} where id = (select id from open_keys where open_key = ?)`),
  head: database.prepare('select revision from holds where id = ?'),
  latest: database.prepare('select * from holds where id in (select value from json_each(?))'),
  openCount: database.prepare('select n from open_counts where kind = ? and name = ?'),
  overdueOfCaller: database.prepare("select count(*) as n from holds indexed by holds_by_due where due_at < ? and caller_key = ? and state in ('pending', 'approved')"),
  overdueOfService: database.prepare("select count(*) as n from holds indexed by holds_by_due where due_at < ? and service = ? and state in ('pending', 'approved')"),
  insert: database.prepare('insert into holds (id, revision, state, open_key, caller_key, service, due_at, sealed) values (?, ?, ?, ?, ?, ?, ?, ?)'),
  ask: database.prepare('insert or replace into asked (seq, asked) values (?, ?)'),
  point: database.prepare('insert into open_keys (open_key, id) values (?, ?) on conflict (open_key) do update set id = excluded.id'),
  unpoint: database.prepare('delete from open_keys where (open_key, id) = (select open_key, id from holds where id = ? and revision = ?)'),
  update: database.prepare('update holds set revision = ?, state = ?, open_key = ?, due_at = ?, keep_until = ?, sealed = ? where id = ? and revision = ?'),
  changesAfter: database.prepare('select seq, id, state from changes where seq > ? order by seq limit 500'),
  lastChange: database.prepare('select coalesce(max(seq), 0) as n from changes'),
  due: database.prepare(`${whole} where due_at < ? order by due_at limit ?`),
  attach: database.prepare('insert into attachments (id, name, keep_until, sealed) values (?, ?, ?, ?) on conflict (id, name) do update set keep_until = excluded.keep_until, sealed = excluded.sealed'),
  attachment: database.prepare('select sealed from attachments where id = ? and name = ? and keep_until > ?'),
  takeAway: database.prepare('delete from attachments where id = ? and name = ? returning keep_until, sealed'),
  detach: database.prepare('delete from attachments where id = ? and name = ?'),
  beat: database.prepare('insert into replicas (name, seen_at) values (?, ?) on conflict (name) do update set seen_at = excluded.seen_at'),
  forget: database.prepare('delete from present where replica = ?'),
  arrive: database.prepare('insert or ignore into present (replica, id) values (?, ?)'),
  leave: database.prepare('delete from present where replica = ? and id = ?'),
  replicas: database.prepare('select name, seen_at from replicas where seen_at > ?'),
  attended: database.prepare('select distinct present.id from present join replicas on replicas.name = present.replica where replicas.seen_at >= ? and present.id in (select value from json_each(?))'),
  lease: database.prepare('insert into leases (name, replica, until) values (?, ?, ?) on conflict (name) do update set replica = excluded.replica, until = excluded.until where leases.replica = excluded.replica or leases.until <= ?'),
  revisions: database.prepare('select id, revision from holds where id in (select value from json_each(?))'),
  version: database.prepare('pragma data_version'),
  sweep: [
    database.prepare('delete from asked where seq in (select seq from holds where keep_until < ? order by keep_until limit 200)'),
    database.prepare('delete from holds where seq in (select seq from holds where keep_until < ? order by keep_until limit 200)'),
    database.prepare('delete from attachments where (id, name) in (select id, name from attachments where keep_until < ? limit 50)'),
  ],
  trim: database.prepare('delete from changes where seq < (select max(seq) from changes) - ?'),
  forgetReplicas: database.prepare('delete from replicas where seen_at < ?'),
})
