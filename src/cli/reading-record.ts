import { hostname, userInfo } from 'node:os'
import { openJournal } from '../audit/file-journal.ts'
import { DirectoryTaken } from '../audit/writer-lock.ts'
import type { Config } from '../config/config.ts'
import { logSigner } from '../config/deployment-keys.ts'
import type { AuditEvent } from '../model/audit-event.ts'
import { Failure } from './io.ts'

/** Its own log beside those of the replicas: who took something out of the files, and what. */
const recorder = 'evidence'

type WithoutReader<E> = E extends unknown ? Omit<E, 'by'> : never
export type Reading = WithoutReader<Extract<AuditEvent, { type: 'audit-read' | 'audit-exported' }>>

/** Resolves with the id of the record when it is signed and on disk. Nobody can check who it is that reads the files: it is the account of this machine. */
export const recordReading = async (config: Config, directory: string, reading: Reading): Promise<string> => {
  const by = { issuer: `host:${hostname()}`, subject: userInfo().username, kind: 'human', groups: undefined } as const
  try {
    await using journal = await openJournal({ ...config.journal, directory, replica: recorder }, { now: Date.now, signer: logSigner(config) })
    await journal.append({ ...reading, by }, 'synced')
    return `${recorder}/${journal.epoch}/0`
  } catch (error) {
    if (error instanceof DirectoryTaken) throw new Failure('somebody else takes something out of this log at this moment; try again when it is done')
    throw error
  }
}
