import type { AuditSearch, FoundRecord, RecordProof } from '../../../audit/search/audit-search.ts'
import { parseLine } from '../../../audit/line.ts'
import { inclusionPath } from '../../../audit/merkle-proof.ts'
import { proofOfPath } from '../../../audit/proof.ts'
import { Refusal } from '../../../model/refusal.ts'
import { caseOf, findRecord, placeOf, search, stateOf } from './finder.ts'
import { isDamage, makeAnew, openIndexFile, removeIndexFile } from './index-schema.ts'
import { makeIndexer } from './indexer.ts'
import { placesOf, readPlaces } from './log-places.ts'
import { makeSubtrees, MissingRecords } from './subtrees.ts'
import { findNodes, findTraces } from './trace-finder.ts'


/** The port of the audit's search, answered at once: for a thread of its own. */
export type AuditIndex = { readonly [K in keyof AuditSearch]: (...args: Parameters<AuditSearch[K]>) => Awaited<ReturnType<AuditSearch[K]>> } & Disposable & {
  /** Reads on where it ended, for about so long. `true`: there was nothing more. */
  advance(budgetMs: number): boolean
  /** Forgets everything; `advance` begins anew. */
  rebuild(): void
}

/** An index over all logs in the directory, in one file of SQLite. What is damaged of it is made anew. */
export const openAuditIndex = (path: string, directory: string, now: () => number = Date.now): AuditIndex => {
  let open = opened(path, directory, now)

  const guarded = <T>(work: (index: ReturnType<typeof opened>) => T): T => {
    try {
      return work(open)
    } catch (error) {
      if (!isDamage(error)) throw error
      open.database.close()
      removeIndexFile(path)
      open = opened(path, directory, now)
      return work(open)
    }
  }

  return {
    advance: (budgetMs) => guarded(({ indexer }) => indexer.advance(budgetMs)),
    rebuild: () =>
      guarded(({ database, indexer }) => {
        makeAnew(database)
        indexer.forget()
      }),
    search: (question, page) => guarded(({ database }) => search(database, directory, question, page)),
    record: (id) => guarded(({ database }) => findRecord(database, directory, id)),
    caseOf: (name) => guarded(({ database }) => caseOf(database, directory, name)),
    prove: (id) => guarded((index) => prove(index, directory, id)),
    traces: (question, limit) => guarded(({ database }) => findTraces(database, question, limit)),
    nodes: (name, limit) => guarded(({ database }) => findNodes(database, name, limit)),
    state: () => guarded(({ database }) => stateOf(database, directory)),
    [Symbol.dispose]: () => open.database.close(),
  }
}

const opened = (path: string, directory: string, now: () => number) => {
  const database = openIndexFile(path)
  return { database, indexer: makeIndexer(database, directory, now), subtrees: makeSubtrees(database, directory) }
}

const prove = ({ database, subtrees }: ReturnType<typeof opened>, directory: string, id: string): RecordProof | 'unsigned' | undefined => {
  const place = placeOf(database, id)
  const record: FoundRecord | undefined = place && readPlaces(directory, [place])[0]
  if (place === undefined || record === undefined) return undefined
  const { replica, epoch, seq } = place
  const [signed] = placesOf(database, 'signed e join segments s on s.n = e.segment where s.replica = ? and s.epoch = ? and e.seq > ? order by e.seq limit 1', replica, epoch, seq)
  const checkpoint = signed && readPlaces(directory, [signed])[0]
  if (signed === undefined || checkpoint === undefined) return 'unsigned'
  try {
    const path = inclusionPath(signed.seq, seq, (from, to) => subtrees.root({ replica, epoch }, from, to))
    return { record, proof: proofOfPath(path, seq, String(parseLine(checkpoint.text)?.['signed'])) }
  } catch (error) {
    if (error instanceof MissingRecords) throw new Refusal('not-found', 'Records of this log are missing or do not read, so nothing can be proved by it. `countersign audit verify` says where.', { cause: error })
    throw error
  }
}
