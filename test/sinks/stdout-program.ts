import { makeSinks } from '../../src/sinks/sinks.ts'
import { open } from '../audit/audit-samples.ts'

const directory = process.argv[2] ?? ''
await using journal = await open(directory)
await using sinks = makeSinks([{ kind: 'stdout', name: 'place' }], { journal, directory, replica: 'r1', log: { warn: () => {} } })
await sinks.drain(5_000)
