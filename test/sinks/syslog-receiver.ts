import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo, Socket } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import { makeTls } from '../support/postgres-tls.ts'

/** What it does with a connection, by its number. `half` reads so many messages and resets; `turn away` ends it at once; `deaf` never reads. */
export type Manner = 'listen' | 'turn away' | 'deaf' | { readonly half: number }

export interface SyslogReceiver extends AsyncDisposable {
  readonly port: number
  readonly ca: string
  /** What left, as it stands behind each header, in the order of arrival. */
  readonly texts: string[]
  connections(): number
  manner: (connection: number) => Manner
  /** Ends the connections that are open. */
  hangUp(): void
}

/** RFC 5424 as we write it, and nothing beside it. */
const message = /^<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([\x21-\x7e]{1,255}) countersign (\d{1,128}) ([\x21-\x7e]{1,32}) \[countersign@32473 id="((?:[^"\\\]]|\\["\\\]])*)"\] (\{[\x20-\x7e]*\})$/

/** A strict receiver of RFC 5425: octet counting over TLS. `folder` is for its certificate. */
export const startSyslogReceiver = async (folder: string, { wantsCertificate = false } = {}): Promise<SyslogReceiver> => {
  const tls = await makeTls(folder)
  const ca = readFileSync(tls.ca, 'utf8')
  const texts: string[] = []
  const complaints: string[] = []
  const sockets = new Set<TLSSocket>()
  /** The TCP connection of each, which is what can be reset. */
  const below = new Map<number | undefined, Socket>()
  let connections = 0
  const receiver = { manner: (() => 'listen') as SyslogReceiver['manner'] }

  const take = (text: string): void => {
    const [, priority = '', , , , , id, sent = ''] = message.exec(text) ?? []
    if (sent === '' || Number(priority) > 191) complaints.push(`no message of ours: ${text.slice(0, 200)}`)
    else if (!sent.includes(JSON.stringify(id))) complaints.push(`the id ${id} is not that of the record`)
    texts.push(sent)
  }

  const server = createServer({ cert: readFileSync(tls.cert), key: readFileSync(tls.key), ca, requestCert: wantsCertificate, rejectUnauthorized: wantsCertificate }, (socket) => {
    const manner = receiver.manner(connections++)
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
    if (manner === 'turn away') return void socket.destroy()
    if (manner === 'deaf') return void socket.pause()
    let left = typeof manner === 'object' ? manner.half : Number.POSITIVE_INFINITY
    let waiting = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      waiting = Buffer.concat([waiting, chunk])
      for (;;) {
        const space = waiting.indexOf(0x20)
        if (space === -1) return
        const count = waiting.subarray(0, space).toString()
        if (!/^[1-9]\d{0,6}$/.test(count)) return void complaints.push(`no count of octets: ${count.slice(0, 20)}`)
        if (waiting.length < space + 1 + Number(count)) return
        take(waiting.subarray(space + 1, space + 1 + Number(count)).toString())
        waiting = waiting.subarray(space + 1 + Number(count))
        if (--left === 0) return void below.get(socket.remotePort)?.resetAndDestroy()
      }
    })
  })
  server.on('connection', (socket: Socket) => below.set(socket.remotePort, socket))
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(receiver, {
    port: (server.address() as AddressInfo).port,
    ca: tls.ca,
    texts,
    connections: () => connections,
    hangUp: () => {
      for (const socket of sockets) socket.end()
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
      if (complaints.length > 0) throw new Error(`the receiver had to complain: ${complaints.join('; ')}`)
    },
  })
}
