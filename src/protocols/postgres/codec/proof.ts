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
  const text = data.toString('latin1')
  const [, authorization] = /^[ny],,\x01auth=([^\x01]*)\x01(?:[A-Za-z]+=[^\x01]*\x01)*\x01$/.exec(text) ?? []
  if (authorization === undefined) throw malformed('The OAUTHBEARER response is not what RFC 7628 says.')
  if (authorization === '') return ''
  const [, token] = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i.exec(authorization) ?? []
  if (token === undefined) throw malformed('The OAUTHBEARER response carries no bearer token.')
  return token
}
