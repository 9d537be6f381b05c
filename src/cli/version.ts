import { readFileSync } from 'node:fs'
import { parseOptions, type Command } from './command.ts'
import { exit } from './io.ts'

export const versionOfProgram = (): string => (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version

export const versionCommand: Command = {
  path: ['version'],
  summary: 'Print the version',
  usage: '',
  options: {},
  examples: ['countersign version'],
  run: async (args, io) => {
    parseOptions(args, {})
    io.stdout.write(`countersign ${versionOfProgram()} (node ${process.versions.node})\n`)
    return exit.ok
  },
}
