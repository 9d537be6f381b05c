import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { createSecureContext, TLSSocket } from 'node:tls'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { makeTls, openssl } from '../../support/postgres-tls.ts'
import { pending } from '../outcome.ts'

/** A server that is not what it should be, in one way. */
export interface Rogue extends AsyncDisposable {
  readonly port: number
  /** All bytes that it got, without the request for TLS: decrypted, where there was TLS. */
  readonly got: () => Buffer
  /** How the product is told to reach it. */
  readonly tls: Readonly<Record<string, unknown>>
  /** The certificate of the authority that the product trusts. */
  readonly ca: string | undefined
}

const authentication = (code: number, rest: Buffer = Buffer.alloc(0)): Buffer => {
  const head = Buffer.from([0x52, 0, 0, 0, 8 + rest.length, 0, 0, 0, code])
  return Buffer.concat([head, rest])
}

const welcome = (): Buffer =>
  Buffer.concat([authentication(0), Buffer.from('S\0\0\0\x19client_encoding\0UTF8\0', 'latin1'), Buffer.from('K\0\0\0\x0c\0\0\0\x01\0\0\0\x02', 'latin1'), Buffer.from('Z\0\0\0\x05I', 'latin1')])

/** Talks like a server until the one point where it does not. */
const scram = (options: { readonly iterations: number; readonly final?: string }) => (socket: Socket | TLSSocket): void => {
  let stage = 0
  let stream: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    stream = Buffer.concat([stream, chunk])
    if (stage === 0 && stream.length >= 8 && stream.length >= stream.readInt32BE(0)) {
      stream = stream.subarray(stream.readInt32BE(0))
      stage = 1
      socket.write(authentication(10, Buffer.from('SCRAM-SHA-256\0\0')))
    }
    if (stage >= 1 && stream.length >= 5 && stream.length >= 1 + stream.readInt32BE(1)) {
      const body = stream.subarray(5, 1 + stream.readInt32BE(1))
      stream = stream.subarray(1 + stream.readInt32BE(1))
      if (stage === 1) {
        const nonce = /r=([^,]+)/.exec(body.toString('latin1'))?.[1] ?? ''
        socket.write(authentication(11, Buffer.from(`r=${nonce}rogue,s=${Buffer.from('0123456789abcdef').toString('base64')},i=${options.iterations}`)))
        stage = 2
      } else {
        if (options.final !== undefined) socket.write(authentication(12, Buffer.from(`v=${options.final}`)))
        socket.write(welcome())
      }
    }
  })
}

const afterStartup = (say: Buffer) => (socket: Socket | TLSSocket): void => void socket.once('data', () => socket.write(say))

const talks: Readonly<Record<string, (socket: Socket | TLSSocket) => void>> = {
  AuthenticationCleartextPassword: afterStartup(authentication(3)),
  AuthenticationMD5Password: afterStartup(authentication(5, Buffer.from('salt'))),
  'SCRAM with a server signature that is wrong': scram({ iterations: 4_096, final: Buffer.alloc(32, 7).toString('base64') }),
  'SCRAM with 1 iteration': scram({ iterations: 1, final: Buffer.alloc(32, 7).toString('base64') }),
  'AuthenticationOk without SCRAM final message': scram({ iterations: 4_096 }),
}

const expired = async (folder: string, ca: string): Promise<{ readonly cert: string; readonly key: string }> => {
  const [key, asked, cert, terms] = [join(folder, 'old.key'), join(folder, 'old.csr'), join(folder, 'old.crt'), join(folder, 'server.ext')]
  await openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', asked, '-subj', '/CN=test server')
  await openssl('x509', '-req', '-in', asked, '-CA', ca, '-CAkey', join(folder, 'ca.key'), '-CAcreateserial', '-out', cert, '-days', '-1', '-extfile', terms)
  return { cert, key }
}

interface Secured {
  readonly cert: string
  readonly key: string
  readonly ca: string
}

const certificates: Readonly<Record<string, (folder: string, other: string) => Promise<Secured>>> = {
  'certificate for another host name': (folder) => makeTls(folder, ['DNS:other.test', 'IP:127.0.0.99']),
  'certificate of an unknown authority': async (folder, other) => ({ ...(await makeTls(folder)), ca: (await makeTls(other)).ca }),
  'expired certificate': async (folder) => {
    const made = await makeTls(folder)
    return { ca: made.ca, ...(await expired(folder, made.ca)) }
  },
}

/** Answers the request for TLS, and everything behind it. */
const server = (got: Buffer[], talk: (socket: Socket | TLSSocket) => void, secured: Secured | undefined) => (socket: Socket): void => {
  socket.on('error', () => {})
  const keep = (one: Socket | TLSSocket): void => {
    one.on('error', () => {})
    one.on('data', (chunk: Buffer) => got.push(chunk))
  }
  socket.once('data', (first: Buffer) => {
    const asksTls = first.length >= 8 && first.readInt32BE(4) === 80_877_103
    if (asksTls && secured === undefined) {
      keep(socket)
      return void socket.write('N')
    }
    if (asksTls && secured !== undefined) {
      const over = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext({ cert: readFileSync(secured.cert), key: readFileSync(secured.key) }) })
      keep(over)
      talk(over)
      return void socket.write('S')
    }
    keep(socket)
    talk(socket)
    socket.emit('data', first)
  })
}

export const startRogue = async (kind: string): Promise<Rogue> => {
  const [own, other] = [temporaryFolder('rogue'), temporaryFolder('rogue')]
  const folder = own.path
  const secured = await certificates[kind]?.(folder, other.path)
  const talk = talks[kind] ?? (secured !== undefined || kind === 'answers N to SSLRequest' ? afterStartup(welcome()) : pending(`no server does this yet: ${kind}`))
  const ca = secured?.ca ?? (kind === 'answers N to SSLRequest' ? (await makeTls(folder)).ca : undefined)
  const got: Buffer[] = []
  const sockets = new Set<Socket>()
  const listening = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    server(got, talk, secured)(socket)
  })
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  return {
    port: (listening.address() as AddressInfo).port,
    got: () => Buffer.concat(got),
    tls: ca === undefined ? { tls: 'disable' } : { tls: 'verify-full', 'ca-file': ca },
    ca,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => listening.close(resolve))
      for (const one of [own, other]) one[Symbol.dispose]()
    },
  }
}
