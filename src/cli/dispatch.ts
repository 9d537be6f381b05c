import { nearest } from '../lib/nearest.ts'
import type { Command } from './command.ts'
import type { Commands } from './commands.ts'
import { helpFor, overview } from './help.ts'
import { exit, Failure, type Io } from './io.ts'

/** Finds the command and runs it; the one place where what went wrong becomes a message and an exit code. */
export const dispatch = async (commands: Commands, argv: readonly string[], io: Io): Promise<number> => {
  const words = argv[0] === 'help' ? argv.slice(1) : argv
  const wantsHelp = argv[0] === 'help' || beforeDashes(argv).some((arg) => arg === '--help' || arg === '-h')
  if (words.length === 0 || (words.length === 1 && wantsHelp && words[0]?.startsWith('-'))) {
    ;(wantsHelp ? io.stdout : io.stderr).write(overview(await commands.all()))
    return wantsHelp ? exit.ok : exit.usage
  }
  if (words[0] === '--version' || words[0] === '-V') return dispatch(commands, ['version'], io)
  const command = await commands.named(words)
  if (command === undefined) return unknown(await commands.all(), words, wantsHelp, io)
  if (wantsHelp) {
    io.stdout.write(helpFor(command))
    return exit.ok
  }
  try {
    return await command.run(words.slice(command.path.length), io)
  } catch (error) {
    if (io.signal.aborted) return exit.interrupted
    if (!(error instanceof Failure)) throw error
    io.stderr.write(`countersign: ${error.message}\n`)
    if (error.code === exit.usage) io.stderr.write(`usage: countersign ${[...command.path, command.usage].join(' ').trim()}\n`)
    return error.code
  }
}

const beforeDashes = (argv: readonly string[]): readonly string[] => (argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv)

const unknown = (commands: readonly Command[], words: readonly string[], wantsHelp: boolean, io: Io): number => {
  const [noun = '', verb] = words
  const family = commands.filter(({ path }) => path[0] === noun && path.length > 1)
  if (family.length > 0 && (verb === undefined || verb.startsWith('-'))) {
    ;(wantsHelp ? io.stdout : io.stderr).write(overview(family))
    return wantsHelp ? exit.ok : exit.usage
  }
  const near = family.length > 0 ? nearest(verb ?? '', family.map(({ path }) => path[1] ?? '')) : nearest(noun, commands.map(({ path }) => path[0] ?? ''))
  const name = JSON.stringify(family.length > 0 ? `${noun} ${verb}` : noun)
  io.stderr.write(`countersign: there is no command ${name}${near === undefined ? '' : `, did you mean ${family.length > 0 ? `${noun} ${near}` : near}?`}\nSee countersign --help.\n`)
  return exit.usage
}
