import { until } from '../../support/until.ts'
import { bearerOf, makeToken } from '../principals.ts'
import { message } from './messages.ts'
import type { PgWorld } from './pg-world.ts'
import { connectRaw, logIn, type RawClient } from './raw-client.ts'

/** One statement of one caller somewhere. */
export interface Asked {
  readonly as: string
  readonly issuer?: string
  readonly user: string
  readonly database: string
  readonly sql: string
  /** `undefined`: as a simple query. */
  readonly bound: { readonly params: readonly (string | null)[]; readonly types: readonly number[]; readonly formats: readonly (0 | 1)[]; readonly resultFormats?: readonly (0 | 1)[] } | undefined
}

const bytesOf = ({ sql, bound }: Asked): Buffer => {
  if (bound === undefined) return message({ Query: sql })
  const { params, types, formats, resultFormats } = bound
  return Buffer.concat([{ Parse: { name: '', sql, types } }, { Bind: { params, formats, result_formats: resultFormats } }, { Execute: {} }, { Sync: {} }].map(message))
}

const tokenOf = ({ world }: PgWorld, { as, issuer }: Asked): string =>
  issuer === undefined ? bearerOf(as, world.directory, world.now()) : makeToken({ issuer, claims: { sub: `u-${as}`, groups: ['dev'] } }, world.now())

export interface Trial {
  readonly client: RawClient
  /** What it waits for; absent: it was answered, or could not even log in. */
  readonly hold?: string
}

/** On a connection of its own, until it is answered or waits. */
export const ask = async (place: PgWorld, asked: Asked): Promise<Trial> => {
  const from = place.world.events().length
  const client = await connectRaw(place.port)
  if (!(await logIn(client, { user: asked.user, database: asked.database, token: tokenOf(place, asked) }))) return { client }
  client.write(bytesOf(asked))
  const waits = (): string | undefined => place.world.events().slice(from).flatMap((event) => (event.type === 'held' || event.type === 'attached' ? [event.hold] : []))[0]
  const isOver = (): boolean => client.closed || client.said.slice(client.began).some(({ type }) => type === 'Z')
  await until(`an answer to ${asked.sql} or its hold`, () => isOver() || waits() !== undefined)
  const hold = waits()
  return { client, ...(hold === undefined ? {} : { hold }) }
}
