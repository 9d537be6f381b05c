import { createInterface } from 'node:readline'
import { obstacles } from '../approval/no.ts'
import { terminalText } from '../lib/terminal-text.ts'
import { connect, serverOptions, type ApiClient } from './api-client.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { getHold, postHold, resolveHold, type HoldDetail } from './hold-answer.ts'
import { approveSeveral, denySeveral, mostNamed } from './hold-several.ts'
import { holdText, isConsoleOnly } from './hold-text.ts'
import { exit, Failure, type Io } from './io.ts'
import { outputOption, toJson, toYaml } from './rendering.ts'

const output = outputOption('table', 'json', 'yaml')
const reason = { type: 'string', short: 'r', value: 'TEXT', help: 'why; the requester reads it' } as const

const approveOptions = {
  ...serverOptions,
  reason,
  digest: { type: 'string', value: 'sha256:…', help: 'the digest that you have looked at; for scripts' },
  yes: { type: 'boolean', short: 'y', help: 'do not ask; needs the id and --code' },
  code: { type: 'string', value: 'CS-XXXX', help: 'with --yes: the short code of the action that you have looked at' },
  output,
} as const satisfies Options

const grantOptions = {
  ...approveOptions,
  'grant-times': { type: 'string', value: 'COUNT', help: 'also let so many more of the same kind through' },
  'grant-rows': { type: 'string', value: 'COUNT', help: 'with --grant-times, at databases: so many rows together' },
  'grant-within': { type: 'string', value: 'TIME', help: 'with --grant-times: for so long, such as 30m' },
} as const satisfies Options

type Released = ReturnType<typeof parseOptions<typeof approveOptions>>['values'] & { readonly [Name in 'grant-times' | 'grant-rows' | 'grant-within']?: string }

interface Wish {
  readonly times: number
  readonly rows?: number
  readonly within: string
}

/** What else a yes is to let through. Whether the rule lets it, the server says. */
const wishOf = ({ 'grant-times': times, 'grant-rows': rows, 'grant-within': within }: Released): Wish | undefined => {
  if (times === undefined && rows === undefined && within === undefined) return undefined
  if (times === undefined || within === undefined) throw new Failure('a grant takes --grant-times and --grant-within, and --grant-rows at databases', exit.usage)
  const count = (text: string): number => (/^[1-9]\d{0,6}$/.test(text) ? Number(text) : NaN)
  if (Number.isNaN(count(times)) || (rows !== undefined && Number.isNaN(count(rows)))) throw new Failure('--grant-times and --grant-rows are numbers from 1 on', exit.usage)
  return { times: count(times), ...(rows === undefined ? {} : { rows: count(rows) }), within }
}

/** Two ways to let an action run: with everybody else who has to agree, or alone in an emergency. Either names exactly what it lets run. */
interface Way {
  readonly done: string
  readonly question: (code: string, wish: Wish | undefined) => string
  readonly needsReason: (hold: HoldDetail) => boolean
  readonly obstacle: (hold: HoldDetail) => string | undefined
  readonly send: (client: ApiClient, hold: HoldDetail, ballot: { readonly digest: string; readonly revision: number; readonly reason?: string; readonly grant?: Wish }) => Promise<HoldDetail>
}

const approving: Way = {
  done: 'approved',
  question: (code, wish) => `Type ${code} to approve ${wish === undefined ? 'exactly this' : `this, and ${wish.times} more like it for ${terminalText(wish.within)}`}, anything else to leave it: `,
  needsReason: ({ terms }) => terms.askReason,
  obstacle: (hold) => (hold.obstacle ? obstacleText(hold.obstacle, hold.why) : isConsoleOnly(hold) ? `A yes to this is given in the console alone, at /holds/${terminalText(hold.id)}: the rule asks for a passkey or a fresh login there.` : undefined),
  send: (client, { id }, ballot) => postHold(client, id, 'votes', { verdict: 'approve', ...ballot }),
}

const breaking: Way = {
  done: 'released',
  question: (code) => `All approvers are told that you passed them over, and somebody has to review it. Type ${code} to release exactly this alone, anything else to leave it: `,
  needsReason: () => true,
  obstacle: ({ offers, obstacle, why }) => (offers.includes('break-glass') ? undefined : obstacle === 'self-approval' ? obstacleText(obstacle, why) : 'You may not release this alone: the rules name others for that, or nobody.'),
  send: (client, { id }, ballot) => postHold(client, id, 'break-glass', ballot),
}

const release = (way: Way, options: typeof approveOptions) => async (args: readonly string[], io: Io): Promise<number> => {
  const { values, positionals }: { readonly values: Released; readonly positionals: readonly string[] } = parseOptions(args, options, { min: 1, max: way === approving ? mostNamed : 1 })
  const wish = wishOf(values)
  if (positionals.length > 1) {
    if (wish !== undefined || values.digest !== undefined || values.yes || values.code !== undefined) throw new Failure('with several holds each is confirmed at the terminal; --digest, --yes, --code and --grant-times are for one', exit.usage)
    return await approveSeveral(positionals, values, io)
  }
  const interactive = io.stdin.isTTY === true && io.stderr.isTTY === true
  if (values.digest !== undefined && !/^sha256:[0-9a-f]{64}$/.test(values.digest)) throw new Failure('--digest is sha256: and 64 hex digits', exit.usage)
  if (values.yes && values.code === undefined) throw new Failure(`--yes needs --code, so that it is clear what is ${way.done}`, exit.usage)
  // Who asks for actions can make a second one with the same short code: together with the id a code is a check, alone it names nothing for sure.
  if (values.digest === undefined && values.yes && /^CS-/i.test(positionals[0] ?? '')) throw new Failure('--yes needs the id of the hold, not its code: another action can have the same code', exit.usage)
  if (values.digest === undefined && !values.yes && !interactive) throw new Failure(`without a terminal to ask at, name what is to be ${way.done}: --digest sha256:…, or its id with --yes --code CS-XXXX`, exit.usage)

  const client = await connect(values, io)
  const hold = await getHold(client, await resolveHold(client, positionals[0] ?? ''))
  if (values.code !== undefined && values.code.toUpperCase() !== hold.code) throw new Failure(`the hold has another code than --code says; nothing was ${way.done}`)
  let given = values.reason
  if (values.digest === undefined) {
    if (hold.action.textCut) throw new Failure(`the action is longer than can be shown here, so it cannot be ${way.done} by its text alone. Look at it whole and give its --digest.`)
    if (!values.yes) given = await confirm(way, hold, wish, given, io)
  }
  return settled(await way.send(client, hold, { digest: values.digest ?? hold.action.digest, revision: hold.revision, ...(given === undefined ? {} : { reason: given }), ...(wish === undefined ? {} : { grant: wish }) }), values.output, io)
}

/** The code must be typed: a habit of pressing Enter approves nothing. */
const confirm = async (way: Way, hold: HoldDetail, wish: Wish | undefined, given: string | undefined, io: Io): Promise<string | undefined> => {
  io.stderr.write(`${holdText(hold, io)}\n`)
  const obstacle = way.obstacle(hold)
  if (obstacle !== undefined) throw new Failure(obstacle, exit.denied)
  const lines = createInterface({ input: io.stdin as unknown as NodeJS.ReadableStream, terminal: false, signal: io.signal })
  const answers = lines[Symbol.asyncIterator]()
  const ask = async (question: string): Promise<string> => {
    io.stderr.write(question)
    const answer = await answers.next()
    return answer.done ? '' : answer.value.trim()
  }
  try {
    const why = given ?? (way.needsReason(hold) ? await ask('Why? ') : undefined)
    if ((await ask(way.question(terminalText(hold.code), wish))).toUpperCase() !== hold.code) throw new Failure(`nothing was ${way.done}`)
    return why === '' ? undefined : why
  } finally {
    lines.close()
  }
}

const obstacleText = (code: string, why?: string): string => (why === undefined ? undefined : terminalText(why)) ?? Object.entries(obstacles).find(([known]) => known === code)?.[1] ?? `You may not approve this: ${terminalText(code)}.`

const denyOptions = { ...serverOptions, reason, output } as const satisfies Options

const deny = async (args: readonly string[], io: Io): Promise<number> => {
  const { values, positionals } = parseOptions(args, denyOptions, { min: 1, max: mostNamed })
  if (values.reason === undefined) throw new Failure('say why: --reason TEXT (the requester reads it)', exit.usage)
  if (positionals.length > 1) return await denySeveral(positionals, values, io)
  const client = await connect(values, io)
  const hold = await getHold(client, await resolveHold(client, positionals[0] ?? ''))
  return settled(await postHold(client, hold.id, 'votes', { verdict: 'deny', digest: hold.action.digest, reason: values.reason }), values.output, io)
}

const reviewOptions = { ...serverOptions, note: { type: 'string', value: 'TEXT', help: 'what you found' }, output } as const satisfies Options

const review = async (args: readonly string[], io: Io): Promise<number> => {
  const { values, positionals } = parseOptions(args, reviewOptions, { min: 1, max: 1 })
  if (values.note === undefined) throw new Failure('say what you found: --note TEXT', exit.usage)
  const client = await connect(values, io)
  return settled(await postHold(client, await resolveHold(client, positionals[0] ?? ''), 'review', { note: values.note }), values.output, io, 'is reviewed')
}

const handOverOptions = {
  ...serverOptions,
  group: { type: 'string', value: 'NAME', help: 'to the members of this group' },
  to: { type: 'string', value: 'SUBJECT', help: 'to this person' },
  issuer: { type: 'string', value: 'ISSUER', help: 'of that person, if it is not your own' },
  note: { type: 'string', value: 'TEXT', help: 'what they should look at' },
  output,
} as const satisfies Options

const handOver = async (args: readonly string[], io: Io): Promise<number> => {
  const { values, positionals } = parseOptions(args, handOverOptions, { min: 1, max: 1 })
  const { group, to: subject, issuer, note } = values
  if ((group === undefined) === (subject === undefined)) throw new Failure('say to whom: --group NAME or --to SUBJECT', exit.usage)
  if (group !== undefined && issuer !== undefined) throw new Failure('--issuer goes with --to', exit.usage)
  const client = await connect(values, io)
  const to = group === undefined ? { subject, ...(issuer === undefined ? {} : { issuer }) } : { group }
  return settled(await postHold(client, await resolveHold(client, positionals[0] ?? ''), 'hand-over', { to, ...(note === undefined ? {} : { note }) }), values.output, io, 'is handed over')
}

const withdrawOptions = { ...serverOptions, output } as const satisfies Options

const withdraw = async (args: readonly string[], io: Io): Promise<number> => {
  const { values, positionals } = parseOptions(args, withdrawOptions, { min: 1, max: 1 })
  const client = await connect(values, io)
  return settled(await postHold(client, await resolveHold(client, positionals[0] ?? ''), 'withdraw', {}), values.output, io)
}

const settled = (hold: HoldDetail, format: string | undefined, io: Io, became = `is ${terminalText(hold.state)}`): number => {
  if (format === 'json') io.stdout.write(toJson(hold))
  else if (format === 'yaml') io.stdout.write(toYaml(hold))
  else io.stdout.write(`${terminalText(hold.code)} ${became}\n`)
  return exit.ok
}

export const decisionCommands: readonly Command[] = [
  {
    path: ['holds', 'approve'],
    summary: 'Approve a held action',
    usage: 'ID|CODE… [--reason TEXT] [--digest sha256:…] [--grant-times COUNT --grant-within TIME] | ID --yes --code CS-XXXX',
    details: 'At a terminal it shows the whole action and asks for its code. In a script it needs the digest (or the id and the code) of the action that was looked at; if another action hides behind the id, nothing is approved. Where the rule lets it, --grant-times lets more of the same kind through; `holds show` says what that is. Several, up to 25, are shown one after the other, each to be confirmed by its own code, and then decided in one step; what deserves a look of its own is left out.',
    options: grantOptions,
    examples: ['countersign holds approve CS-7F3K', 'countersign holds approve hold_9f2c --digest sha256:…', 'countersign holds approve hold_9f2c --yes --code CS-7F3K', 'countersign holds approve CS-7F3K --grant-times 5 --grant-within 1h', 'countersign holds approve CS-7F3K CS-BN28 CS-0Q4D'],
    run: release(approving, grantOptions),
  },
  { path: ['holds', 'deny'], summary: 'Deny a held action', usage: 'ID|CODE… --reason TEXT', options: denyOptions, examples: ["countersign holds deny CS-7F3K --reason 'Use the masked view.'"], run: deny },
  {
    path: ['holds', 'break-glass'],
    summary: 'Release a held action alone, in an emergency',
    usage: 'ID|CODE --reason TEXT [--digest sha256:…] | ID --yes --code CS-XXXX --reason TEXT',
    details: 'For those whom the rules name for that, and never for an action of their own. Everybody who would have had to agree is told, and one of them has to review it within 72 hours.',
    options: approveOptions,
    examples: ["countersign holds break-glass CS-7F3K --reason 'Incident 4711: the shop is down, nobody answers.'"],
    run: release(breaking, approveOptions),
  },
  { path: ['holds', 'review'], summary: 'Review what was released in an emergency', usage: 'ID|CODE --note TEXT', options: reviewOptions, examples: ["countersign holds ls --review", "countersign holds review CS-7F3K --note 'In order; see the incident report.'"], run: review },
  { path: ['holds', 'hand-over'], summary: 'Ask somebody else to look at a held action', usage: 'ID|CODE --group NAME | --to SUBJECT [--issuer ISSUER] [--note TEXT]', details: 'They find it in their inbox, and the channels tell it. Who may decide stays what the rules say.', options: handOverOptions, examples: ["countersign holds hand-over CS-7F3K --group security --note 'Is this the new tenant?'", 'countersign holds hand-over CS-7F3K --to carol'], run: handOver },
  { path: ['holds', 'withdraw'], summary: 'Take back an action of your own', usage: 'ID|CODE', options: withdrawOptions, examples: ['countersign holds withdraw CS-7F3K'], run: withdraw },
]
