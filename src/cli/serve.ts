import { parseOptions, type Command, type Options } from './command.ts'
import type { Io } from './io.ts'

const options = { config: { type: 'string', short: 'c', value: 'FILE', help: 'the configuration (COUNTERSIGN_CONFIG, or countersign.yaml here)' } } as const satisfies Options

export const configFileOf = (given: string | undefined, io: Pick<Io, 'env'>): string => given ?? io.env['COUNTERSIGN_CONFIG'] ?? 'countersign.yaml'

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, options)
  // Loaded only now: no other command should wait for the whole program.
  const { serve } = await import('./serving.ts')
  return serve(configFileOf(values.config, io), io)
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
