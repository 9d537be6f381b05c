import { hash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync, unlinkSync } from 'node:fs'
import type { AuditEvent } from '../model/audit-event.ts'
import type { Vote } from '../model/hold.ts'
import { Refusal } from '../model/refusal.ts'
import { realDisk, replaceFile, syncDirectory } from './disk.ts'
import { freeText } from './free-text.ts'
import type { Journal } from './journal.ts'
import { part, text, type RecordData } from './record-data.ts'

/*
 * What people write of their own accord, beside the log: {directory}/{replica}/aside/{SHA-256 of salt and text}.
 * The record has that hash in the place of the text, so the log proves what was written for as long as the file is there,
 * and says nothing about it once it is gone: the salt is gone with it.
 */

const folderOf = (directory: string, replica: string): string => `${directory}/${replica}/aside`
const reference = /^aside:sha256:([0-9a-f]{64})$/
const hashOf = (salt: Buffer, words: string): string => hash('sha256', Buffer.concat([salt, Buffer.from(words)]))

/** On the disk when it returns. Answers what stands in the record in the place of the text. */
export type KeepAside = (words: string) => string

export const openAside = (directory: string, replica: string): KeepAside => {
  const folder = folderOf(directory, replica)
  realDisk.makeDirectory(folder)
  return (words) => {
    const kept = freeText(words)
    const salt = randomBytes(32)
    const name = hashOf(salt, kept)
    replaceFile(realDisk, folder, name, JSON.stringify({ salt: salt.toString('base64'), text: kept }))
    return `aside:sha256:${name}`
  }
}

const voteApart = (vote: Vote, keep: KeepAside): Vote => (vote.reason === undefined ? vote : { ...vote, reason: keep(vote.reason) })
const withoutReason = ({ reason: _reason, ...vote }: Vote): Vote => vote

/** Reasons and notes of people. Where votes are counted again, their reasons are not said again. */
const apart = (event: AuditEvent, keep: KeepAside): AuditEvent => {
  switch (event.type) {
    case 'voted':
    case 'broke-glass':
      return { ...event, vote: voteApart(event.vote, keep) }
    case 'released':
    case 'grant-made':
    case 'grant-used':
      return { ...event, votes: event.votes.map(withoutReason) }
    case 'handed-over':
      return event.note === undefined ? event : { ...event, note: keep(event.note) }
    case 'break-glass-reviewed':
      return { ...event, note: keep(event.note) }
    default:
      return event
  }
}

/** The journal, into which people's words go as references. */
export const withTextsAside = <J extends Journal>(journal: J, keep: KeepAside): J => ({
  ...journal,
  async append(event, durability) {
    let record: AuditEvent
    try {
      record = apart(event, keep)
    } catch (cause) {
      throw new Refusal('journal-unavailable', 'The audit journal cannot be written, so nothing runs.', { cause })
    }
    await journal.append(record, durability)
  },
})

export interface AsideText {
  readonly field: 'reason' | 'note'
  readonly path: string
  /** `undefined`: erased, or not what the record is of. */
  readonly text: string | undefined
}

/** What a record refers to, in that directory. */
export const asideOf = (record: RecordData, directory: string): readonly AsideText[] => {
  const [replica = ''] = (text(record['id']) ?? '').split('/')
  const found = [['reason', part(record['vote'])['reason']], ['note', record['note']]] as const
  return found.flatMap(([field, value]) => {
    const name = typeof value === 'string' ? reference.exec(value)?.[1] : undefined
    if (name === undefined || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(replica)) return []
    const path = `${folderOf(directory, replica)}/${name}`
    return [{ field, path, text: existsSync(path) ? textIn(path, name) : undefined }]
  })
}

const textIn = (path: string, name: string): string | undefined => {
  try {
    const { salt, text: words } = JSON.parse(readFileSync(path, 'utf8')) as { readonly salt: string; readonly text: string }
    return hashOf(Buffer.from(salt, 'base64'), words) === name ? words : undefined
  } catch {
    return undefined
  }
}

/** Salt and text are gone when it returns, as far as the file system keeps its word. */
export const eraseAside = ({ path }: AsideText): void => {
  unlinkSync(path)
  syncDirectory(realDisk, path.slice(0, path.lastIndexOf('/')))
}
