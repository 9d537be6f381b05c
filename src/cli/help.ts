import type { Command, Option } from './command.ts'

const columns = (rows: readonly (readonly [string, string])[]): string => {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join('')
}

const optionName = ([name, { short, value, type }]: readonly [string, Option]): string => `${short ? `-${short}, ` : '    '}--${name}${type === 'string' ? ` ${value ?? 'TEXT'}` : ''}`

export const overview = (commands: readonly Command[]): string =>
  `countersign: lets AI agents act, and holds the risky until a person has said yes\n\nCommands:\n${columns(commands.map(({ path, summary }) => [path.join(' '), summary]))}\nEvery command explains itself: countersign COMMAND --help\n`

export const helpFor = ({ path, summary, usage, details, options, examples }: Command): string => {
  const rows = Object.entries(options).map((entry): [string, string] => [optionName(entry), entry[1].choices ? `${entry[1].help} (${entry[1].choices.join(', ')})` : entry[1].help])
  return [
    `countersign ${[...path, usage].join(' ').trim()}\n\n${summary}\n`,
    details === undefined ? '' : `\n${details}\n`,
    rows.length > 0 ? `\nOptions:\n${columns(rows)}` : '',
    examples.length > 0 ? `\nExamples:\n${examples.map((example) => `  ${example}\n`).join('')}` : '',
  ].join('')
}
