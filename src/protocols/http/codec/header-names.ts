/**
 * What becomes of a request header.
 * - `drop`: never leaves here
 * - `cookie`: leaves without our own session
 * - `prefer`: is forwarded; what it says to us about waiting is not part of what was judged, the rest is
 * - `volatile`: is forwarded, but says nothing about the action, so a repeat may differ in it
 * - `bind`: is forwarded and part of what was judged
 */
export type Fate = 'drop' | 'cookie' | 'prefer' | 'volatile' | 'bind'

/** The name as gateways that turn headers into variables see it: lower case, `_` and `.` are `-`. */
export const foldedName = (name: string): string => {
  const lower = name.toLowerCase()
  return lower.includes('_') || lower.includes('.') ? lower.replace(/[_.]/g, '-') : lower
}

/** Dropped in any spelling. */
const dropped: ReadonlySet<string> = new Set([
  // Meant for one hop, or made anew for the next.
  'connection', 'keep-alive', 'te', 'trailer', 'trailers', 'transfer-encoding', 'upgrade', 'http2-settings', 'host', 'content-length', 'expect', 'alt-used',
  // The client's own credentials are for us.
  'authorization', 'x-api-key',
  // Say where a request came from and where it goes: ours to say.
  'forwarded', 'x-real-ip', 'x-client-ip', 'x-cluster-client-ip', 'x-host', 'x-http-host-override', 'x-http-destinationurl', 'true-client-ip', 'cf-connecting-ip', 'client-ip', 'via-ip',
  'remote-user', 'x-waws-unencoded-url', 'x-request-uri', 'x-path-override',
  // Would make the upstream run another method than the one that was judged.
  'x-http-method-override', 'x-method-override', 'x-http-method', 'http-method-override', 'x-override-method',
])

/** Whole families: `x-forwarded-for`, `x-countersign-user`, `proxy-authorization` … and what other proxies say about callers to services that believe them. */
const droppedPrefixes: readonly string[] = [
  'x-forwarded-', 'x-countersign-', 'countersign-', 'proxy-', 'x-original-', 'x-rewrite-', 'x-replaced-', 'x-envoy-',
  'x-auth-request-', 'x-authenticated-', 'x-remote-', 'x-webauth-', 'x-amzn-oidc-', 'x-ms-client-principal', 'x-goog-authenticated-user-', 'x-goog-iap-', 'cf-access-', 'x-pomerium-', 'ssl-client-', 'x-ssl-client-', 'x-client-cert',
]

/** Forwarded, not bound. Documented: a route can add to this list but not take from it. */
export const volatileNames: readonly string[] = [
  'user-agent', 'accept-encoding', 'accept-language', 'date', 'priority', 'dnt', 'sec-gpc', 'idempotency-key',
  'traceparent', 'tracestate', 'baggage', 'sentry-trace', 'b3', 'uber-trace-id', 'x-amzn-trace-id', 'x-cloud-trace-context', 'x-request-id', 'x-correlation-id', 'request-id', 'x-client-request-id',
  'via', 'x-retry-count', 'amz-sdk-invocation-id', 'amz-sdk-request',
]
const volatilePrefixes: readonly string[] = ['x-stainless-', 'x-b3-', 'x-datadog-', 'sec-ch-ua']

const classify = (lower: string): Fate => {
  const folded = foldedName(lower)
  if (dropped.has(folded) || droppedPrefixes.some((prefix) => folded.startsWith(prefix))) return 'drop'
  if (folded === 'cookie') return lower === 'cookie' ? 'cookie' : 'drop'
  if (lower === 'prefer') return 'prefer'
  // Only the proper spelling is known to carry no meaning.
  if (volatileNames.includes(lower) || volatilePrefixes.some((prefix) => lower.startsWith(prefix))) return 'volatile'
  return 'bind'
}

/** Names repeat from request to request. A stranger's inventions displace each other, never what they mean. */
const fates = new Map<string, Fate>()
const keptFates = 2000

/** `lower` is the lower-case name. */
export const fateOf = (lower: string): Fate => {
  const known = fates.get(lower)
  if (known !== undefined) return known
  const fate = classify(lower)
  if (fates.size >= keptFates) fates.clear()
  if (lower.length <= 64) fates.set(lower, fate)
  return fate
}

/** Of an answer: meant for one hop, ours to say, or (`alt-svc`) a way round us. */
const droppedFromAnswers: ReadonlySet<string> = new Set([
  'connection', 'keep-alive', 'te', 'trailer', 'trailers', 'transfer-encoding', 'upgrade', 'http2-settings', 'proxy-connection', 'proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization', 'alt-svc',
])
const answerFates = new Map<string, boolean>()

/** Whether a header of an answer goes on to the client. */
export const passesInAnswers = (lower: string): boolean => {
  const known = answerFates.get(lower)
  if (known !== undefined) return known
  const folded = foldedName(lower)
  const passes = !droppedFromAnswers.has(folded) && !folded.startsWith('x-countersign-') && !folded.startsWith('countersign-')
  if (answerFates.size >= keptFates) answerFates.clear()
  if (lower.length <= 64) answerFates.set(lower, passes)
  return passes
}

const tokenCharacters = new Uint8Array(256)
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") tokenCharacters[character.charCodeAt(0)] = 1

/** RFC 9110 token. */
export const isToken = (text: string): boolean => {
  if (text === '') return false
  for (let index = 0; index < text.length; index++) if (tokenCharacters[text.charCodeAt(index)] !== 1) return false
  return true
}

/** Neither line ends nor other controls but the tab; nothing beyond the byte range. */
export const isFieldValue = (text: string): boolean => !/[^\t\x20-\x7e\x80-\xff]/.test(text)
