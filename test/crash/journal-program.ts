import { open, started } from '../audit/audit-samples.ts'

/** Thirty-two writers that say each record's number on standard output once it is acknowledged as synced. Lives until it is killed. */
const [directory = '', run = '0'] = process.argv.slice(2)
const journal = await open(directory, { segmentBytes: 200_000 })
let next = 0
const writer = async (): Promise<void> => {
  for (;;) {
    const attempt = `run${run}-${next++}`
    await journal.append(started(attempt), 'synced')
    process.stdout.write(`${attempt}\n`)
  }
}
await Promise.all(Array.from({ length: 32 }, writer))
