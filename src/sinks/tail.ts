import { setTimeout as pause } from 'node:timers/promises'
import type { Journal, JournalCursor, JournalLine } from '../audit/journal.ts'
import { freeText } from '../audit/free-text.ts'
import { longestLine } from '../audit/segment.ts'
import { causeText } from '../model/refusal.ts'
import { makeArrivals } from './arrivals.ts'
import type { Bookmark } from './bookmark.ts'
import type { DeadLetters } from './dead-letters.ts'
import { Busy } from '../lib/receiver.ts'
import { LineRefused, type Sink } from './sink.ts'

export interface SinkState {
  readonly sink: string
  readonly kind: string
  readonly delivered: number
  /** Lines that the place refused for good. */
  readonly dead: number
  /** How old the oldest line is that has not arrived; 0 when nothing waits. */
  readonly behindMs: number
  readonly lastId?: string
  /** Since the last delivery that went through. */
  readonly lastError?: string
}

export interface Tail extends AsyncDisposable {
  state(): SinkState
  /** Resolves when everything that stands in the journal by now has arrived, or when the signal fires. */
  caughtUp(signal: AbortSignal): Promise<void>
  /** Resolves when the place has this record of the running start; rejects when it refused it for good, when it takes nothing for so long already, and when the signal fires. */
  arrived(id: string, withinMs: number, signal: AbortSignal): Promise<void>
}

export interface TailParts {
  readonly name: string
  readonly kind: string
  readonly sink: Sink<JournalLine>
  readonly journal: Pick<Journal, 'read' | 'more' | 'append'>
  readonly bookmark: Bookmark
  readonly deadLetters: DeadLetters
  readonly warn: (fields: object, message: string) => void
  readonly pace?: Partial<typeof usualPace>
}

/** Lines gather for `linger` so that a busy journal leaves in batches. Waits between tries grow from `first` to `longest`, each shortened by chance, so that replicas do not come back together. */
export const usualPace = { lingerMs: 50, firstMs: 200, longestMs: 30_000, triesOfOneLine: 3, lostEveryMs: 60_000 }

/*
 * read ─▶ deliver ─▶ remember the position ─▶ read …
 *            └ failed: the same lines again, later, for ever. What stands in the journal is the queue; nothing is kept here but one batch.
 *            └ refused for good: halves, down to the one line that it is about; after some tries that line goes to the dead letters.
 */
export const makeTail = ({ name, kind, sink, journal, bookmark, deadLetters, warn, pace = {} }: TailParts): Tail => {
  const { lingerMs, firstMs, longestMs, triesOfOneLine, lostEveryMs } = { ...usualPace, ...pace }
  const stop = new AbortController()
  const { signal } = stop
  let cursor: JournalCursor | undefined = bookmark.read()
  let delivered = 0
  let lost = 0
  let untold = 0
  let whyLost = ''
  let toldAt = Number.NEGATIVE_INFINITY
  let lastId: string | undefined
  let lastError: string | undefined
  let oldest: number | undefined
  let idleSince = 0
  let failingSince: number | undefined
  const arrivals = makeArrivals()
  const idle = new Set<() => void>()

  const attempt = async (lines: readonly JournalLine[]): Promise<void> => {
    const deadline = AbortSignal.timeout(sink.timeoutMs)
    const late = (): void => complain(`no answer within ${sink.timeoutMs} ms`)
    deadline.addEventListener('abort', late, { once: true })
    // Made anew for each: what is raced against a promise that never settles stays in memory with it.
    const stopped = Promise.withResolvers<never>()
    const stopping = (): void => stopped.reject(new Error('stopped'))
    signal.addEventListener('abort', stopping, { once: true })
    try {
      // A sink that cannot be stopped (a full pipe, a hanging disk) is waited for, never handed the same lines beside themselves.
      await Promise.race([sink.deliver(lines, AbortSignal.any([deadline, signal])), stopped.promise])
    } finally {
      deadline.removeEventListener('abort', late)
      signal.removeEventListener('abort', stopping)
    }
    delivered += lines.length
    lastId = lines.at(-1)?.id
    lastError = undefined
    failingSince = undefined
    const safe = sink.safe === undefined ? lastId : sink.safe()
    if (safe !== undefined) arrivals.reached(safe)
  }

  /** Returns when each of the lines has arrived or is a dead letter; throws only when stopped. */
  const deliver = async (lines: readonly JournalLine[]): Promise<void> => {
    for (let tries = 1; ; tries++) {
      try {
        return await attempt(lines)
      } catch (error) {
        if (signal.aborted) throw error
        complain(freeText(causeText(error) ?? 'unknown'))
        if (error instanceof LineRefused) {
          if (lines.length > 1) {
            const half = lines.length >> 1
            await deliver(lines.slice(0, half))
            return await deliver(lines.slice(half))
          }
          if (tries >= triesOfOneLine) return bury(lines[0]!, error.message)
        }
        await pause(error instanceof Busy ? error.retryAfterMs : waitAfter(tries), undefined, { signal })
      }
    }
  }

  const complain = (cause: string): void => {
    failingSince ??= Date.now()
    if (lastError !== cause) warn({ sink: name, cause }, 'a sink or a witness takes nothing now; what it is owed waits in the journal')
    lastError = cause
  }

  const waitAfter = (tries: number): number => Math.min(firstMs * 2 ** Math.min(tries - 1, 20), longestMs) * (0.5 + Math.random() / 2)

  const bury = (line: JournalLine, cause: string): void => {
    deadLetters.keep(line, cause)
    arrivals.refused(line.id)
    failingSince = undefined // it answered, and about this line only
    lost++
    whyLost = freeText(cause)
    // The news that this sink lost something may itself be refused: that is not news, or it would never end.
    if (!(line.text.includes('"type":"records-lost"') && line.text.includes(`"sink":${JSON.stringify(name)}`))) untold++
  }

  const tellLost = (): void => {
    if (untold === 0 || Date.now() - toldAt < lostEveryMs) return
    toldAt = Date.now()
    const count = untold
    untold = 0
    journal.append({ type: 'records-lost', sink: name, count, cause: whyLost }, 'queued').catch(() => {})
  }

  /** Waits a part of the time that lines may gather, and says that they should be read again; not when the batch is full, its time has come, or somebody waits for all of it. */
  const gathered = async (lines: readonly JournalLine[]): Promise<boolean> => {
    const { gatherMs = 0, limits } = sink
    const left = Math.min(timeOf(lines[0]!) + gatherMs - Date.now(), gatherMs)
    if (left <= 0 || idle.size > 0 || arrivals.waiting() > 0 || lines.length >= limits.lines || sizeOf(lines) > limits.bytes - longestLine) return false
    await Promise.race([pause(Math.min(left, gatherMs / 20, 15_000), undefined, { signal, ref: false }), arrivals.wanted()])
    return true
  }

  const run = async (): Promise<void> => {
    let news: Promise<void> | undefined
    while (!signal.aborted) {
      news ??= journal.more(signal).then(() => void (news = undefined))
      if (arrivals.waiting() > 0) await sink.urge?.()
      const from = Date.now()
      const batch = await journal.read(cursor, sink.limits)
      if (batch.lines.length === 0) {
        oldest = undefined
        idleSince = from
        await bookmark.save()
        for (const wake of idle) wake()
        await Promise.race([news, arrivals.wanted(), ...(untold > 0 ? [pause(lostEveryMs, undefined, { signal, ref: false }).catch(() => {})] : [])])
        tellLost()
        if (!signal.aborted) await linger()
        continue
      }
      oldest = timeOf(batch.lines[0]!)
      if (await gathered(batch.lines)) continue
      await deliver(batch.lines)
      cursor = batch.cursor
      if (cursor !== undefined) await bookmark.move(cursor)
      tellLost()
    }
  }

  /** Whoever waits for a record is not made to wait for company. */
  const linger = async (): Promise<void> => {
    if (arrivals.waiting() > 0 || idle.size > 0) return
    const over = new AbortController()
    try {
      await Promise.race([pause(lingerMs, undefined, { signal: AbortSignal.any([signal, over.signal]), ref: false }), arrivals.wanted()])
    } finally {
      over.abort()
    }
  }

  const running = (async () => {
    for (let tries = 1; !signal.aborted; tries++) {
      try {
        await run()
      } catch (error) {
        if (signal.aborted) return
        lastError = freeText(causeText(error) ?? 'unknown')
        warn({ sink: name, cause: lastError }, 'audit sink could not go on')
        await pause(waitAfter(tries), undefined, { signal, ref: false }).catch(() => {})
      }
    }
  })()

  return {
    state: () => ({ sink: name, kind, delivered, dead: lost, behindMs: oldest === undefined ? 0 : Math.max(0, Date.now() - oldest), ...(lastId === undefined ? {} : { lastId }), ...(lastError === undefined ? {} : { lastError }) }),
    caughtUp: async (until) => {
      const asked = Date.now()
      while (!until.aborted && !signal.aborted && idleSince <= asked) {
        const { promise, resolve } = Promise.withResolvers<void>()
        idle.add(resolve)
        arrivals.hurry()
        // An idle tail looks again only when something is written: its empty read may lie before this question.
        await Promise.race([promise, pause(lingerMs, undefined, { signal: until }).catch(() => {})])
        idle.delete(resolve)
        if (oldest === undefined && idleSince <= asked && (await journal.read(cursor, { lines: 1, bytes: 1 })).lines.length === 0) return
      }
    },
    arrived: async (id, withinMs, until) => {
      if (failingSince !== undefined && Date.now() - failingSince > withinMs) throw new Error(`${name} takes no records: ${lastError ?? 'unknown'}`)
      await arrivals.of(id, until).catch((error: unknown) => {
        throw new Error(`${name}: ${causeText(error)}${lastError === undefined ? '' : ` (${lastError})`}`)
      })
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      arrivals.end()
      await running
      await bookmark.save()
      await sink[Symbol.asyncDispose]()
    },
  }
}

const sizeOf = (lines: readonly JournalLine[]): number => lines.reduce((sum, { text }) => sum + text.length + 1, 0)

const timeOf = ({ text }: JournalLine): number => {
  const time = Date.parse(/"time":"([^"]+)"/.exec(text.slice(0, 400))?.[1] ?? '')
  return Number.isFinite(time) ? time : Date.now()
}
