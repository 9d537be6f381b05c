import { frontend } from './frontend.ts'
import type { Frame } from './frame.ts'
import type { FrameRules } from './frames.ts'
import { malformed, Reader } from './text.ts'
import { cstring, int32, message } from './writing.ts'

/** A client that is asked who it is may answer, or leave. */
export const proofRules = (tokenBytes: number): FrameRules => ({
  broken: malformed,
  limit: (type) => (type === frontend.password ? tokenBytes + 256 : type === frontend.terminate ? 5 : 0),
})

const body = <T>({ bytes }: Frame, read: (reader: Reader) => T): T => {
  const reader = new Reader(bytes, 5)
  const found = read(reader)
  reader.done()
  return found
}

export const readPassword = (frame: Frame): string => body(frame, (reader) => reader.text())

export const readSaslInitial = (frame: Frame): { readonly mechanism: string; readonly data: Buffer } =>
  body(frame, (reader) => {
    const mechanism = reader.text()
    const length = reader.int32()
    if (length < -1) throw malformed('A SASL response has a negative length.')
    return { mechanism, data: reader.slice(Math.max(length, 0)) }
  })

export const passwordMessage = (password: string): Buffer => message(frontend.password, cstring(password))

export const saslInitialResponse = (mechanism: string, data: string): Buffer => message(frontend.password, cstring(mechanism), int32(Buffer.byteLength(data)), data)

export const saslResponse = (data: string): Buffer => message(frontend.password, data)

/** The token of an OAUTHBEARER response (RFC 7628); empty where the client only asks where to get one. */
export const readBearer = (data: Buffer): string => {
  const [head, ...pairs] = data.toString('latin1').split('\u0001')
  const [end, last] = [pairs.pop(), pairs.pop()]
  const found = pairs.filter((pair) => pair.startsWith('auth='))
  const [auth] = found
  if ((head !== 'n,,' && head !== 'y,,') || end !== '' || last !== '' || auth === undefined || found.length > 1 || !pairs.every((pair) => /^[A-Za-z]+=/.test(pair))) throw malformed('The OAUTHBEARER response is not what RFC 7628 says.')
  if (auth === 'auth=') return ''
  const [, token] = /^auth=bearer +([A-Za-z0-9\-._~+/]+=*)$/i.exec(auth) ?? []
  if (token === undefined) throw malformed('The OAUTHBEARER response carries no bearer token.')
  return token
}
