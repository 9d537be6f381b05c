import { setTimeout as pause } from 'node:timers/promises'
import { gist } from '../channels/words.ts'
import { readEvents } from '../lib/event-source.ts'
import { connect, Problem, serverOptions, type ApiClient } from './api-client.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { getHold, listHolds, resolveHold, type HoldSummary } from './hold-answer.ts'
import { holdText, rowsCell } from './hold-text.ts'
import { exit, Failure, type Io } from './io.ts'
import { cell, outputOption, stateText, table, timeLeft, toJson, toJsonLine, toYaml } from './rendering.ts'

const lsOptions = {
  ...serverOptions,
  state: { type: 'string', short: 's', value: 'STATES', help: 'only these states, with commas between them, or all (pending when not given)' },
  service: { type: 'string', value: 'NAME', help: 'only this service' },
  review: { type: 'boolean', help: 'what was released in an emergency and nobody has reviewed yet' },
  limit: { type: 'string', short: 'n', value: 'COUNT', help: 'at most so many, newest first (50 when not given)' },
  output: outputOption('table', 'json', 'yaml', 'jsonl', 'name'),
} as const satisfies Options

const ls = async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, lsOptions)
  const limit = values.limit === undefined ? 50 : /^[1-9]\d{0,3}$/.test(values.limit) ? Number(values.limit) : undefined
  if (limit === undefined) throw new Failure('--limit is a number from 1 to 9999', exit.usage)
  const state = values.state ?? (values.review ? 'all' : 'pending')
  const holds = await listHolds(await connect(values, io), { ...(state === 'all' ? {} : { state }), ...(values.service === undefined ? {} : { service: values.service }), ...(values.review ? { review: 'due' } : {}) }, limit)
  if (values.output === 'json') io.stdout.write(toJson({ holds }))
  else if (values.output === 'yaml') io.stdout.write(toYaml({ holds }))
  else if (values.output === 'jsonl') for (const hold of holds) io.stdout.write(toJsonLine(hold))
  else if (values.output === 'name') for (const hold of holds) io.stdout.write(`${cell(hold.id, 100)}\n`)
  else if (holds.length > 0) io.stdout.write(holdTable(holds, io))
  else io.stderr.write(values.review ? 'Nothing to review.\n' : `No ${state === 'all' ? '' : `${state} `}holds that you may see.\n`)
  return exit.ok
}

const holdTable = (holds: readonly HoldSummary[], io: Io): string => {
  const rows = holds.map(({ impact }) => (impact === undefined ? '' : rowsCell(impact)))
  const counted = rows.some((text) => text !== '')
  const width = Math.max(30, (io.stdout.columns ?? 120) - (counted ? 85 : 75))
  const lines = table(
    ['CODE', 'STATE', 'WHO', 'SERVICE', 'VOTES', 'LEFT', ...(counted ? ['ROWS'] : []), 'ACTION'],
    holds.map((hold, at) => [cell(hold.code, 10), cell(hold.state, 10), cell(hold.caller.name ?? hold.caller.subject, 20), cell(hold.service, 16), `${hold.approvals.given}/${hold.approvals.needed}`, hold.state === 'pending' ? timeLeft(hold.deadline) : '', ...(counted ? [rows[at] ?? ''] : []), cell(actionText(hold), width)]),
  ).split('\n')
  // Coloured after the columns were laid out: escape sequences have no width.
  return lines.map((line, at) => (holds[at - 1] ? line.replace(/^(\S+ +)(\S+)/, (_, before: string, state: string) => before + stateText(state, io)) : line)).join('\n')
}

/** The verb goes before a statement that does not begin with it: what matters can stand behind a WITH or a comment. */
const actionText = ({ verb, preview }: Pick<HoldSummary, 'verb' | 'preview'>): string => {
  const word = verb.slice(verb.indexOf('.') + 1)
  return preview.slice(0, word.length).toLowerCase() === word.toLowerCase() ? preview : `${verb}: ${preview}`
}

const showOptions = { ...serverOptions, output: outputOption('table', 'json', 'yaml') } as const satisfies Options

const show = async (args: readonly string[], io: Io): Promise<number> => {
  const { values, positionals } = parseOptions(args, showOptions, { min: 1, max: 1 })
  const client = await connect(values, io)
  const hold = await getHold(client, await resolveHold(client, positionals[0] ?? ''))
  io.stdout.write(values.output === 'json' ? toJson(hold) : values.output === 'yaml' ? toYaml(hold) : holdText(hold, io))
  return exit.ok
}

const watchOptions = { ...serverOptions, output: outputOption('table', 'jsonl') } as const satisfies Options

/** One line for every change, for as long as it runs. A broken stream is taken up again where it ended. */
const watch = async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, watchOptions)
  const client = await connect(values, io)
  let last: string | undefined
  let failures = 0
  // What waits already is shown first, so that nobody looks at an empty screen beside a full queue.
  if (values.output !== 'jsonl') for (const hold of (await listHolds(client, { state: 'pending' }, 100)).toReversed()) io.stdout.write(watchLine(hold.code, hold.state, hold, io))
  while (!io.signal.aborted) {
    try {
      const body = await client.stream('/api/holds/events', last === undefined ? {} : { 'last-event-id': last }, io.signal)
      failures = 0
      for await (const { event, data, id } of readEvents(body, last)) {
        last = id
        if (event === 'hold') await report(client, data, values.output === 'jsonl', io)
      }
    } catch (error) {
      if (io.signal.aborted) break
      if (error instanceof Problem && error.status >= 400 && error.status < 500 && error.status !== 429) throw error
      if (++failures > 10) throw error instanceof Failure ? error : new Failure('the stream keeps breaking')
      io.stderr.write('The stream broke; going on.\n')
    }
    await pause(Math.min(30_000, 500 * 2 ** failures), undefined, { signal: io.signal }).catch(() => {})
  }
  return exit.interrupted
}

const report = async (client: ApiClient, data: string, lines: boolean, io: Io): Promise<void> => {
  const { id } = JSON.parse(data) as { id: string }
  if (!/^[A-Za-z0-9_-]{1,100}$/.test(id)) return
  try {
    const hold = await getHold(client, id)
    if (lines) return void io.stdout.write(toJsonLine(hold))
    io.stdout.write(watchLine(hold.code, hold.state, { caller: hold.caller, service: hold.action.service, verb: hold.action.verb, preview: gist(hold.action) }, io))
  } catch (error) {
    if (!(error instanceof Problem && error.status === 404)) throw error // gone, or not ours to see any more
  }
}

const watchLine = (code: string, state: string, { caller, service, ...action }: Pick<HoldSummary, 'caller' | 'service' | 'verb' | 'preview'>, io: Io): string =>
  `${new Date().toISOString().slice(11, 19)}  ${cell(code, 10)}  ${stateText(state, io, 9)}  ${cell(caller.name ?? caller.subject, 20)}  ${cell(service, 16)}  ${cell(actionText(action), 80)}\n`

export const holdCommands: readonly Command[] = [
  { path: ['holds', 'ls'], summary: 'List holds that you may see', usage: '[--state STATES] [--service NAME] [--review] [-o FORMAT]', options: lsOptions, examples: ['countersign holds ls', 'countersign holds ls --state all -o json', 'countersign holds ls -o name | xargs -n 1 countersign holds show'], run: ls },
  { path: ['holds', 'show'], summary: 'Show one hold with the whole action', usage: 'ID|CODE [-o FORMAT]', options: showOptions, examples: ['countersign holds show CS-7F3K'], run: show },
  { path: ['holds', 'watch'], summary: 'Show holds as they come and change', usage: '[-o jsonl]', options: watchOptions, examples: ['countersign holds watch', "countersign holds watch -o jsonl | jq 'select(.state == \"pending\")'"], run: watch },
]
