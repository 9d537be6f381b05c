import { makeTail, type SinkState, type usualPace } from './tail.ts'
import { makeWitnessSink, type WitnessedJournal, type WitnessOptions } from './witness.ts'

export interface Witnesses extends AsyncDisposable {
  state(): readonly SinkState[]
  /** Resolves when so many of them have seen the log up to this record; rejects when so many cannot any more, or have not when the signal fires. */
  arrived(id: string, needed: number, withinMs: number, signal: AbortSignal): Promise<void>
  /** Before the program ends: what stands in the journal is witnessed, but nobody waits longer than this. */
  drain(ms: number): Promise<void>
}

export interface WitnessesParts {
  readonly journal: WitnessedJournal
  readonly log: { warn(fields: object, message: string): void }
  readonly pace?: Partial<typeof usualPace>
}

/** One tail for each witness. It begins where this start of the replica begins, so there is no position to keep: what came before, the first record is chained to. */
export const makeWitnesses = (options: readonly WitnessOptions[], { journal, log, pace }: WitnessesParts): Witnesses => {
  const tails = options.map((option) =>
    makeTail({
      name: option.name,
      kind: 'witness',
      sink: makeWitnessSink(option, journal),
      journal,
      bookmark: { read: () => journal.beginning, move: async () => {}, save: async () => {} },
      deadLetters: { keep: () => {} },
      warn: log.warn.bind(log),
      pace: { lingerMs: option.everyMs, ...pace },
    }),
  )
  return {
    state: () => tails.map((tail) => tail.state()),
    arrived: (id, needed, withinMs, signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      let [seen, lost] = [0, 0]
      if (tails.length < needed) reject(new Error('there are not so many witnesses'))
      for (const tail of tails) {
        tail.arrived(id, withinMs, signal).then(
          () => void (++seen === needed && resolve()),
          (error: unknown) => void (++lost > tails.length - needed && reject(error)),
        )
      }
      return promise
    },
    drain: async (ms) => {
      const deadline = AbortSignal.timeout(ms)
      await Promise.all(tails.map((tail) => tail.caughtUp(deadline)))
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(tails.map((tail) => tail[Symbol.asyncDispose]()))
    },
  }
}
