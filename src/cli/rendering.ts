import { styleText } from 'node:util'
import { stringify } from 'yaml'
import { terminalText } from '../lib/terminal-text.ts'
import type { Option } from './command.ts'
import type { Io } from './io.ts'

export type Format = 'table' | 'json' | 'yaml' | 'jsonl' | 'name'

export const outputOption = (...choices: readonly Format[]): Option => ({ type: 'string', short: 'o', value: 'FORMAT', help: 'how to print', choices })

/** Characters that could move a cursor or hide, spelled out inside JSON strings: the value stays the same for whoever parses it. */
const harmless = (json: string): string => json.replace(/[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => [...Array(character.length).keys()].map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`).join(''))

export const toJson = (value: unknown): string => `${harmless(JSON.stringify(value, undefined, 2))}\n`
export const toJsonLine = (value: unknown): string => `${harmless(JSON.stringify(value))}\n`
export const toYaml = (value: unknown): string => harmless(stringify(value, { defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN', blockQuote: false, lineWidth: 0, aliasDuplicateObjects: false }))

/** Text of strangers, line by line behind a bar, so that no line of it can pass for one of ours. */
export const quotedText = (text: string): string => text.split('\n').map((line) => `  | ${terminalText(line)}\n`).join('')

export const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

export const cell = (text: string, width: number): string => {
  const safe = terminalText(text.replaceAll(/\s+/g, ' ').trim())
  return safe.length > width ? `${safe.slice(0, width - 1)}…` : safe
}

export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)))
  return [head, ...rows].map((row) => `${row.map((text, at) => (at === row.length - 1 ? text : text.padEnd(widths[at] ?? 0))).join('  ')}\n`).join('')
}

export const hasColour = (io: Io, output: 'stdout' | 'stderr' = 'stdout'): boolean => io[output].isTTY === true && !io.env['NO_COLOR'] && io.env['TERM'] !== 'dumb'

const colours: Readonly<Record<string, 'yellow' | 'green' | 'red' | 'gray' | 'cyan'>> = { pending: 'yellow', approved: 'green', executed: 'green', denied: 'red', failed: 'red', unknown: 'red', running: 'cyan', expired: 'gray', withdrawn: 'gray' }

export const stateText = (state: string, io: Io, width = 0): string => {
  const text = terminalText(state).padEnd(width)
  const colour = colours[state]
  return colour !== undefined && hasColour(io) ? styleText(colour, text, { validateStream: false }) : text
}

export const timeLeft = (deadline: string): string => {
  const seconds = Math.max(0, Math.round((Date.parse(deadline) - Date.now()) / 1000))
  if (Number.isNaN(seconds)) return ''
  return seconds < 120 ? `${seconds}s` : seconds < 7_200 ? `${Math.round(seconds / 60)}m` : `${Math.round(seconds / 3600)}h`
}
