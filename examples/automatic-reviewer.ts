// An automatic reviewer: told of each hold by a signed webhook, it says yes to small refunds and leaves all else to people.
// COUNTERSIGN_URL  the console's address          WEBHOOK_KEY  its public key, whpk_…, as `countersign channels` shows it
// TOKEN_FILE       a token of the reviewer's own  PORT         where the webhook is posted to
import { createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const { COUNTERSIGN_URL = 'http://127.0.0.1:8081', WEBHOOK_KEY = '', TOKEN_FILE = '', PORT = '0' } = process.env
const mostRefunded = 50

const raw = Buffer.from(WEBHOOK_KEY.replace('whpk_', ''), 'base64')
const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' })

/** Whether these bytes are from Countersign, and from now. */
const isSigned = (headers: Readonly<Record<string, string | string[] | undefined>>, body: Buffer): boolean => {
  const [id, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => String(headers[name] ?? ''))
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body])
  const isRecent = Math.abs(Date.now() / 1_000 - Number(timestamp)) < 300
  return isRecent && (signatures ?? '').split(' ').some((one) => one.startsWith('v1a,') && verify(null, signed, key, Buffer.from(one.slice(4), 'base64')))
}

const call = async (path: string, body?: object): Promise<{ readonly status: number; readonly value: Record<string, unknown> }> => {
  const token = readFileSync(TOKEN_FILE, 'utf8').trim() // anew each time: it is renewed in its place
  const response = await fetch(`${COUNTERSIGN_URL}${path}`, { method: body === undefined ? 'GET' : 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }), signal: AbortSignal.timeout(10_000) })
  return { status: response.status, value: (await response.json()) as Record<string, unknown> }
}

/** What this program knows to be harmless. Whatever it does not understand to the last character is for people. */
const isSmallRefund = ({ text, textCut }: { readonly text: string; readonly textCut: boolean }): boolean => {
  const [, body] = /^POST \/refunds\/\d+\n(?:[^\n]+\n)*\n(\{[^{}]*\})$/.exec(text) ?? []
  if (textCut || body === undefined) return false
  const { amount, ...more } = JSON.parse(body) as { amount?: unknown }
  return typeof amount === 'number' && amount > 0 && amount <= mostRefunded && Object.keys(more).length === 0
}

const review = async (id: string): Promise<string> => {
  // The message says that there is something; what it is comes from the API, as of now.
  const { status, value: hold } = await call(`/api/holds/${id}`)
  if (status !== 200) return `not shown (${status})`
  const action = hold['action'] as { readonly text: string; readonly textCut: boolean; readonly digest: string }
  if (hold['mayVote'] !== true || !isSmallRefund(action)) return 'left to people'
  const vote = await call(`/api/holds/${id}/votes`, { verdict: 'approve', digest: action.digest, reason: `A refund of at most ${mostRefunded}.` })
  return vote.status === 200 ? 'approved' : `not counted (${String(vote.value['code'])})`
}

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks)
  if (!isSigned(request.headers, body)) return void response.writeHead(401).end()
  response.writeHead(202).end()
  const { type, data } = JSON.parse(body.toString()) as { type: string; data: { hold: string } }
  if (type === 'hold.opened') console.log(data.hold, await review(data.hold).catch((error: unknown) => String(error)))
})
server.listen(Number(PORT), '127.0.0.1', () => console.log('listening', (server.address() as { port: number }).port))
