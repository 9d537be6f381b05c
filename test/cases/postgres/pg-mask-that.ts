import { hash } from 'node:crypto'
import { fail } from '../outcome.ts'
import { answerOf } from './pg-expect.ts'
import { message, valuesOf } from './messages.ts'
import { openSession, type PgObservation } from './play.ts'
import { heard } from './raw-client.ts'

/* The sentences about masked columns, each with what it asserts. */

type Check = (seen: PgObservation) => void | Promise<void>

const secret = '123-45-6789'

const demand = (holds: boolean, why: string): void => void (holds || fail(why))

const allBytes = (seen: PgObservation): Buffer => Buffer.concat(seen.exchanges.map(({ client }) => client.bytes()))

const rows = (seen: PgObservation): readonly (readonly (string | null)[])[] =>
  seen.exchanges.flatMap((exchange) => answerOf(exchange).filter(({ type }) => type === 'D').map(({ body }) => valuesOf(body)))

const hidden: Check = (seen) => demand(!allBytes(seen).includes(secret), 'the client got the value')

/** Everything of the value that is longer than two characters, and what can be made of it by a function that everybody knows. */
const traces: readonly string[] = [
  ...Array.from({ length: secret.length - 2 }, (_, at) => secret.slice(at, at + 3)),
  ...['md5', 'sha1', 'sha256'].flatMap((name) => [hash(name, secret), hash(name, secret, 'base64')]),
  Buffer.from(secret).toString('hex'),
  Buffer.from(secret).toString('base64'),
]

/** What a statement over all columns shows now, on a session of its own. */
const shownNow = async (seen: PgObservation, sql: string): Promise<readonly (readonly (string | null)[])[]> => {
  const client = await openSession(seen, 'req-a')
  client.write(message({ Query: sql }))
  await client.ready(1, 5_000)
  const found = heard(client).filter(({ type }) => type === 'D').map(({ body }) => valuesOf(body))
  client.end()
  return found
}

/** Lengths of the types that a result can have here, in the binary format; of any other it may be any. */
const binaryLengths: Readonly<Record<number, number>> = { 16: 1, 20: 8, 21: 2, 23: 4, 26: 4, 700: 4, 701: 8 }

export const maskChecks: Readonly<Record<string, Check>> = {
  'the client never receives 123-45-6789': hidden,
  'an allowed row has ****** in that column': (seen) => demand(rows(seen).every((row) => row.includes('******')), `a row is ${JSON.stringify(rows(seen).find((row) => !row.includes('******')))}`),
  'neither 123-45-6789 nor a part of it longer than 2 characters nor a hash of it reaches the client': (seen) => {
    // Only values count: a process number may have such digits, too.
    const values = rows(seen).flat().join('\n')
    const found = traces.find((trace) => values.includes(trace))
    demand(found === undefined, `the client got ${found}`)
    hidden(seen)
  },
  'no message, detail, hint, where or context field sent to the client or to the audit holds 123-45-6789': (seen) => {
    hidden(seen)
    demand(!JSON.stringify(seen.place.world.events().slice(seen.before.events)).includes(secret), 'the record has the value')
  },
  'query text of other users is not shown': (seen) => demand(rows(seen).length === 0, `it shows ${JSON.stringify(rows(seen)[0])}`),
  'the client never receives the bytes 3132332d34352d36373839': hidden,
  'field lengths are valid for the declared type': (seen) => {
    for (const exchange of seen.exchanges) {
      let lengths: readonly (number | undefined)[] = []
      for (const { type, body } of answerOf(exchange)) {
        if (type === 'T') lengths = typesIn(body).map((one) => binaryLengths[one])
        if (type === 'D') for (const [at, length] of lengthsIn(body).entries()) demand(length === -1 || lengths[at] === undefined || lengths[at] === length, `field ${at + 1} has ${length} bytes, not ${lengths[at]}`)
      }
    }
  },
  'passport is masked, because users is a tagged table': async (seen) => {
    demand(!allBytes(seen).includes('P-1') && rows(seen).length > 0, 'the client got the passport, or nothing')
    demand((await shownNow(seen, 'SELECT passport FROM users')).every(([value]) => value === '******'), 'the column is shown')
  },
  'ssn_new is masked': async (seen) => {
    hidden(seen)
    const found = await shownNow(seen, 'SELECT ssn_new FROM users')
    demand(found.length > 0 && found.every(([value]) => value === '******'), `it shows ${JSON.stringify(found)}`)
  },
}

const typesIn = (body: Buffer): readonly number[] => {
  const found: number[] = []
  for (let at = 2; found.length < body.readUInt16BE(0); at += 18) {
    at = body.indexOf(0, at) + 1
    found.push(body.readUInt32BE(at + 6))
  }
  return found
}

const lengthsIn = (body: Buffer): readonly number[] => {
  const found: number[] = []
  for (let at = 2; found.length < body.readUInt16BE(0); ) {
    const length = body.readInt32BE(at)
    found.push(length)
    at += 4 + Math.max(0, length)
  }
  return found
}

