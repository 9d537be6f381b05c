import assert from 'node:assert/strict'
import { type Asked, type Dialect, idOf } from './strict-place.ts'

/* What each place wants to see, and how it answers. From the documents of their makers; where those differ from real ones, these are wrong with them. */

const json = (text: string): Record<string, unknown> => {
  const value: unknown = JSON.parse(text)
  assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value), 'a JSON object')
  return value as Record<string, unknown>
}

const lines = ({ body }: Asked): readonly string[] => {
  const text = body.toString()
  assert.ok(text.endsWith('\n'), 'the last line ends')
  return text.slice(0, -1).split('\n')
}

const said = (asked: Asked, wanted: Readonly<Record<string, string>>): void => {
  for (const [name, value] of Object.entries(wanted)) assert.equal(asked.headers[name], value, `header ${name}`)
}

const asWhole = (fates: readonly string[], good: number): { readonly status: number } => ({ status: fates.includes('bad') ? 400 : fates.includes('busy') ? 500 : good })

export const ndjson: Dialect = {
  read: (asked) => {
    said(asked, { 'content-type': 'application/x-ndjson' })
    return lines(asked).map((line) => (json(line), line))
  },
  answer: (_texts, fates) => asWhole(fates, 200),
}

export const jsonArray: Dialect = {
  read: (asked) => {
    said(asked, { 'content-type': 'application/json' })
    return (JSON.parse(asked.body.toString()) as unknown[]).map((line) => JSON.stringify(line))
  },
  answer: (_texts, fates) => asWhole(fates, 200),
}

const bulkStatus = { taken: 201, there: 409, busy: 429, bad: 400 } as const
const bulkError = { taken: undefined, there: 'version_conflict_engine_exception', busy: 'es_rejected_execution_exception', bad: 'document_parsing_exception' } as const

export const elastic: Dialect = {
  byLine: true,
  keepsOnce: true,
  read: (asked) => {
    assert.deepEqual([asked.method, asked.path], ['POST', '/audit-log/_bulk'])
    said(asked, { 'content-type': 'application/x-ndjson', authorization: 'ApiKey key-1' })
    const pairs = lines(asked)
    assert.equal(pairs.length % 2, 0)
    return pairs.flatMap((line, index) => {
      if (index % 2 === 0) return []
      const { '@timestamp': at, ...record } = json(line)
      assert.deepEqual(json(pairs[index - 1] ?? ''), { create: { _id: record['id'] } })
      assert.equal(at, record['time'])
      return [JSON.stringify(record)]
    })
  },
  answer: (texts, fates) => ({ status: 200, body: { items: texts.map((text, index) => ({ create: { _id: idOf(text), status: bulkStatus[fates[index] ?? 'bad'], ...(bulkError[fates[index] ?? 'bad'] === undefined ? {} : { error: { type: bulkError[fates[index] ?? 'bad'], reason: 'as told' } }) } })) } }),
}
