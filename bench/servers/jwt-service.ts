/**
 * The other way people build this: a small service behind nginx `auth_request` that verifies the JWT
 * and journals each request as durably as Countersign does: reads written, writes synced, both in groups.
 * `node jwt-service.ts <port> <jwks file> <journal file> [cache]`: with `cache` it remembers verified tokens for a minute, as Countersign does.
 */
import { fdatasync, openSync, readFileSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import { hash } from 'node:crypto'
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet, type JWTPayload } from 'jose'

const [port, jwks, journal, cache] = process.argv.slice(2)
const keys = createLocalJWKSet(JSON.parse(readFileSync(jwks!, 'utf8')) as JSONWebKeySet)
const file = openSync(journal!, 'a')
const verified = new Map<string, { readonly until: number; readonly payload: JWTPayload }>()

const verify = async (token: string): Promise<JWTPayload> => {
  const key = hash('sha256', token)
  const known = verified.get(key)
  if (known && known.until > Date.now()) return known.payload
  const { payload } = await jwtVerify(token, keys, { audience: 'countersign', algorithms: ['RS256'], requiredClaims: ['exp', 'sub'] })
  if (verified.size > 10_000) verified.clear()
  if (cache === 'cache') verified.set(key, { until: Math.min(payload.exp! * 1000, Date.now() + 60_000), payload })
  return payload
}

let lines: string[] = []
let written: (() => void)[] = []
let waiting: (() => void)[] = []
let syncing = false

const flush = (): void => {
  if (lines.length > 0) writeSync(file, lines.join(''))
  for (const resolve of written) resolve()
  lines = []
  written = []
  if (waiting.length > 0 && !syncing) sync()
}

const sync = (): void => {
  syncing = true
  const batch = waiting
  waiting = []
  fdatasync(file, (error) => {
    if (error) throw error
    syncing = false
    for (const resolve of batch) resolve()
    if (waiting.length > 0) sync()
  })
}

const record = (event: object, durable: boolean): Promise<void> =>
  new Promise((resolve) => {
    if (lines.length === 0) setImmediate(flush)
    lines.push(`${JSON.stringify(event)}\n`)
    if (durable) waiting.push(resolve)
    else written.push(resolve)
  })

createServer(async (request, response) => {
  try {
    const payload = await verify(request.headers.authorization!.slice(7))
    const method = request.headers['x-original-method']
    await record({ time: new Date().toISOString(), iss: payload.iss, sub: payload.sub, groups: payload['groups'], method, uri: request.headers['x-original-uri'] }, method !== 'GET')
    response.writeHead(204)
  } catch {
    response.writeHead(401)
  }
  response.end()
}).listen(Number(port), '127.0.0.1')
