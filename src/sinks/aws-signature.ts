import { createHmac, hash } from 'node:crypto'
import type { Secret } from '../lib/secret.ts'

export interface AwsKey {
  readonly id: Secret
  readonly secret: Secret
  readonly session?: Secret
}

export interface Unsigned {
  readonly method: string
  /** Its path is encoded anew, as the signature wants it. No query. */
  readonly url: URL
  /** Lower-case names. All of them are signed. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

const hmac = (key: string | Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest()
const strict = (text: string): string => encodeURIComponent(text).replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)

export const encodedPath = (url: URL): string => url.pathname.split('/').map((part) => strict(decodeURIComponent(part))).join('/')

/** AWS signature, version 4, for S3: the headers to send, `host` aside. */
export const signed = ({ method, url, headers, body }: Unsigned, { id, secret, session }: AwsKey, region: string, now: Date): Readonly<Record<string, string>> => {
  const time = now.toISOString().replaceAll(/[-:]|\.\d{3}/g, '')
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`
  const bodyHash = hash('sha256', body)
  const all: Readonly<Record<string, string>> = { ...headers, 'x-amz-content-sha256': bodyHash, 'x-amz-date': time, ...(session === undefined ? {} : { 'x-amz-security-token': session.reveal() }) }
  const lines = Object.entries({ ...all, host: url.host }).toSorted(([a], [b]) => (a < b ? -1 : 1))
  const names = lines.map(([name]) => name).join(';')
  const request = [method, encodedPath(url), '', ...lines.map(([name, value]) => `${name}:${value.trim().replaceAll(/ +/g, ' ')}`), '', names, bodyHash].join('\n')
  const key = [time.slice(0, 8), region, 's3', 'aws4_request'].reduce<string | Buffer>((so, part) => hmac(so, part), `AWS4${secret.reveal()}`)
  const signature = hmac(key, ['AWS4-HMAC-SHA256', time, scope, hash('sha256', request)].join('\n')).toString('hex')
  return { ...all, authorization: `AWS4-HMAC-SHA256 Credential=${id.reveal()}/${scope},SignedHeaders=${names},Signature=${signature}` }
}
