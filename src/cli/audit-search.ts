import { resolve } from 'node:path'
import { z } from 'zod'
import type { FoundPage, IndexState } from '../audit/search/audit-search.ts'
import type { RecordData } from '../audit/record-data.ts'
import { searchFields, type SearchField } from '../audit/search/fields.ts'
import { parseMoment, type AuditQuestion } from '../audit/search/question.ts'
import type { ActionSummary } from '../audit/search/summary.ts'
import { defined } from '../lib/defined.ts'
import { terminalText } from '../lib/terminal-text.ts'
import { Refusal } from '../model/refusal.ts'
import { openAuditIndex, type AuditIndex } from '../stores/embedded/audit-index/audit-index.ts'
import { indexPath } from '../stores/embedded/audit-index/audit-search.ts'
import { connect, serverOptions } from './api-client.ts'
import { walsOf } from './audit-places.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { exit, Failure, type Io } from './io.ts'
import { cell, outputOption, table, toJson, toJsonLine } from './rendering.ts'

const helps: Readonly<Record<SearchField, string>> = {
  who: 'who asked or acted: account, name or e-mail address',
  for: 'on behalf of whom',
  what: 'verb or shape of the action',
  service: 'at which service',
  on: 'table, column, endpoint or tool',
  tag: 'a data tag',
  rule: 'POLICY/RULE',
  approver: 'who voted',
  case: 'a whole name: code, hold, try, digest or policy version',
  type: 'kind of record, such as held, voted or signed-in',
  outcome: 'verdict, state, result, status or refusal',
}
export const fieldOptions = Object.fromEntries(searchFields.map((name) => [name, { type: 'string', value: 'WORDS', help: helps[name] }])) as Record<SearchField, { readonly type: 'string'; readonly value: string; readonly help: string }>

export const placeOptions = {
  directory: { type: 'string', short: 'd', value: 'DIR', help: 'where the journal lives; COUNTERSIGN_AUDIT_DIRECTORY' },
  index: { type: 'string', value: 'FILE', help: 'the file of the index (search.db beside the journal when not given)' },
} as const satisfies Options

export const timeOptions = {
  from: { type: 'string', value: 'TIME', help: 'from this time on: 2026-11-21, 2026-11-21T18:04Z, or so long ago, 7d' },
  to: { type: 'string', value: 'TIME', help: 'before this time' },
} as const satisfies Options

const searchOptions = {
  ...fieldOptions,
  ...timeOptions,
  limit: { type: 'string', short: 'n', value: 'COUNT', help: 'at most so many, newest first (50 when not given)' },
  ...placeOptions,
  ...serverOptions,
  output: outputOption('table', 'json', 'jsonl'),
} as const satisfies Options

export const momentOption = (name: string, text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  const at = parseMoment(text, Date.now())
  if (at === undefined) throw new Failure(`--${name}: a day such as 2026-11-21, a time such as 2026-11-21T18:04Z, or how long ago, such as 7d`, exit.usage)
  return at
}

interface Line {
  readonly text: string
  readonly summary: ActionSummary
}
interface Answer {
  readonly lines: readonly Line[]
  readonly more: boolean
  readonly index: IndexState
}

export const questionOf = (values: { readonly [K in SearchField | 'from' | 'to']?: string }, words: readonly string[]): AuditQuestion =>
  ({ fields: defined(Object.fromEntries(searchFields.map((name) => [name, values[name]]))), ...defined({ text: words.length === 0 ? undefined : words.join(' '), from: momentOption('from', values.from), to: momentOption('to', values.to) }) })

/** As the API wants it. */
export const queryOf = ({ fields, text, from, to }: AuditQuestion, more: Readonly<Record<string, string | undefined>>): URLSearchParams =>
  new URLSearchParams(defined({ ...fields, text, from: from === undefined ? undefined : new Date(from).toISOString(), to: to === undefined ? undefined : new Date(to).toISOString(), ...more }) as Record<string, string>)

const search = async (args: readonly string[], io: Io): Promise<number> => {
  const { values, positionals } = parseOptions(args, searchOptions, { min: 0, max: 50 })
  const limit = /^[1-9]\d{0,4}$/.test(values.limit ?? '50') ? Number(values.limit ?? '50') : undefined
  if (limit === undefined) throw new Failure('--limit is a number from 1 to 99999', exit.usage)
  const question = questionOf(values, positionals)
  const { lines, more, index } = values.server === undefined ? searchFiles(question, limit, values, io) : await searchServer(question, limit, values, io)
  if (values.output === 'json') io.stdout.write(toJson({ records: lines.map(({ text, summary }) => ({ summary, record: JSON.parse(text) as unknown })), more, index }))
  else if (values.output === 'jsonl') for (const { text } of lines) io.stdout.write(/^[\x20-\x7e]*$/.test(text) ? `${text}\n` : toJsonLine(JSON.parse(text)))
  else if (lines.length > 0) io.stdout.write(linesTable(lines, io))
  else io.stderr.write('Nothing is found.\n')
  if (more) io.stderr.write(`There are more: --limit, or --to an earlier time.\n`)
  if (index.bytes < index.ofBytes) io.stderr.write(`Indexed up to ${Math.floor((100 * index.bytes) / index.ofBytes)} % of the log; the rest is not found yet.\n`)
  if (index.unreadable > 0) io.stderr.write(`${index.unreadable} lines do not read: countersign audit verify says where.\n`)
  return exit.ok
}

const searchFiles = (question: AuditQuestion, limit: number, values: { readonly directory?: string; readonly index?: string }, io: Io): Answer => {
  using index = openIndex(values, io)
  readAll(index, io)
  const lines: Line[] = []
  let next: string | undefined
  do {
    const page = asked(() => index.search(question, { limit: Math.min(200, limit - lines.length), ...defined({ after: next }) }))
    lines.push(...page.records)
    next = page.next
  } while (next !== undefined && lines.length < limit)
  return { lines, more: next !== undefined, index: index.state() }
}

const asked = (look: () => FoundPage): FoundPage => {
  try {
    return look()
  } catch (error) {
    if (error instanceof Refusal && error.code === 'malformed') throw new Failure(error.message, exit.usage)
    throw error
  }
}

const pageShape = z.looseObject({
  records: z.array(z.looseObject({ record: z.record(z.string(), z.unknown()), summary: z.looseObject({ on: z.array(z.string()), rules: z.array(z.string()), approvers: z.array(z.looseObject({ name: z.string(), verdict: z.string() })) }) })),
  next: z.string().optional(),
  index: z.looseObject({ records: z.number(), bytes: z.number(), ofBytes: z.number(), unreadable: z.number() }),
})

const searchServer = async (question: AuditQuestion, limit: number, values: { readonly server?: string; readonly 'token-file'?: string }, io: Io): Promise<Answer> => {
  const client = await connect(values, io)
  const lines: Line[] = []
  let next: string | undefined
  for (;;) {
    const query = queryOf(question, { limit: String(Math.min(200, limit - lines.length)), after: next })
    const result = pageShape.safeParse(await client.get(`/api/audit?${query}`))
    if (!result.success) throw new Failure('the server answers in a way that this version does not know; is it of the same version?')
    lines.push(...result.data.records.map(({ record, summary }) => ({ text: JSON.stringify(record), summary: summary as unknown as ActionSummary })))
    next = result.data.next
    if (next === undefined || lines.length >= limit) return { lines, more: next !== undefined, index: result.data.index }
  }
}

const linesTable = (lines: readonly Line[], io: Io): string => {
  const width = Math.max(24, (io.stdout.columns ?? 140) - 110)
  return table(
    ['TIME', 'RECORD', 'TYPE', 'WHO', 'OUTCOME', 'APPROVERS', 'RULE', 'ACTION'],
    lines.map(({ text, summary: { who, for: principal, verb, on, service, rules, approvers, outcome } }) => {
      const { time, id, type } = JSON.parse(text) as RecordData
      return [cell(String(time).slice(0, 19), 19), cell(String(id), 24), cell(String(type), 18), cell([who, principal].filter(Boolean).join(' for '), 24), cell(outcome ?? '', 12), cell(approvers.map(({ name, verdict }) => `${name}${verdict === 'approve' ? '' : ' (no)'}`).join(', '), 16), cell(rules.join(', '), 22), cell([verb, on.join(', '), service === undefined ? '' : `at ${service}`].filter(Boolean).join(' '), width)]
    }),
  )
}

export const openIndex = (values: { readonly directory?: string; readonly index?: string }, io: Io): AuditIndex => {
  walsOf(values.directory, io)
  const directory = resolve(io.cwd, values.directory ?? io.env['COUNTERSIGN_AUDIT_DIRECTORY'] ?? '')
  try {
    return openAuditIndex(values.index === undefined ? indexPath(directory) : resolve(io.cwd, values.index), directory)
  } catch (error) {
    throw new Failure(`the index cannot be written: ${terminalText(error instanceof Error ? error.message : String(error))}. Name another place for it with --index FILE`)
  }
}

const stepMs = 500

export const readAll = (index: AuditIndex, io: Io): void => {
  while (!index.advance(stepMs)) {
    if (io.signal.aborted) throw new Failure('stopped; the index goes on from here', exit.interrupted)
    const { bytes, ofBytes, records } = index.state()
    if (io.stderr.isTTY) io.stderr.write(`\r${records} records, ${Math.floor((100 * bytes) / ofBytes)} % of the log`)
  }
  if (io.stderr.isTTY) io.stderr.write('\r\u001b[K')
}

const indexOptions = { ...placeOptions, rebuild: { type: 'boolean', help: 'forget what is there, and read the log from its beginning' }, output: outputOption('table', 'json') } as const satisfies Options

const buildIndex = async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, indexOptions)
  using index = openIndex(values, io)
  if (values.rebuild) index.rebuild()
  readAll(index, io)
  const state = index.state()
  if (values.output === 'json') io.stdout.write(toJson(state))
  else io.stdout.write(`${state.records} records are found, ${state.bytes} of ${state.ofBytes} bytes of the log are read${state.unreadable === 0 ? '' : `; ${state.unreadable} lines do not read, countersign audit verify says where`}${state.until === undefined ? '' : ` (the newest of ${state.until})`}\n`)
  return exit.ok
}

export const auditSearchCommands: readonly Command[] = [
  {
    path: ['audit', 'search'],
    summary: 'Find records of the audit log',
    usage: "['WORDS'] [--who WORDS] [--on WORDS] [--approver WORDS] [--from TIME] [--server URL]",
    details: 'Reads the journal of this machine and keeps an index beside it, or asks a server of which you are a configured reader (--server). WORDS stand anywhere in a record; in quotes one after the other; inv* is a beginning. All that is given must hold. A value is words that stand one after the other in one text, =alice the whole text, ali* its beginning. Whoever approved is found with what was approved.',
    options: searchOptions,
    examples: ['countersign audit search --directory /var/lib/countersign/journal --approver bob --on public.customers --from 7d', "countersign audit search 'ticket 4711' --outcome executed", 'countersign audit search --server https://approvals.example.org --who alice -o jsonl'],
    run: search,
  },
  { path: ['audit', 'index'], summary: 'Bring the index of the audit log up to date', usage: '[--rebuild] [--directory DIR]', details: 'Searching does the same by itself. The index holds nothing that is not in the log, and may be deleted at any time.', options: indexOptions, examples: ['countersign audit index --rebuild --directory /var/lib/countersign/journal'], run: buildIndex },
]
