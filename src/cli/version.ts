import { version } from '../lib/version.ts'
import { parseOptions, type Command } from './command.ts'
import { exit } from './io.ts'

export const versionCommand: Command = {
  path: ['version'],
  summary: 'Print the version',
  usage: '',
  options: {},
  examples: ['countersign version'],
  run: async (args, io) => {
    parseOptions(args, {})
    io.stdout.write(`countersign ${version} (node ${process.versions.node})\n`)
    return exit.ok
  },
}
