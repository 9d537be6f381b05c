import { isMainThread } from 'node:worker_threads'

/** Loaded into every test file: one that stays open after its last test fails and says what it left open, instead of never ending. */
const graceMs = 30_000

if (isMainThread && process.argv[1]?.endsWith('.test.ts')) {
  const { after } = await import('node:test')
  after(() => {
    setTimeout(() => {
      process.stderr.write(`still open after the last test: ${process.getActiveResourcesInfo().join(', ')}\n`)
      process.exit(1)
    }, graceMs).unref()
  })
}
