import { resolve } from 'node:path'
import { freeText } from '../audit/free-text.ts'
import { loadConfig } from '../config/load.ts'
import { formatProblem } from '../lib/problem.ts'
import { visible } from '../lib/visible.ts'
import { causeText } from '../model/refusal.ts'
import type { SinkOptions } from '../sinks/options.ts'
import { checkSink } from '../sinks/sinks.ts'
import { type Command, type Options, parseOptions } from './command.ts'
import type { ConfigIo } from './config.ts'
import { exit } from './io.ts'
import { configFileOf } from './serve.ts'

const options = {
  config: { type: 'string', short: 'c', value: 'FILE', help: 'the configuration (COUNTERSIGN_CONFIG, or countersign.yaml here)' },
  json: { type: 'boolean', help: 'one JSON array on standard output' },
  check: { type: 'boolean', help: 'ask the places whether each would take records, without sending any' },
} as const satisfies Options

interface Described {
  readonly name: string
  readonly kind: string
  readonly format: string
  /** A host, a file, or nothing for standard output. */
  readonly place: string
  /** Of `--check`. Without `ok` it was not asked. */
  readonly finding?: { readonly ok?: boolean; readonly text: string }
}

const placeOf = (sink: SinkOptions): string => {
  switch (sink.kind) {
    case 'stdout':
      return '-'
    case 'file':
      return sink.path
    case 'syslog':
      return `${sink.host}:${sink.port}`
    case 'kafka':
      return sink.brokers.map(({ host, port }) => `${host}:${port}`).join(',')
    case 'redis':
      return new URL(sink.url.reveal()).host
    default:
      return new URL(sink.url).host
  }
}

const checkWithinMs = 20_000

const findingOf = async (sink: SinkOptions): Promise<Described['finding']> => {
  try {
    const text = await checkSink(sink, AbortSignal.timeout(checkWithinMs))
    return text === undefined ? { text: 'not asked: only sending would tell' } : { ok: true, text }
  } catch (error) {
    return { ok: false, text: freeText(causeText(error) ?? 'unknown') }
  }
}

const textOf = ({ name, kind, format, place, finding }: Described): string => `${[name, kind, format, place].map(visible).join('  ')}\n${finding === undefined ? '' : `  ${finding.ok === undefined ? '-   ' : finding.ok ? 'ok  ' : 'FAIL'} ${visible(finding.text)}\n`}`

const showSinks = async (args: readonly string[], io: ConfigIo): Promise<number> => {
  const { values } = parseOptions(args, options)
  const { config, problems } = await loadConfig(resolve(io.cwd, configFileOf(values.config, io)), io.env)
  if (problems) {
    for (const problem of problems) io.stderr.write(`${formatProblem(problem)}\n`)
    return exit.invalid
  }
  const described = await Promise.all(
    config.sinks.map(async (sink): Promise<Described> => {
      const finding = values.check === true ? await findingOf(sink) : undefined
      return { name: sink.name, kind: sink.kind, format: sink.kind === 'openlineage' ? 'run-event' : (sink.format ?? 'record'), place: placeOf(sink), ...(finding === undefined ? {} : { finding }) }
    }),
  )
  if (values.json === true) io.stdout.write(`${JSON.stringify(described)}\n`)
  else if (described.length === 0) io.stderr.write('No audit sinks are configured.\n')
  else for (const one of described) io.stdout.write(textOf(one))
  return described.some(({ finding }) => finding?.ok === false) ? exit.failure : exit.ok
}

export const sinkCommands: readonly Command[] = [
  { path: ['sinks'], summary: 'Show the configured audit sinks, and whether they would take records', usage: '', details: 'Reads the configuration of this machine. With --check it asks Elasticsearch, Splunk, OpenTelemetry collectors, syslog receivers, Kafka and Redis whether they let us in; nothing is sent that they would keep. Of the other kinds only sending would tell. How far a running server is with each, /readyz of its admin listener says.', options, examples: ['countersign sinks', 'countersign sinks --check', 'countersign sinks --check --json'], run: showSinks },
]
