import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { recordLineOf } from '../../src/audit/ocsf/line.ts'
import { type Asked, type Dialect, idOf } from './strict-place.ts'

/* What each place wants to see, and how it answers. From the documents of their makers; where those differ from real ones, these are wrong with them. */

const json = (text: string): Record<string, unknown> => {
  const value: unknown = JSON.parse(text)
  assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value), 'a JSON object')
  return value as Record<string, unknown>
}

/** The record that left, as a line of the journal: it must have left as an event of OCSF. */
const recordIn = (event: string): { readonly line: string; readonly record: Record<string, unknown> } => {
  const line = recordLineOf(event)
  assert.ok(line !== undefined, 'an event of OCSF with a record in it')
  const { metadata } = json(event) as { readonly metadata: { readonly uid: unknown } }
  const record = json(line)
  assert.equal(metadata.uid, record['id'])
  return { line, record }
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
      const { '@timestamp': at, ...event } = json(line)
      const { record, line: text } = recordIn(JSON.stringify(event))
      assert.deepEqual(json(pairs[index - 1] ?? ''), { create: { _id: record['id'] } })
      assert.equal(at, record['time'])
      return [text]
    })
  },
  answer: (texts, fates) => ({ status: 200, body: { items: texts.map((text, index) => ({ create: { _id: idOf(text), status: bulkStatus[fates[index] ?? 'bad'], ...(bulkError[fates[index] ?? 'bad'] === undefined ? {} : { error: { type: bulkError[fates[index] ?? 'bad'], reason: 'as told' } }) } })) } }),
}


export interface Collector extends Dialect {
  /** Polls whose answer gets lost on its way, though `true` was in it. */
  lose: (poll: number) => boolean
  readonly polls: number[]
}

/** Splunk's HTTP Event Collector. With `acks` it promises each batch an acknowledgement, which is told once. */
export const splunk = ({ acks }: { readonly acks: boolean }): Collector => {
  const open = new Map<number, boolean>()
  let channel: unknown
  const collector: Collector = {
    lose: () => false,
    polls: [],
    read: (asked) => {
      assert.equal(asked.method, 'POST')
      said(asked, { authorization: 'Splunk token-1', 'content-type': 'application/json' })
      const given = asked.headers['x-splunk-request-channel']
      if (acks) assert.match(String(given), /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      else assert.equal(given, undefined)
      if (asked.path === '/services/collector/ack') {
        assert.equal(asked.query.get('channel'), channel)
        const asking = json(asked.body.toString())['acks'] as number[]
        collector.polls.push(...asking)
        const told = Object.fromEntries(asking.map((id) => [id, open.get(id) === true]))
        for (const id of asking) if (open.has(id)) open.set(id, open.get(id) === false) // some are not indexed yet when they are asked for first
        for (const id of asking) if (told[id] === true) open.delete(id)
        return collector.lose(collector.polls.length) ? { status: 503 } : { status: 200, body: { acks: told } }
      }
      assert.equal(asked.path, '/services/collector/event')
      channel = given
      return asked.body.toString().split('\n').map((line) => {
        const { event, fields, time, host, source, sourcetype, index, ...more } = json(line)
        const { record, line: text } = recordIn(JSON.stringify(event))
        assert.deepEqual([fields, host, source, sourcetype, index, more], [{ record_id: record['id'] }, 'r1', 'countersign', 'audit', 'main', {}])
        assert.equal(time, Date.parse(String(record['time'])) / 1_000)
        return text
      })
    },
    answer: (texts, fates) => {
      const { status } = asWhole(fates, 200)
      if (status === 400) return { status, body: { text: 'Invalid data format', code: 6, 'invalid-event-number': fates.indexOf('bad') } }
      if (status !== 200) return { status, body: { text: 'Internal server error', code: 8 } }
      if (!acks) return { status, body: { text: 'Success', code: 0 } }
      open.set(nextAck, nextAck % 4 !== 1)
      assert.ok(texts.length > 0)
      return { status, body: { text: 'Success', code: 0, ackId: nextAck++ } }
    },
  }
  let nextAck = 0
  return collector
}

export const datadog: Dialect = {
  read: (asked) => {
    assert.deepEqual([asked.method, asked.path], ['POST', '/api/v2/logs'])
    said(asked, { 'dd-api-key': 'key-1', 'content-type': 'application/json' })
    assert.ok(asked.body.length <= 5_000_000, 'no more than 5 MB')
    const logs = JSON.parse(asked.body.toString()) as Record<string, unknown>[]
    assert.ok(logs.length <= 1_000, 'no more than 1000 logs')
    return logs.map((log) => {
      assert.ok(JSON.stringify(log).length <= 1_000_000, 'no log that would be cut')
      const { message, timestamp, ...more } = log
      const { record, line } = recordIn(String(message))
      assert.deepEqual(more, { ddsource: 'countersign', service: 'countersign', ddtags: 'env:test,team:audit', hostname: 'r1', record_id: record['id'] })
      if (timestamp !== undefined) {
        assert.equal(timestamp, record['time'])
        assert.ok(Date.now() - Date.parse(String(timestamp)) < 18 * 3_600_000, 'no log that would be dropped')
      }
      return line
    })
  },
  answer: (_texts, fates) => asWhole(fates, 202),
}

/** A collector's OTLP/HTTP receiver. It rejects by number, and does not say which. */
export const otlp: Dialect = {
  byLine: true,
  read: (asked) => {
    assert.deepEqual([asked.method, asked.path], ['POST', '/v1/logs'])
    said(asked, { 'content-type': 'application/json', authorization: 'Bearer token-1', 'x-team': 'team-1' })
    const { resourceLogs, ...more } = json(asked.body.toString()) as { resourceLogs: { resource: object; scopeLogs: { scope: object; logRecords: Record<string, unknown>[] }[] }[] }
    const [{ resource, scopeLogs: [{ scope, logRecords } = { scope: {}, logRecords: [] }] } = { resource: {}, scopeLogs: [] }] = resourceLogs
    const text = (key: string, stringValue: unknown): object => ({ key, value: { stringValue } })
    assert.deepEqual([more, resource, scope], [{}, { attributes: [text('service.name', 'gate'), text('service.instance.id', 'r1')] }, { name: 'countersign' }])
    return logRecords.map(({ body, attributes, timeUnixNano, observedTimeUnixNano, severityNumber, severityText, eventName, ...others }) => {
      const { stringValue } = body as { readonly stringValue: unknown }
      const { record, line } = recordIn(String(stringValue))
      assert.deepEqual([attributes, others], [[text('log.record.uid', record['id'])], {}])
      assert.deepEqual([timeUnixNano, observedTimeUnixNano], [`${Date.parse(String(record['time']))}000000`, timeUnixNano])
      assert.equal(eventName, `countersign.${record['type']}`)
      assert.deepEqual([severityNumber, severityText], record['type'] === 'records-lost' ? [17, 'ERROR'] : [9, 'INFO'])
      return line
    })
  },
  answer: (_texts, fates) => {
    if (fates.includes('busy')) return { status: 503 }
    const bad = fates.filter((fate) => fate === 'bad').length
    return { status: 200, body: bad === 0 ? {} : { partialSuccess: { rejectedLogRecords: String(bad), errorMessage: 'as told' } } }
  },
}

const sha256 = (data: Buffer | string, encoding: 'hex' | 'base64'): string => createHash('sha256').update(data).digest(encoding)
const mac = (key: Buffer | string, data: string): Buffer => createHmac('sha256', key).update(data).digest()

/** Computed from what arrived, by AWS's description of signature version 4. */
const isSigned = ({ method, path, headers, body }: Asked, secret: string): void => {
  const [, day = '', region = '', names = '', signature = ''] = /^AWS4-HMAC-SHA256 Credential=AKID\/(\d{8})\/([a-z0-9-]+)\/s3\/aws4_request,SignedHeaders=([a-z0-9;-]+),Signature=([0-9a-f]{64})$/.exec(headers.authorization ?? '') ?? []
  const signed = names.split(';')
  assert.deepEqual(signed, signed.toSorted())
  for (const name of ['host', ...Object.keys(headers).filter((header) => header.startsWith('x-amz-') || header === 'if-none-match')]) assert.ok(signed.includes(name), `${name} is signed`)
  assert.equal(headers['x-amz-content-sha256'], sha256(body, 'hex'))
  const at = String(headers['x-amz-date'])
  assert.match(at, /^\d{8}T\d{6}Z$/)
  assert.ok(Math.abs(Date.parse(at.replace(/(....)(..)(..)T(..)(..)(..)Z/, '$1-$2-$3T$4:$5:$6Z')) - Date.now()) < 900_000, 'the clock is right')
  const canonical = `${method}\n${path}\n\n${signed.map((name) => `${name}:${String(headers[name])}\n`).join('')}\n${names}\n${sha256(body, 'hex')}`
  const wanted = mac(mac(mac(mac(mac(`AWS4${secret}`, day), region), 's3'), 'aws4_request'), `AWS4-HMAC-SHA256\n${at}\n${day}/${region}/s3/aws4_request\n${sha256(canonical, 'hex')}`).toString('hex')
  assert.equal(signature, wanted)
}

export interface Bucket extends Dialect {
  readonly objects: Map<string, Asked>
}

/** A bucket with Object Lock whose objects can be created only. */
export const s3 = (): Bucket => {
  const objects = new Map<string, Asked>()
  return {
    objects,
    wholly: true,
    keepsOnce: true,
    read: (asked) => {
      assert.equal(asked.method, 'PUT')
      isSigned(asked, 'secret-1')
      said(asked, { 'content-type': 'application/x-ndjson', 'if-none-match': '*', 'x-amz-checksum-sha256': sha256(asked.body, 'base64'), 'x-amz-security-token': 'session-1', 'x-amz-object-lock-mode': 'COMPLIANCE' })
      const until = Date.parse(String(asked.headers['x-amz-object-lock-retain-until-date'])) - Date.now()
      assert.ok(until > 86_000_000 && until <= 86_400_000)
      const texts = lines(asked)
      const seqs = texts.map((text) => Number(idOf(text).split('/')[2]))
      assert.deepEqual(seqs, seqs.map((_, index) => (seqs[0] ?? 0) + index), 'records without a gap')
      const padded = (seq: number | undefined): string => String(seq).padStart(12, '0')
      const [, log = '', hash = ''] = new RegExp(`^/bucket/the%20audit/(.*)/${padded(seqs.at(0))}-${padded(seqs.at(-1))}-([0-9a-f]{16})\\.ndjson$`).exec(asked.path) ?? []
      assert.equal(hash, sha256(asked.body, 'hex').slice(0, 16))
      assert.ok(texts.every((text) => idOf(text).startsWith(`${log}/`)))
      return texts
    },
    answer: (_texts, fates, asked) => {
      if (fates.includes('busy')) return { status: 500, body: '<Error><Code>InternalError</Code></Error>' }
      if (objects.has(asked.path)) return { status: 412, body: '<Error><Code>PreconditionFailed</Code></Error>' }
      objects.set(asked.path, asked)
      return { status: 200, body: '' }
    },
  }
}
