// An advisor: asked about each hold by a signed message, it answers with what it thinks. People read that; it counts for nothing.
// WEBHOOK_KEY  Countersign's public key, whpk_…, as `countersign channels` shows it
// PORT         where it is asked
// Put a model in the place of `opinionOf`, and remember that what it reads was written by whoever wants a yes.
import { createPublicKey, verify } from 'node:crypto'
import { createServer } from 'node:http'

const { WEBHOOK_KEY = '', PORT = '0' } = process.env
const mostBytes = 64 * 1024

const raw = Buffer.from(WEBHOOK_KEY.replace('whpk_', ''), 'base64')
const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' })

/** Whether these bytes are from Countersign, and from now. */
const isSigned = (headers: Readonly<Record<string, string | string[] | undefined>>, body: Buffer): boolean => {
  const [id, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => String(headers[name] ?? ''))
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body])
  const isRecent = Math.abs(Date.now() / 1_000 - Number(timestamp)) < 300
  return isRecent && (signatures ?? '').split(' ').some((one) => one.startsWith('v1a,') && verify(null, signed, key, Buffer.from(one.slice(4), 'base64')))
}

interface Asked {
  readonly service: string
  readonly verb: string
  readonly tags: readonly string[]
  readonly impact?: { readonly unfiltered?: boolean; readonly exactRows?: number; readonly estimatedRows?: number }
}

const opinionOf = ({ service, verb, tags, impact }: Asked): string => {
  const rows = impact?.exactRows ?? impact?.estimatedRows
  const found = [
    impact?.unfiltered === true ? 'It has no WHERE: every row changes. Ask whether that is meant.' : '',
    rows !== undefined && rows > 1_000 ? `${rows} rows are many for one change. Is there a backup?` : '',
    tags.includes('pii') ? 'It touches personal data: look for the ticket.' : '',
  ].filter(Boolean)
  return found.length === 0 ? `Nothing stands out in this ${verb} at ${service}.` : found.join(' ')
}

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    if ((bytes += (chunk as Buffer).length) > mostBytes) return void response.writeHead(413).end()
    chunks.push(chunk as Buffer)
  }
  const body = Buffer.concat(chunks)
  if (!isSigned(request.headers, body)) return void response.writeHead(401).end()
  const { data } = JSON.parse(body.toString()) as { data: Asked }
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ opinion: opinionOf(data) }))
})
server.listen(Number(PORT), '127.0.0.1', () => console.log('listening', (server.address() as { port: number }).port))
