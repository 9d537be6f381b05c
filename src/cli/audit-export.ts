import { searchFields } from '../audit/search/fields.ts'
import { exportFromFiles } from './audit-export-files.ts'
import { exportFromServer } from './audit-export-server.ts'
import { fieldOptions, questionOf, timeOptions } from './audit-search.ts'
import { serverOptions } from './api-client.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { exit, Failure, type Io } from './io.ts'
import { placeOptions } from './verification-places.ts'

const options = {
  ...timeOptions,
  format: { type: 'string', value: 'FORMAT', help: 'lines of the log as they stand, or events of OCSF 1.8 with the record in each (log)', choices: ['log', 'ocsf'] },
  ...placeOptions,
  ...serverOptions,
  ...fieldOptions,
} as const satisfies Options

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const { values, positionals } = parseOptions(args, options, { min: 0, max: 50 })
  const question = questionOf(values, positionals)
  const { server, format = 'log' } = values
  if (server !== undefined) {
    if (values.directory !== undefined) throw new Failure('either --server or --directory', exit.usage)
    return await exportFromServer(question, format, values, io)
  }
  const [field] = searchFields.filter((name) => values[name] !== undefined)
  if (field !== undefined || positionals.length > 0) throw new Failure(`${field === undefined ? 'words' : `--${field}`}: of files an export is of a time, so that it can be verified. Ask a server (--server), or countersign audit search -o jsonl`, exit.usage)
  return await exportFromFiles(question, format, values, io)
}

export const auditExportCommand: Command = {
  path: ['audit', 'export'],
  summary: 'Print records of the audit log so that they can be verified or read elsewhere',
  usage: "[--from TIME] [--to TIME] [--format log|ocsf] [--directory DIR | --server URL ['WORDS'] [--who WORDS] ...] > FILE",
  details:
    'From the files of this machine: lines of the log as they stand, or events of OCSF that `audit verify` reads as well. A signature is of all records since its replica started, so that is where an export begins; it ends with the first signature behind the time asked for. It is put on record beside the log, signed with the key of the configuration; where that cannot be, it is said on standard error.\nFrom a server (--server), for those who may read the audit log there: everything that a search finds, the newest first, without signatures. That it began and how it ended is on record there.',
  options,
  examples: ['countersign audit export --directory /var/lib/countersign/journal --from 2026-11-01 --to 2026-12-01 > november.ndjson', 'countersign audit export --format ocsf --from 7d > week.ocsf.ndjson', 'countersign audit export --server https://approvals.example.org --on public.customers --from 7d > customers.ndjson'],
  run,
}
