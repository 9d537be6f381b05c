import { mkdirSync, readFileSync } from 'node:fs'
import { parseLine } from '../audit/line.ts'
import { isObject, type RecordData } from '../audit/record-data.ts'
import { version } from '../lib/version.ts'
import { replaceFile } from './bookmark.ts'
import type { OptionsOf } from './options.ts'
import { isGood, makePost, refusalOf } from './post.ts'
import { advance, noRuns, type OpenRun, type Runs } from './run-events.ts'
import type { Sink } from './sink.ts'

/**
 * OpenLineage by HTTP: one event a request, as all its consumers take them. Which runs are open is on disk before a batch counts as taken,
 * and so before the position behind it: after a crash the same records make the same events again.
 */
export const makeOpenLineageSink = (options: OptionsOf<'openlineage'>, home: string): Sink => {
  const post = makePost(options)
  const headers = { 'content-type': 'application/json', ...(options.authorization ? { authorization: options.authorization.reveal() } : {}) }
  const about = { namespaces: new Map(options.namespaces), producer: `urn:countersign:${version}` }
  const memory = openMemory(`${home}/cursors`, options.name)
  let runs = memory.runs
  return {
    limits: { lines: 100, bytes: 1024 * 1024 },
    timeoutMs: options.timeoutMs,
    deliver: async (lines, signal) => {
      const next = advance(runs, lines.map(({ text }): RecordData => parseLine(text) ?? {}), about)
      for (const event of next.events) {
        const answer = await post.send({ url: options.url, headers, body: JSON.stringify(event) }, signal)
        if (!isGood(answer)) throw refusalOf(answer)
      }
      if (next.events.length > 0) await memory.save(next.runs)
      runs = next.runs
    },
    [Symbol.asyncDispose]: () => post[Symbol.asyncDispose](),
  }
}

const openMemory = (directory: string, name: string): { readonly runs: Runs; save(runs: Runs): Promise<void> } => {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = `${directory}/${name}.runs.json`
  return {
    runs: readRuns(path),
    save: ({ open, ended }) => replaceFile(directory, path, JSON.stringify({ open: [...open], ended })),
  }
}

/** Without it the ends of what ran meanwhile are not told; nothing else is lost. */
const readRuns = (path: string): Runs => {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (!isObject(value) || !Array.isArray(value['open']) || !Array.isArray(value['ended'])) return noRuns
    return { open: new Map(value['open'] as [string, OpenRun][]), ended: value['ended'] as string[] }
  } catch {
    return noRuns
  }
}
