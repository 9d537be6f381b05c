import { Refusal } from '../../../model/refusal.ts'
import type { JsonObject, JsonValue } from './json.ts'

export interface JsonRpcCall {
  readonly method: string
  readonly params: JsonObject | readonly JsonValue[] | undefined
  /** `undefined` for a notification. */
  readonly id: string | number | undefined
}

const malformed = (what: string): Refusal => new Refusal('malformed', what)

const isObject = (value: JsonValue | undefined): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value)

const members: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error'])

/** A method name is a word for people and rules; nothing else is one. */
const methodName = /^[A-Za-z0-9_$][A-Za-z0-9_$./:-]{0,127}$/

/** One JSON-RPC 2.0 message that calls or notifies; `undefined` for a response to a call of the other side. Batches are refused as a whole. */
export const readJsonRpc = (body: JsonValue): JsonRpcCall | undefined => {
  if (Array.isArray(body)) throw malformed('JSON-RPC batches are not accepted here.')
  if (!isObject(body) || body['jsonrpc'] !== '2.0') throw malformed('The body is not a JSON-RPC 2.0 message.')
  for (const key in body) if (!members.has(key)) throw malformed('The JSON-RPC message has a member that does not belong into it.')
  const { method, params, id } = body
  if (id !== undefined && typeof id !== 'string' && !Number.isSafeInteger(id)) throw malformed('The JSON-RPC id is neither a string nor a whole number.')
  const answers = 'result' in body || 'error' in body
  if (method === undefined && answers && params === undefined) return undefined
  if (answers || typeof method !== 'string' || !methodName.test(method)) throw malformed('The JSON-RPC method is not valid.')
  if (params !== undefined && !isObject(params) && !Array.isArray(params)) throw malformed('The JSON-RPC params are neither an object nor a list.')
  return { method, params, id: id as string | number | undefined }
}

/** What `Mcp-Name` repeats from the body, by method. */
const namedBy: Readonly<Record<string, string>> = { 'tools/call': 'name', 'prompts/get': 'name', 'resources/read': 'uri' }

/** Servers may route by these headers and run by the body: both must say the same, each once. */
export const checkMcpHeaders = (pairs: readonly string[], call: JsonRpcCall | undefined): void => {
  let method: string | undefined
  let name: string | undefined
  for (let index = 0; index < pairs.length; index += 2) {
    const lower = (pairs[index] as string).toLowerCase().replace(/[_.]/g, '-')
    if (lower === 'mcp-method') {
      if (method !== undefined) throw malformed('The Mcp-Method header stands more than once.')
      method = pairs[index + 1]
    } else if (lower === 'mcp-name') {
      if (name !== undefined) throw malformed('The Mcp-Name header stands more than once.')
      name = pairs[index + 1]
    }
  }
  if (method !== undefined && method !== call?.method) throw malformed('The Mcp-Method header and the body disagree.')
  if (name === undefined) return
  const member = call === undefined || !Object.hasOwn(namedBy, call.method) ? undefined : namedBy[call.method]
  const params = call?.params
  const named = member !== undefined && params !== undefined && !Array.isArray(params) ? (params as JsonObject)[member] : undefined
  if (named !== name) throw malformed('The Mcp-Name header and the body disagree.')
}
