import type { Body } from './codec/body.ts'
import { foldedName } from './codec/header-names.ts'
import { type Cut, cutAt, visible, visibleRaw } from '../../lib/visible.ts'

/** Characters of the body that are shown. */
export const previewLength = 8192

export interface TextSource {
  readonly method: string
  /** The method that the upstream will act on, where a body field changes it. */
  readonly actsAs: string
  readonly target: string
  readonly host: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: { readonly bytes: Uint8Array; readonly sha256: string; readonly content: Body } | 'streamed' | undefined
}

/** Values that open doors. They are bound into the digest and shown to nobody. */
const secretName = /(?:^|-)(?:cookie|token|secret|password|passwd|passphrase|pwd|pin|otp|signature|credentials?|session-?id|jwt|auth|authorization|authentication|(?:api|access|account|admin|app|application|auth|client|encryption|functions?|licen[cs]e|master|private|secret|service|session|shared|signing|subscription)-?key)$|apikey$/

/** `api_key` and `api.key` say what `api-key` says. */
export const isSecretHeader = (lower: string): boolean => secretName.test(foldedName(lower))

/**
 * What a person reads before saying yes.
 *
 *     POST /v1/exports?format=csv
 *     host: crm.example
 *     content-type: application/json
 *
 *     { … }
 */
export const actionText = ({ method, actsAs, target, host, headers, body }: TextSource): Cut => {
  const lines = [`${method} ${target}${actsAs === method ? '' : `   (acts as ${actsAs})`}`, `host: ${host}`]
  for (const [name, value] of headers) lines.push(`${name}: ${isSecretHeader(name) ? `(not shown, ${value.length} characters)` : visibleRaw(value)}`)
  if (body === undefined) return { text: lines.join('\n'), cut: false }
  const { text, cut } = body === 'streamed' ? { text: '(a body that is passed on without being read)', cut: true } : preview(body.bytes, body.sha256, body.content)
  return { text: `${lines.join('\n')}\n\n${text}`, cut }
}

const preview = (bytes: Uint8Array, sha256: string, content: Body): Cut => {
  if (content.kind === 'empty') return { text: '', cut: false }
  const readable = readableText(bytes, content)
  if (readable === undefined) return { text: `(${bytes.length} bytes of ${content.kind === 'opaque' && content.essence !== undefined ? content.essence : 'unnamed content'}, sha256 ${sha256})`, cut: true }
  const shown = cutAt(readable, previewLength)
  return shown.cut ? { text: `${shown.text}\n(cut: ${bytes.length} bytes in all, sha256 ${sha256})`, cut: true } : shown
}

const readableText = (bytes: Uint8Array, content: Body): string | undefined => {
  if (content.kind === 'json') return visible(JSON.stringify(content.value, undefined, 2))
  if (content.kind === 'form')
    return Object.entries(content.fields.values)
      .flatMap(([key, values]) => values.map((value) => `${visible(JSON.stringify(key))} = ${visible(JSON.stringify(value))}`))
      .join('\n')
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.length > previewLength * 4 ? bytes.subarray(0, wholeCharacters(bytes, previewLength * 4)) : bytes)
    return text.includes('\0') ? undefined : visibleRaw(bytes.length > previewLength * 4 ? `${text}${' '.repeat(previewLength)}` : text)
  } catch {
    return undefined
  }
}

/** The end of the last whole UTF-8 character before `most`. */
const wholeCharacters = (bytes: Uint8Array, most: number): number => {
  let end = most
  while (end > most - 4 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return end
}
