import { existsSync, readdirSync } from 'node:fs'
import { exit, Failure, type Io } from './io.ts'

/** The folders with the journals of the replicas in that directory. */
export const walsOf = (given: string | undefined, io: Pick<Io, 'env'>): readonly string[] => {
  const directory = given ?? io.env['COUNTERSIGN_AUDIT_DIRECTORY']
  if (directory === undefined || directory === '') throw new Failure('say where the journal lives: --directory DIR', exit.usage)
  if (!existsSync(directory)) throw new Failure(`there is no ${directory}`)
  const wals = readdirSync(directory).sort().map((replica) => `${directory}/${replica}/wal`).filter((wal) => existsSync(wal))
  if (wals.length === 0) throw new Failure(`no journal in ${directory}`)
  return wals
}
