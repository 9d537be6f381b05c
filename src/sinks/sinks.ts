import type { Journal } from '../audit/journal.ts'
import { openBookmark } from './bookmark.ts'
import { openDeadLetters } from './dead-letters.ts'
import { makeDatadogSink } from './datadog.ts'
import { makeElasticSink } from './elastic.ts'
import { makeFileSink } from './file.ts'
import { inFormat } from './format.ts'
import { makeHttpSink } from './http.ts'
import { makeKafkaSink } from './kafka/kafka.ts'
import type { SinkOptions } from './options.ts'
import { makeOpenLineageSink } from './openlineage.ts'
import { makeOtlpSink } from './otlp.ts'
import { makeRedisSink } from './redis.ts'
import { makeS3Sink } from './s3.ts'
import type { Sink } from './sink.ts'
import { makeSplunkSink } from './splunk.ts'
import { makeStdoutSink } from './stdout.ts'
import { makeSyslogSink } from './syslog.ts'
import { makeTail, type SinkState, type usualPace } from './tail.ts'

export interface SinksParts {
  readonly journal: Pick<Journal, 'read' | 'more' | 'append'>
  /** Those of the journal: positions are kept beside its files. */
  readonly directory: string
  readonly replica: string
  readonly log: { warn(fields: object, message: string): void }
  readonly pace?: Partial<typeof usualPace>
}

export interface Sinks extends AsyncDisposable {
  state(): readonly SinkState[]
  /** Resolves when each of these sinks (all, if none is named) has this record; rejects when one of them refused it, takes nothing for so long already, or has not got it when the signal fires. */
  arrived(id: string, names: readonly string[], withinMs: number, signal: AbortSignal): Promise<void>
  /** Before the program ends: waits until every sink has all that stands in the journal, but no longer than this. */
  drain(ms: number): Promise<void>
  /** Log files were moved: open them anew. Wired to SIGHUP. */
  reopen(): void
}

/** The name becomes part of file names. */
const sinkName = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/

/** Starts one tail for each sink. None of them can delay an action: they read what is in the files, at their own pace. */
export const makeSinks = (options: readonly SinkOptions[], { journal, directory, replica, log, pace }: SinksParts): Sinks => {
  const names = options.map(({ name }) => name)
  for (const name of names) if (!sinkName.test(name)) throw new Error(`sink name ${JSON.stringify(name)}: letters, digits, dash and underscore only`)
  if (new Set(names).size !== names.length) throw new Error('two audit sinks have one name, and would share one position')
  const warn = log.warn.bind(log)
  const home = `${directory}/${replica}`
  const started = options.map((option) => {
    const sink = inFormat(option.format ?? 'record', makeSink(option, home))
    const { name, kind } = option
    return { name, sink, tail: makeTail({ name, kind, sink, journal, bookmark: openBookmark(`${home}/cursors`, name, warn), deadLetters: openDeadLetters(`${home}/${name}.dead`, warn), warn, ...(pace ? { pace } : {}) }) }
  })
  return {
    state: () => started.map(({ tail }) => tail.state()),
    arrived: async (id, wanted, withinMs, signal) => {
      const asked = started.filter(({ name }) => wanted.length === 0 || wanted.includes(name))
      if (asked.length === 0) throw new Error('there is no sink')
      await Promise.all(asked.map(({ tail }) => tail.arrived(id, withinMs, signal)))
    },
    drain: async (ms) => {
      const deadline = AbortSignal.timeout(ms)
      await Promise.all(started.map(({ tail }) => tail.caughtUp(deadline)))
    },
    reopen: () => {
      for (const { sink } of started) sink.reopen?.()
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(started.map(({ tail }) => tail[Symbol.asyncDispose]()))
    },
  }
}

/** `undefined`: nothing can be asked there without sending a record. */
export const checkSink = async (options: SinkOptions, signal: AbortSignal): Promise<string | undefined> => {
  if (options.kind === 'openlineage') return undefined // it keeps files, and they belong to the process that runs
  await using sink = makeSink(options, '')
  return await sink.check?.(signal)
}

const makeSink = (options: SinkOptions, home: string): Sink => {
  switch (options.kind) {
    case 'stdout':
      return makeStdoutSink()
    case 'file':
      return makeFileSink(options.path)
    case 'http':
      return makeHttpSink(options)
    case 'redis':
      return makeRedisSink(options)
    case 'elastic':
      return makeElasticSink(options)
    case 'splunk':
      return makeSplunkSink(options)
    case 'datadog':
      return makeDatadogSink(options)
    case 'otlp':
      return makeOtlpSink(options)
    case 'syslog':
      return makeSyslogSink(options)
    case 's3':
      return makeS3Sink(options)
    case 'openlineage':
      return makeOpenLineageSink(options, home)
    case 'kafka':
      return makeKafkaSink(options)
  }
}
