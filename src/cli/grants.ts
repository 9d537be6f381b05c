import { z } from 'zod'
import { terminalText } from '../lib/terminal-text.ts'
import { connect, serverOptions, type ApiClient } from './api-client.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { exit, Failure, type Io } from './io.ts'
import { cell, counted, outputOption, quotedText, table, timeLeft, toJson, toJsonLine, toYaml } from './rendering.ts'

const budget = z.object({ used: z.number(), of: z.number() })
const someone = z.looseObject({ subject: z.string(), name: z.string().optional() })
const grantShape = z.looseObject({
  id: z.string(), hold: z.string(), code: z.string(), state: z.string(), service: z.string(), verb: z.string(), caller: someone, onBehalfOf: z.array(someone), pattern: z.string(), times: budget, rows: budget.optional(), until: z.string(),
  givenBy: z.array(someone), uses: z.array(z.looseObject({ at: z.string(), digest: z.string(), rows: z.number().optional(), result: z.string().optional(), status: z.string().optional() })),
  ended: z.looseObject({ why: z.string(), at: z.string(), cause: z.string().optional(), by: someone.optional() }).optional(),
})
const pageShape = z.looseObject({ grants: z.array(grantShape), next: z.string().optional() })

type ShownGrant = z.infer<typeof grantShape>

const checked = <T>(shape: z.ZodType<T>, value: unknown): T => {
  const result = shape.safeParse(value)
  if (!result.success) throw new Failure('the server answers in a way that this version does not know; is it of the same version?')
  return result.data
}

const nameOf = ({ name, subject }: z.infer<typeof someone>): string => name ?? subject
const budgetText = ({ used, of }: z.infer<typeof budget>): string => `${used} of ${of}`
const stateText = ({ state, ended }: ShownGrant): string => (state === 'ended' && ended?.cause !== undefined ? `ended: ${ended.cause}` : state)

const listOptions = {
  ...serverOptions,
  all: { type: 'boolean', short: 'a', help: 'also those that have ended' },
  limit: { type: 'string', short: 'n', value: 'COUNT', help: 'look at so many at most, newest first (100 when not given)' },
  output: outputOption('table', 'json', 'yaml', 'jsonl', 'name'),
} as const satisfies Options

const pagesOf = async (client: ApiClient, limit: number): Promise<readonly ShownGrant[]> => {
  const grants: ShownGrant[] = []
  for (let after: string | undefined; grants.length < limit; ) {
    const page = checked(pageShape, await client.get(`/api/grants?${new URLSearchParams({ limit: String(Math.min(100, limit - grants.length)), ...(after === undefined ? {} : { after }) })}`))
    grants.push(...page.grants)
    after = page.next
    if (after === undefined) break
  }
  return grants
}

const list = async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, listOptions)
  const limit = values.limit === undefined ? 100 : /^[1-9]\d{0,3}$/.test(values.limit) ? Number(values.limit) : undefined
  if (limit === undefined) throw new Failure('--limit is a number from 1 to 9999', exit.usage)
  const grants = (await pagesOf(await connect(values, io), limit)).filter(({ state }) => values.all === true || state === 'open')
  if (values.output === 'json') io.stdout.write(toJson({ grants }))
  else if (values.output === 'yaml') io.stdout.write(toYaml({ grants }))
  else if (values.output === 'jsonl') for (const grant of grants) io.stdout.write(toJsonLine(grant))
  else if (values.output === 'name') for (const { id } of grants) io.stdout.write(`${cell(id, 100)}\n`)
  else if (grants.length === 0) io.stderr.write(`No ${values.all === true ? '' : 'open '}grants that you may see.\n`)
  else io.stdout.write(grantTable(grants, Math.max(30, (io.stdout.columns ?? 120) - 80)))
  return exit.ok
}

const grantTable = (grants: readonly ShownGrant[], width: number): string =>
  table(
    ['GRANT', 'STATE', 'WHO', 'SERVICE', 'USED', 'ROWS', 'LEFT', 'LIKE'],
    grants.map((grant) => [cell(grant.id, 40), cell(grant.state, 8), cell(nameOf(grant.caller), 20), cell(grant.service, 16), budgetText(grant.times), grant.rows === undefined ? '' : budgetText(grant.rows), grant.state === 'open' ? timeLeft(grant.until) : '', cell(grant.pattern, width)]),
  )

const row = (name: string, text: string): string => `${name.padEnd(13)} ${terminalText(text)}\n`

const grantText = (grant: ShownGrant): string =>
  [
    row('Grant', `${grant.id}  ${stateText(grant)}`),
    row('For', [grant.caller, ...grant.onBehalfOf].map(nameOf).join(' for ')),
    row('At', `${grant.service}, ${grant.verb}`),
    row('Used', `${budgetText(grant.times)} times${grant.rows === undefined ? '' : `, ${budgetText(grant.rows)} rows`}`),
    row('Until', `${grant.until}${grant.state === 'open' ? ` (${timeLeft(grant.until)} left)` : ''}`),
    row('Given by', `${grant.givenBy.map(nameOf).join(', ')}, with ${grant.code} (${grant.hold})`),
    grant.ended === undefined ? '' : row('Ended', `${grant.ended.at}, ${grant.ended.why}${grant.ended.by === undefined ? '' : ` by ${nameOf(grant.ended.by)}`}`),
    ...grant.uses.map(({ at, digest, rows, result, status }) => row('Use', [at, result ?? 'no end known', status, rows === undefined ? undefined : counted(rows, 'row'), digest].filter(Boolean).join('  '))),
    `\nEverything like this, and nothing else:\n${quotedText(grant.pattern)}`,
  ].join('')

const showOptions = { ...serverOptions, output: outputOption('table', 'json', 'yaml') } as const satisfies Options

/** The approval that a grant was given with names it as well. */
const pathOf = (text: string | undefined): string => {
  const id = (text ?? '').replace(/^hold_/, 'grant_')
  if (!/^grant_[A-Za-z0-9_-]{1,90}$/.test(id)) throw new Failure(`'${terminalText(text ?? '')}' is no id of a grant`, exit.usage)
  return `/api/grants/${id}`
}

const print = (grant: ShownGrant, format: string | undefined, io: Io, otherwise: string): number => {
  io.stdout.write(format === 'json' ? toJson(grant) : format === 'yaml' ? toYaml(grant) : otherwise)
  return exit.ok
}

const show = async (args: readonly string[], io: Io): Promise<number> => {
  const { values, positionals } = parseOptions(args, showOptions, { min: 1, max: 1 })
  const path = pathOf(positionals[0])
  const grant = checked(grantShape, await (await connect(values, io)).get(path))
  return print(grant, values.output, io, grantText(grant))
}

const revoke = async (args: readonly string[], io: Io): Promise<number> => {
  const { values, positionals } = parseOptions(args, showOptions, { min: 1, max: 1 })
  const path = pathOf(positionals[0])
  const grant = checked(grantShape, await (await connect(values, io)).post(`${path}/revoke`, {}))
  return print(grant, values.output, io, `${terminalText(grant.id)} is revoked; ${budgetText(grant.times)} were used\n`)
}

export const grantCommands: readonly Command[] = [
  { path: ['grants', 'list'], summary: 'List what approvers let through beforehand', usage: '[--all] [-o FORMAT]', options: listOptions, examples: ['countersign grants list', 'countersign grants list --all -o json'], run: list },
  { path: ['grants', 'show'], summary: 'Show one grant with its budget and its uses', usage: 'ID [-o FORMAT]', options: showOptions, examples: ['countersign grants show grant_byjcjizimnsf6ijoa22h4xk2cc'], run: show },
  { path: ['grants', 'revoke'], summary: 'End a grant at once', usage: 'ID', details: 'Whoever may see it may end it. What runs already, goes on.', options: showOptions, examples: ['countersign grants revoke grant_byjcjizimnsf6ijoa22h4xk2cc', 'countersign grants list -o name | xargs -n 1 countersign grants revoke'], run: revoke },
]
