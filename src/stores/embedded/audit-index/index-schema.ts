import { chownSync, closeSync, openSync, rmSync, statSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { dirname } from 'node:path'
import { outcomes } from '../../../audit/lineage/deed.ts'
import { searchFields } from '../../../audit/search/fields.ts'
import { openDatabase } from '../database-file.ts'

/** Grows with every change of what is kept or how it is found: an index of another version is thrown away and made anew. */
const version = 4

export const columns = [...searchFields.map((name) => `f_${name}`), 'words'] as const

/**
 * segments  one row a file of the log: how far it has been read in bytes
 * entries   where each record is; `key` is its time, so that the newest come first
 * signed    where the signed checkpoints are; they are no answer to a question, and what proofs end in
 * subtrees  the hashes of whole subtrees of each log, of 256 leaves (level 1) and 256 of those (level 2): a proof needs no more than a few of them
 * found     the words, without the texts
 *
 * nodes     accounts, sessions, actions and data of the map, by name; `named` has their words
 * sets      what is touched together, and who stands behind whom: `members` of each
 * traces    deeds that are the same but for their values, of one hour and one file, counted; says: who voted on them
 */
const tables = `
  create table if not exists segments (n integer primary key, replica text not null, epoch integer not null, name text not null, read integer not null, records integer not null, unreadable integer not null, until text not null, unique (replica, name)) strict;
  create table if not exists entries (key integer primary key, segment integer not null, seq integer not null, at integer not null, length integer not null) strict;
  create unique index if not exists entries_by_place on entries (segment, seq);
  create table if not exists signed (segment integer not null, seq integer not null, at integer not null, length integer not null, primary key (segment, seq)) strict, without rowid;
  create table if not exists subtrees (replica text not null, epoch integer not null, level integer not null, place integer not null, hash blob not null, primary key (replica, epoch, level, place)) strict, without rowid;
  create virtual table if not exists found using fts5(${columns.join(', ')}, content = '', contentless_delete = 1, detail = full, tokenize = "ascii tokenchars '_'");
  create table if not exists nodes (n integer primary key, id text not null unique, kind text not null, name text not null, at text not null) strict;
  create virtual table if not exists named using fts5(words, content = '', contentless_delete = 1, detail = full, tokenize = "ascii tokenchars '_'");
  create table if not exists sets (n integer primary key, key text not null unique) strict;
  create table if not exists members (part integer not null, place integer not null, node integer not null, access text not null, confidence text not null, columns text not null, primary key (part, place)) strict, without rowid;
  create index if not exists members_by_node on members (node, part);
  create table if not exists traces (n integer primary key, segment integer not null, hour integer not null, who integer not null, chain integer not null, session integer not null, action integer not null, data integer not null, voters integer not null, first integer not null, last integer not null, ${outcomes.map((name) => `${name} integer not null`).join(', ')}, unique (who, hour, segment, chain, session, action, data, voters)) strict;
  create index if not exists traces_by_last on traces (last);
  create index if not exists traces_by_chain on traces (chain, hour);
  create index if not exists traces_by_session on traces (session, hour);
  create index if not exists traces_by_data on traces (data, hour);
  create index if not exists traces_by_voters on traces (voters, hour) where voters <> 0;
  create table if not exists says (trace integer not null, node integer not null, say text not null, count integer not null, last integer not null, primary key (trace, node, say)) strict, without rowid;
`
const names = ['segments', 'entries', 'signed', 'subtrees', 'found', 'nodes', 'named', 'sets', 'members', 'traces', 'says']

export const emptied = `${names.map((name) => `drop table if exists ${name};`).join(' ')} ${tables}`

const versionOf = (database: DatabaseSync): number => (database.prepare('pragma user_version').get() as { user_version: number }).user_version

/** Everything in it can be read from the log again, so what does not open or is of another version is replaced. */
export const openIndexFile = (path: string): DatabaseSync => {
  makeTheirs(path)
  try {
    return opened(path)
  } catch (error) {
    if (!isDamage(error)) throw error
    removeIndexFile(path)
    makeTheirs(path)
    return opened(path)
  }
}

/** Root, who looks at the log of a server, leaves an index that the server can write: it belongs to whom its folder belongs to. */
const makeTheirs = (path: string): void => {
  if (process.getuid?.() !== 0) return
  const folder = statSync(dirname(path), { throwIfNoEntry: false })
  if (folder === undefined || folder.uid === 0) return
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch {
    return // it is there already, or cannot be made: opening it says so
  }
  chownSync(path, folder.uid, folder.gid)
}

const opened = (path: string): DatabaseSync => {
  const database = openDatabase(path, 'select 1')
  try {
    if (versionOf(database) !== version) makeAnew(database)
    else database.exec(tables)
    database.exec('pragma wal_autocheckpoint = 4000')
    database.exec('pragma cache_size = -16000')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** In one step, so that others who have it open go on with the new one. */
export const makeAnew = (database: DatabaseSync): void => {
  database.exec('pragma busy_timeout = 10000')
  database.exec('begin immediate')
  try {
    database.exec(emptied)
    database.exec(`pragma user_version = ${version}`)
    database.exec('commit')
  } catch (error) {
    database.exec('rollback')
    throw error
  } finally {
    database.exec('pragma busy_timeout = 0')
  }
}

export const removeIndexFile = (path: string): void => {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
}

const codeOf = (error: unknown): number => Number((error as { errcode?: unknown }).errcode ?? 0) & 0xff

/** The file is no database, or not a whole one. */
export const isDamage = (error: unknown): boolean => codeOf(error) === 11 || codeOf(error) === 26
/** Somebody else writes. */
export const isTaken = (error: unknown): boolean => codeOf(error) === 5
