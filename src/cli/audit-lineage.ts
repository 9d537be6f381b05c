import { z } from 'zod'
import { hasRun, lineageOf, type Lineage, type LineageDeed } from '../audit/lineage/lineage.ts'
import type { LineageNode } from '../audit/lineage/node.ts'
import { pathBetween, type LineagePath } from '../audit/lineage/path.ts'
import { lineageFields, type LineageField, type TraceQuestion, type TraceSearch } from '../audit/lineage/trace.ts'
import { defined } from '../lib/defined.ts'
import { Refusal } from '../model/refusal.ts'
import { connect, serverOptions } from './api-client.ts'
import { momentOption, openIndex, placeOptions, readAll, timeOptions } from './audit-search.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { exit, Failure, type Io } from './io.ts'
import { cell, outputOption, toJson } from './rendering.ts'

const helps: Readonly<Record<LineageField, string>> = {
  who: 'who asked: account, name or e-mail address',
  for: 'on behalf of whom',
  on: 'table, endpoint, tool or function',
  what: 'verb of the action, or what it is done to',
  service: 'at which service',
  approver: 'who voted',
}
const fieldOptions = Object.fromEntries(lineageFields.map((name) => [name, { type: 'string', value: 'WORDS', help: helps[name] }])) as Record<LineageField, { readonly type: 'string'; readonly value: string; readonly help: string }>

const options = {
  ...fieldOptions,
  node: { type: 'string', value: 'ID', help: 'a node, as -o json and the console name it' },
  'connected-with': { type: 'string', value: 'WORDS', help: 'the shortest way from what is asked for to this account, session or table' },
  ...timeOptions,
  ...placeOptions,
  ...serverOptions,
  output: outputOption('table', 'json'),
} as const satisfies Options

type Values = ReturnType<typeof parseOptions<typeof options>>['values']

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, options)
  const question: TraceQuestion = { fields: defined(Object.fromEntries(lineageFields.map((name) => [name, values[name]]))), ...defined({ nodes: values.node === undefined ? undefined : [values.node], from: momentOption('from', values.from), to: momentOption('to', values.to) }) }
  const end = values['connected-with']
  const start = values.node ?? values.who ?? values.on ?? values.for ?? values.approver
  if (end !== undefined && start === undefined) throw new Failure('--connected-with needs an end to begin at: --who, --on, --for, --approver or --node', exit.usage)
  const answer = values.server === undefined ? await askFiles(question, start, end, values, io) : await askServer(question, start, end, values, io)
  if (values.output === 'json') io.stdout.write(toJson(answer))
  else if ('steps' in answer) io.stdout.write(pathText(answer))
  else if (answer.deeds.length > 0) io.stdout.write(treeText(answer, io))
  else io.stderr.write('Nothing is found.\n')
  if ('counted' in answer && answer.counted === 'more') io.stderr.write('There are more than are shown: --from a later time, or ask for less.\n')
  return exit.ok
}

const mostEnds = 50

const askFiles = async (question: TraceQuestion, start: string | undefined, end: string | undefined, values: Values, io: Io): Promise<Lineage | LineagePath> => {
  using index = openIndex(values, io)
  readAll(index, io)
  const search: TraceSearch = { traces: async (asked, limit) => index.traces(asked, limit), nodes: async (name, limit) => index.nodes(name, limit) }
  try {
    if (start === undefined || end === undefined) return await lineageOf(search, question)
    return await pathBetween(search, await search.nodes(start, mostEnds), await search.nodes(end, mostEnds), question)
  } catch (error) {
    if (error instanceof Refusal && error.code === 'malformed') throw new Failure(error.message, exit.usage)
    throw error
  }
}

const texts = z.array(z.string())
const node = z.looseObject({ id: z.string(), kind: z.string(), name: z.string(), at: z.string() })
const lineageShape = z.looseObject({
  nodes: z.array(node),
  deeds: z.array(z.looseObject({ who: z.string(), chain: texts, sessions: texts, action: z.string(), touches: z.array(z.looseObject({ node: z.string(), access: z.string(), confidence: z.string(), columns: texts })), tallies: z.record(z.string(), z.number()), says: z.array(z.looseObject({ by: z.string(), say: z.string(), count: z.number(), record: z.string() })), first: z.string(), last: z.string(), records: texts })),
  flows: z.array(z.looseObject({ from: z.string(), to: z.string(), through: z.string(), records: texts })),
  counted: z.enum(['all', 'more']),
})
const pathShape = z.looseObject({ steps: z.array(z.looseObject({ from: node, to: node, action: node, who: node, records: texts })), looked: z.enum(['all', 'cut']) })

const askServer = async ({ fields, nodes, from, to }: TraceQuestion, start: string | undefined, end: string | undefined, values: Values, io: Io): Promise<Lineage | LineagePath> => {
  const client = await connect(values, io)
  const time = { from: from === undefined ? undefined : new Date(from).toISOString(), to: to === undefined ? undefined : new Date(to).toISOString() }
  const isPath = start !== undefined && end !== undefined
  const query = new URLSearchParams(defined(isPath ? { start, end, ...time } : { ...fields, node: nodes?.[0], ...time }) as Record<string, string>)
  const result = (isPath ? pathShape : lineageShape).safeParse(await client.get(`/api/lineage${isPath ? '/path' : ''}?${query}`))
  if (!result.success) throw new Failure('the server answers in a way that this version does not know; is it of the same version?')
  return result.data as unknown as Lineage | LineagePath
}

/** One branch for each account, one for each kind of action below it, with what it touches and who voted. */
const treeText = ({ nodes, deeds, flows }: Lineage, io: Io): string => {
  const known = new Map(nodes.map((one) => [one.id, one]))
  const name = (id: string): string => cell(known.get(id)?.name ?? id, 60)
  const width = Math.max(60, (io.stdout.columns ?? 120) - 60)
  let text = ''
  for (const own of Map.groupBy(deeds, ({ who, chain }) => [who, ...chain].join(' ')).values()) {
    const [{ who, chain }] = own as [LineageDeed]
    text += `${name(who)} ${kindText(known.get(who))}${chain.map((one) => ` for ${name(one)}`).join('')}\n`
    for (const [at, deed] of own.entries()) {
      const isLast = at === own.length - 1
      text += `${isLast ? '└─' : '├─'} ${cell(known.get(deed.action)?.name ?? '', width)}  ${talliesText(deed)}  ${deed.last.slice(0, 16)}  ${cell(deed.records[0] ?? '', 40)}\n`
      const leaves = [
        ...deed.touches.map(({ node: data, access, confidence, columns }) => `${access} ${name(data)}${columns.length > 0 ? ` (${columns.slice(0, 8).map((one) => cell(one, 40)).join(', ')}${columns.length > 8 ? ` and ${columns.length - 8} more` : ''})` : ''}${confidence === 'least' ? ', at least' : ''}`),
        ...deed.says.map(({ by, say, count, record }) => `${sayWords[say]} by ${name(by)}${count > 1 ? `, ${count} times` : ''} (${cell(record, 40)})`),
      ]
      for (const [leaf, line] of leaves.entries()) text += `${isLast ? '  ' : '│ '} ${leaf === leaves.length - 1 ? '└─' : '├─'} ${line}\n`
    }
  }
  if (flows.length > 0) text += '\nMay have flowed: read, and later in the same session written elsewhere\n'
  for (const { from, to, through, records } of flows) text += `  ${name(from)} -> ${name(to)}  in session ${name(through)} (${records.map((one) => cell(one, 40)).join(', ')})\n`
  return text
}

const sayWords: Readonly<Record<LineageDeed['says'][number]['say'], string>> = { yes: 'yes', no: 'no', alone: 'glass broken', grant: 'granted beforehand' }

const kindText = (one: LineageNode | undefined): string => (one === undefined ? '' : `(${one.kind} at ${cell(one.at, 60)})`)

const talliesText = ({ tallies }: LineageDeed): string => {
  const said = (['executed', 'failed', 'unknown', 'held', 'refused'] as const).filter((name) => tallies[name] > 0).map((name) => `${tallies[name]} ${name}`)
  return `${said.join(', ')}${hasRun(tallies) ? '' : ', did not run'}`
}

const pathText = ({ steps, looked }: LineagePath): string =>
  steps.length === 0
    ? looked === 'cut' ? 'No way was found in what was looked at; there is more: ask for less time.\n' : 'Nothing that is recorded leads from one to the other.\n'
    : steps.map(({ from, to, action, who, records }) => `${cell(from.name, 60)} -> ${cell(to.name, 60)}  ${cell(`${who.name}: ${action.name}`, 100)} (${records.map((one) => cell(one, 40)).join(', ')})\n`).join('')

export const auditLineageCommand: Command = {
  path: ['audit', 'lineage'],
  summary: 'Show who touched what, for whom, and who said yes',
  usage: '[--who WORDS] [--on WORDS] [--approver WORDS] [--from TIME] [--connected-with WORDS] [--server URL]',
  details: 'Drawn from the audit log: of this machine, with an index beside it, or of a server of which you are a configured reader (--server). Each line names records that say so. "At least" means that it may have reached further than anybody can see here: it writes (triggers), calls functions or runs what was not read. What may have flowed is inferred from what a session read before it wrote. Times count by whole hours.',
  options,
  examples: ['countersign audit lineage --who invoice-agent --from 7d --directory /var/lib/countersign/journal', 'countersign audit lineage --on public.customers --from 2026-11-01 -o json', 'countersign audit lineage --who invoice-agent --connected-with reports.daily --server https://approvals.example.org'],
  run,
}
