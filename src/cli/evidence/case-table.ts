import { rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { text, type RecordData } from '../../audit/record-data.ts'
import { absorb, emptyRow, learn, type CaseRow } from './case-row.ts'

/** Of so many cases the latest are at hand; the others wait in a file. */
const mostAtHand = 10_000

/** All cases of a period, gathered from records in any order, in bounded memory. The file goes with it. */
export class CaseTable implements Disposable {
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #sql: Readonly<Record<'get' | 'put' | 'drop' | 'alias' | 'aliasOf', ReturnType<DatabaseSync['prepare']>>>
  readonly #rows = new Map<string, CaseRow>()
  /** Which hold a try belongs to. */
  readonly #aliases = new Map<string, string>()

  constructor(path: string) {
    rmSync(path, { force: true })
    this.#path = path
    this.#database = new DatabaseSync(path)
    this.#database.exec('pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -65536; create table cases (name text, first integer, row text); create unique index cases_by_name on cases (name); create table aliases (attempt text primary key, hold text) without rowid; begin')
    this.#sql = {
      get: this.#database.prepare('select row from cases where name = ?'),
      put: this.#database.prepare('insert or replace into cases (name, first, row) values (?, ?, ?)'),
      drop: this.#database.prepare('delete from cases where name = ?'),
      alias: this.#database.prepare('insert or replace into aliases (attempt, hold) values (?, ?)'),
      aliasOf: this.#database.prepare('select hold from aliases where attempt = ?'),
    }
  }

  /** Of a record that belongs to no action nothing is kept. */
  take(record: RecordData, at: number): void {
    const [hold, attempt] = [text(record['hold']), text(record['attempt'])]
    if (hold !== undefined && attempt !== undefined) this.#join(attempt, hold)
    const name = hold ?? (attempt === undefined ? undefined : (this.#holdOf(attempt) ?? attempt))
    if (name !== undefined) learn(this.#row(name), record, at)
  }

  #holdOf(attempt: string): string | undefined {
    return this.#aliases.get(attempt) ?? (this.#sql.aliasOf.get(attempt) as { hold: string } | undefined)?.hold
  }

  #join(attempt: string, hold: string): void {
    if (this.#holdOf(attempt) !== undefined) return
    this.#aliases.set(attempt, hold)
    this.#sql.alias.run(attempt, hold)
    if (this.#aliases.size > mostAtHand) this.#aliases.clear()
    const own = this.#known(attempt)
    if (own === undefined) return
    absorb(this.#row(hold), own)
    this.#rows.delete(attempt)
    this.#sql.drop.run(attempt)
  }

  #known(name: string): CaseRow | undefined {
    const kept = this.#rows.get(name)
    if (kept !== undefined) return kept
    const found = this.#sql.get.get(name) as { row: string } | undefined
    return found && (JSON.parse(found.row) as CaseRow)
  }

  #row(name: string): CaseRow {
    const row = this.#known(name) ?? emptyRow(name)
    this.#rows.delete(name)
    this.#rows.set(name, row)
    if (this.#rows.size > mostAtHand) {
      const [oldest] = this.#rows.values()
      if (oldest !== undefined) this.#store(oldest)
    }
    return row
  }

  #store(row: CaseRow): void {
    this.#sql.put.run(row.name, row.first, JSON.stringify(row))
    this.#rows.delete(row.name)
  }

  /** The oldest first. Nothing is taken after it. */
  *rows(): Generator<CaseRow> {
    for (const row of this.#rows.values()) this.#store(row)
    this.#database.exec('create index cases_by_time on cases (first, name)')
    for (const { row } of this.#database.prepare('select row from cases order by first, name').iterate()) yield JSON.parse(String(row)) as CaseRow
  }

  [Symbol.dispose](): void {
    this.#database.close()
    rmSync(this.#path, { force: true })
  }
}
