import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { makeScram } from '../../lib/scram.ts'
import { tlsClient } from '../../lib/tls-client.ts'
import { during } from '../during.ts'
import type { OptionsOf } from '../options.ts'
import { type Address, type Request, saslAuthenticate, saslHandshake } from './requests.ts'
import { makeReader, makeWriter } from './wire.ts'

/** One connection to one broker. One request at a time; whatever goes wrong ends it. */
export interface Connection {
  readonly isOpen: () => boolean
  ask<T>(request: Request<T>, signal: AbortSignal): Promise<T>
  end(): void
}

const longestAnswer = 4 * 1024 * 1024
const leastIterations = 4_096

/** Connects and logs in. */
export const openConnection = async ({ host, port }: Address, options: OptionsOf<'kafka'>, signal: AbortSignal): Promise<Connection> => {
  const { tls } = options
  const socket = tls === undefined ? connectPlain({ host, port }) : connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...tlsClient(tls) })
  socket.on('error', () => {}).setNoDelay(true) // told to whoever waits
  const connection = speakOver(socket)
  try {
    await during(socket, signal, (done) => socket.once(tls === undefined ? 'connect' : 'secureConnect', () => done()))
    if (options.sasl !== undefined) await logIn(connection, options.sasl, signal)
    return connection
  } catch (error) {
    connection.end()
    throw error
  }
}

const logIn = async (connection: Connection, { mechanism, user, password }: NonNullable<OptionsOf<'kafka'>['sasl']>, signal: AbortSignal): Promise<void> => {
  if (mechanism === 'plain') {
    await connection.ask(saslHandshake('PLAIN'), signal)
    await connection.ask(saslAuthenticate(`\0${user}\0${password.reveal()}`), signal)
    return
  }
  const scram = makeScram({ user, password, hash: mechanism === 'scram-sha-256' ? 'sha256' : 'sha512', plus: false, tls: false, leastIterations })
  await connection.ask(saslHandshake(scram.mechanism), signal)
  const challenge = await connection.ask(saslAuthenticate(scram.first), signal)
  scram.verify(await connection.ask(saslAuthenticate(await scram.prove(challenge)), signal))
}

const speakOver = (socket: Socket): Connection => {
  let correlation = 0
  let waiting: readonly Buffer[] = []
  let had = 0
  let take: ((answer: Buffer) => void) | undefined

  socket.on('data', (chunk: Buffer) => {
    waiting = [...waiting, chunk]
    had += chunk.length
    if (had < 4) return
    const all = had > chunk.length ? Buffer.concat(waiting) : chunk
    waiting = [all]
    const size = all.readInt32BE(0)
    // What nobody asked for, or too much of it, is not Kafka.
    if (take === undefined || size < 4 || size > longestAnswer || had > size + 4) return void socket.destroy()
    if (had < size + 4) return
    waiting = []
    had = 0
    take(all.subarray(4))
  })
  socket.once('end', () => socket.destroy())

  return {
    isOpen: () => !socket.destroyed,
    ask: async ({ api, version, body, read }, signal) => {
      const number = ++correlation & 0x7fffffff
      const request = makeWriter().int16(api).int16(version).int32(number).text('countersign').raw(body).done()
      let answer: Buffer = Buffer.alloc(0)
      try {
        await during(socket, signal, (done) => {
          take = (got) => {
            answer = got
            done()
          }
          socket.write(makeWriter().bytes(request).done())
        })
        if (makeReader(answer).int32() !== number) throw new Error('the broker answered something else')
      } catch (error) {
        socket.destroy()
        throw error
      } finally {
        take = undefined
      }
      return read(answer.subarray(4))
    },
    end: () => void socket.destroy(),
  }
}
