import type { ClientBase } from 'pg'
import { outcomes } from '../../../audit/lineage/deed.ts'

/** Grows with every change of what is kept or how it is found. */
export const version = 1

/**
 * positions  how far the log of each replica has been read
 * records    every record: the line itself, because other replicas cannot read our disk, and what it is found by
 * signed     the signed checkpoints; proofs end in them
 * subtrees   roots over 256 records each, for proofs
 * nodes, traces  lineage, one row for deeds that are the same but for their values, of one replica and hour
 */
const tables = (schema: string): string => `
  create table ${schema}.meta (version integer not null);
  create table ${schema}.positions (replica text primary key, segment text not null, at bigint not null, bytes bigint not null, of_bytes bigint not null, records bigint not null, unreadable bigint not null, until text not null);
  create table ${schema}.records (key bigint primary key, id text not null unique, replica text not null, epoch bigint not null, seq bigint not null, hold text, attempt text, code text, traced boolean not null, line text not null, words tsvector not null);
  create unique index records_by_place on ${schema}.records (replica, epoch, seq);
  create index records_by_hold on ${schema}.records (hold) where hold is not null;
  create index records_by_attempt on ${schema}.records (attempt) where attempt is not null;
  create index records_by_code on ${schema}.records (code) where code is not null;
  create index records_by_words on ${schema}.records using gin (words);
  create table ${schema}.signed (replica text not null, epoch bigint not null, seq bigint not null, id text not null, line text not null, primary key (replica, epoch, seq));
  create table ${schema}.subtrees (replica text not null, epoch bigint not null, place bigint not null, hash bytea not null, primary key (replica, epoch, place));
  create table ${schema}.nodes (id text primary key, kind text not null, name text not null, at text not null, words tsvector not null);
  create index nodes_by_words on ${schema}.nodes using gin (words);
  create table ${schema}.traces (replica text not null, hour bigint not null, key text not null, deed text not null, says text not null, nodes text[] not null, words tsvector not null, first_at bigint not null, first_id text not null, last_at bigint not null, last_id text not null, ${outcomes.map((name) => `${name} bigint not null`).join(', ')}, primary key (replica, hour, key));
  create index traces_by_time on ${schema}.traces (last_at);
  create index traces_by_nodes on ${schema}.traces using gin (nodes);
  create index traces_by_words on ${schema}.traces using gin (words);
  insert into ${schema}.meta (version) values (${version});
`

/** One writer at a time, of all replicas: keys are given out in order, and what is known of an action is not changed by two at once. */
const lock = 0x636f756e

export const locked = `select pg_advisory_xact_lock(${lock})`

const newer = (): Error => new Error('the audit index in the database was made by a newer version; the replicas of that version keep it')

/** Throws where somebody has made it anew, for another version, since it was looked at. */
export const checkVersion = async (client: ClientBase, schema: string): Promise<void> => {
  if ((await client.query<{ version: number }>(`select version from ${schema}.meta`)).rows[0]?.version !== version) throw newer()
}

/** Makes what is not there, and makes anew what is of another version: the replicas fill it again from their logs. */
export const migrate = async (client: ClientBase, schema: string): Promise<void> => {
  await client.query('begin')
  try {
    await client.query(locked)
    const { rows: [encoding] } = await client.query<{ server_encoding: string }>('show server_encoding')
    if (encoding?.server_encoding !== 'UTF8') throw new Error('the database of the audit index is not of the encoding UTF8')
    const { rows: [there] } = await client.query<{ schema: string | null; meta: string | null }>('select to_regnamespace($1)::text as schema, to_regclass($2)::text as meta', [schema, `${schema}.meta`])
    // Whoever owns a schema may fill it without the right to make one.
    if (there?.schema === null) await client.query(`create schema ${schema}`)
    const known = there?.meta === null ? undefined : (await client.query<{ version: number }>(`select version from ${schema}.meta`)).rows[0]?.version
    if (known !== undefined && known > version) throw newer()
    if (known !== version) {
      for (const table of ['meta', 'positions', 'records', 'signed', 'subtrees', 'nodes', 'traces']) await client.query(`drop table if exists ${schema}.${table}`)
      await client.query(tables(schema))
    }
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  }
}
