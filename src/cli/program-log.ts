import { pino, type Logger } from 'pino'
import { freeText } from '../audit/free-text.ts'
import { causeText } from '../model/refusal.ts'

/* The program's own log: what it does and what troubles it, for operators. */

/** Names, numbers and places that are ours or the configuration's. */
const plain: ReadonlySet<string> = new Set([
  'address', 'admin', 'again', 'app', 'attempt', 'byMs', 'channel', 'code', 'columns', 'console', 'conversation', 'generation', 'grant', 'hold', 'http', 'killedBy', 'mark', 'method', 'policyVersion', 'postgres', 'result', 'service', 'signal', 'sink', 'state', 'tenants', 'tries', 'used', 'verb', 'what', 'worker',
])
/** Words of drivers, networks, files and strangers: what could be a secret in them is masked. */
const free: ReadonlySet<string> = new Set(['cause', 'path', 'problem', 'problems', 'user'])

const notShown = '[not shown]'

const masked = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(masked)
  if (value instanceof Error) return freeText(causeText(value) ?? '')
  return typeof value === 'string' ? freeText(value) : typeof value === 'object' && value !== null ? notShown : value
}

const errorShown = (error: unknown): unknown => {
  if (!(error instanceof Error)) return masked(error)
  const { message, stack = '' } = error
  const frames = stack.slice(stack.indexOf(message) + message.length).split('\n').filter((line) => line.startsWith('    at '))
  return { type: error.name, message: masked(error), stack: frames.join('\n') }
}

const shown = (key: string, value: unknown): unknown => (key === 'err' ? errorShown(value) : plain.has(key) ? value : free.has(key) ? masked(value) : notShown)

/** By schema: a field that is not named above is not shown, so that nothing is told because it happened to be there. */
const fields = (object: Record<string, unknown>): Record<string, unknown> => Object.fromEntries(Object.entries(object).map(([key, value]) => [key, shown(key, value)]))

export const makeProgramLog = (level: string, base: Readonly<Record<string, number>>, write: (line: string) => void): Logger =>
  pino({ level, base, timestamp: pino.stdTimeFunctions.isoTime, formatters: { log: fields }, serializers: { err: (error: unknown) => error }, hooks: { logMethod: sayNothingTwice } }, { write })

/** An error alone would become the message as it stands. */
function sayNothingTwice(this: Logger, args: unknown[], method: (...all: unknown[]) => void): void {
  const [first, ...rest] = args
  method.apply(this, first instanceof Error ? [{ err: first }, ...(rest.length > 0 ? rest : ['failed'])] : args)
}
