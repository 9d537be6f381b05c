import { userInfo } from 'node:os'
import { openJournal } from '../audit/file-journal.ts'
import { parseLine } from '../audit/line.ts'
import type { RecordData } from '../audit/record-data.ts'
import { linesOf, listSegments } from '../audit/segment.ts'
import { asideOf, eraseAside } from '../audit/texts-aside.ts'
import { DirectoryTaken } from '../audit/writer-lock.ts'
import { logSigner } from '../config/deployment-keys.ts'
import { keyedConfig } from './verification-places.ts'
import { walsOf } from './audit-places.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { exit, Failure, type Io } from './io.ts'

const options = {
  why: { type: 'string', value: 'TEXT', help: 'for whom and why, for the record; without a personal detail' },
  field: { type: 'string', value: 'NAME', help: 'only this: reason or note', choices: ['reason', 'note'] },
  config: { type: 'string', short: 'c', value: 'FILE', help: 'the configuration, for the place and the key that signs what was erased (COUNTERSIGN_CONFIG, or countersign.yaml here)' },
} as const satisfies Options

/** Erasures are a log of their own: that of the replica belongs to the process that runs. */
const replica = 'erasures'

const recordOf = (id: string, directory: string, io: Io): RecordData => {
  for (const wal of walsOf(directory, io)) {
    if (wal.split('/').at(-2) !== id.split('/', 1)[0]) continue
    for (const { name } of listSegments(wal)) for (const { text, whole } of linesOf(`${wal}/${name}`)) {
      const record = whole && text.includes(`"id":"${id}"`) ? parseLine(text) : undefined
      if (record?.id === id) return record
    }
  }
  throw new Failure('there is no such record here; a record is called by its id: REPLICA/EPOCH/SEQ')
}

const erase = async (args: readonly string[], io: Io): Promise<number> => {
  const { values, positionals } = parseOptions(args, options, { min: 1, max: 1 })
  const [id = ''] = positionals
  const { why: cause } = values
  if (cause === undefined || cause.trim() === '') throw new Failure('say for whom and why it is erased: --why TEXT', exit.usage)
  const config = await keyedConfig(values.config, io)
  const texts = asideOf(recordOf(id, config.journal.directory, io), config.journal.directory).filter(({ field }) => values.field === undefined || field === values.field)
  const there = texts.filter(({ text }) => text !== undefined)
  if (texts.length === 0) throw new Failure('nothing of this record is kept beside the log: what stands in a record itself cannot be erased (audit.texts)')
  if (there.length === 0) throw new Failure('it is erased already, or what is kept is not what the record is of')
  const fields = there.map(({ field }) => field)
  const journal = await openJournal({ ...config.journal, replica }, { now: Date.now, signer: logSigner(config) }).catch((error: unknown) => {
    throw error instanceof DirectoryTaken ? new Failure('somebody else is erasing; try again') : error
  })
  let recorded = ''
  try {
    await journal.append({ type: 'erased', record: id, fields, by: { issuer: 'local', subject: userInfo().username }, cause }, 'synced') // on record first
    recorded = journal.last()
    for (const one of there) eraseAside(one)
  } finally {
    await journal[Symbol.asyncDispose]()
  }
  io.stdout.write(`erased: ${fields.join(' and ')} of ${id}. On record as ${recorded}.\n`)
  io.stderr.write('The log, the index and the sinks never had the text. Not reached: the hold, until the store forgets it; messages in chats and webhooks; backups.\n')
  return exit.ok
}

export const auditEraseCommand: Command = {
  path: ['audit', 'erase'],
  summary: 'Make what people wrote in one record unreadable for ever',
  usage: 'RECORD-ID --why TEXT [--field reason|note] [--config FILE]',
  details: 'Only where reasons and notes are kept beside the log (audit.texts: aside). The text goes with its salt; the record keeps the hash, so the log verifies as before. That it was erased, by whom and why, is a signed record of the log called erasures.',
  options,
  examples: ['countersign audit erase proxy-0/12/4711 --why "request 2026-17 of the person"'],
  run: erase,
}
