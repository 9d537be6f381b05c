import { parseOptions, type Command, type Options } from './command.ts'
import { exit, type Io } from './io.ts'

const options = { config: { type: 'string', short: 'c', value: 'FILE', help: 'the configuration (COUNTERSIGN_CONFIG, or countersign.yaml here)' } } as const satisfies Options

export const configFileOf = (given: string | undefined, io: Pick<Io, 'env'>): string => given ?? io.env['COUNTERSIGN_CONFIG'] ?? 'countersign.yaml'

interface Program {
  serve(request: { readonly configFile: string; readonly io: Io }): Promise<number | void>
}

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, options)
  // Loaded only now: no other command should wait for the whole program.
  const program = (await import(new URL('../main.ts', import.meta.url).href)) as Program
  const code = await program.serve({ configFile: configFileOf(values.config, io), io })
  return typeof code === 'number' ? code : exit.ok
}

export const serveCommand: Command = {
  path: ['serve'],
  summary: 'Run the proxy and the approvals server',
  usage: '[--config FILE]',
  details: 'Runs until SIGTERM or SIGINT, then lets what runs end. SIGHUP reloads the configuration.',
  options,
  examples: ['countersign serve --config /etc/countersign/countersign.yaml'],
  run,
}
