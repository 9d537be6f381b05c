import { pino } from 'pino'
import type { Sink } from './sink.ts'

/**
 * Journal lines as they are, one JSON object each, through pino's destination, which survives a slow reader (EAGAIN) and half-taken writes.
 * The events are not logged through pino's formatter: they are JSON already, and parsing and printing them again would cost more than writing them did.
 * Taken means: the kernel has it. A pipe can promise no more.
 */
export const makeStdoutSink = (fd = 1): Sink => {
  const out = pino.destination({ fd, sync: false, minLength: 0 })
  let broken: Error | undefined
  out.on('error', (error: Error) => {
    broken = error
  })
  const hand = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      out.write(text)
      out.flush((error) => (error ? reject(error) : resolve()))
    })

  return {
    limits: { lines: 1_000, bytes: 256 * 1024 },
    timeoutMs: 10_000,
    deliver: async (lines) => {
      if (broken) throw broken
      await hand(`${lines.map(({ sent }) => sent).join('\n')}\n`)
    },
    [Symbol.asyncDispose]: async () => {
      if (!broken && fd > 2) out.end()
    },
  }
}
