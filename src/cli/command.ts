import { parseArgs } from 'node:util'
import { nearest } from '../lib/nearest.ts'
import { exit, Failure, type Io } from './io.ts'

export interface Option {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  /** What stands for the value in the help: `FILE`. */
  readonly value?: string
  readonly help: string
  /** Known values, for the check, the help and completion. */
  readonly choices?: readonly string[]
  readonly multiple?: boolean
}

export type Options = Readonly<Record<string, Option>>

export interface Command {
  /** `['holds', 'approve']` or `['login']`. */
  readonly path: readonly string[]
  readonly summary: string
  /** What follows the path: `ID [--reason TEXT]`. */
  readonly usage: string
  readonly details?: string
  readonly options: Options
  readonly examples: readonly string[]
  readonly run: (args: readonly string[], io: Io) => Promise<number>
}

/** The command that these words begin with. */
export const commandNamed = (commands: readonly Command[], words: readonly string[]): Command | undefined => commands.find(({ path }) => path.every((word, at) => words[at] === word))

type Value<O extends Option> = O['type'] extends 'boolean' ? boolean : O['multiple'] extends true ? string[] : string

/** Options and positionals, or a usage failure that names the option meant. */
export const parseOptions = <T extends Options>(args: readonly string[], options: T, positionals: { readonly min: number; readonly max: number } = { min: 0, max: 0 }): { readonly values: { readonly [K in keyof T]?: Value<T[K]> }; readonly positionals: readonly string[] } => {
  const config = Object.fromEntries(Object.entries(options).map(([name, { type, short, multiple }]) => [name, { type, ...(short ? { short } : {}), ...(multiple ? { multiple } : {}) }]))
  for (const arg of args) {
    if (arg === '--') break
    const [, name] = /^--([^=]+)/.exec(arg) ?? []
    if (name !== undefined && options[name] === undefined) {
      const near = nearest(name, Object.keys(options))
      throw new Failure(`unknown option --${name}${near === undefined ? '' : `, did you mean --${near}?`}`, exit.usage)
    }
  }
  let parsed
  try {
    parsed = parseArgs({ args: [...args], options: config, allowPositionals: true, strict: true })
  } catch (error) {
    throw new Failure(error instanceof Error ? error.message : String(error), exit.usage)
  }
  for (const [name, value] of Object.entries(parsed.values)) {
    const choices = options[name]?.choices
    if (choices && typeof value === 'string' && !choices.includes(value)) throw new Failure(`--${name} is one of ${choices.join(', ')}`, exit.usage)
  }
  if (parsed.positionals.length < positionals.min) throw new Failure('an argument is missing', exit.usage)
  if (parsed.positionals.length > positionals.max) throw new Failure(`do not know what to do with '${parsed.positionals[positionals.max]}'`, exit.usage)
  return { values: parsed.values as { readonly [K in keyof T]?: Value<T[K]> }, positionals: parsed.positionals }
}
