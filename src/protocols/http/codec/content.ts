import { Refusal } from '../../../model/refusal.ts'
import { isToken } from './header-names.ts'

/** What a Content-Type header says, in one spelling. */
export interface ContentType {
  /** Lower case, without parameters. */
  readonly essence: string
  readonly charset: string | undefined
}

const kept = new Map<string, ContentType>()
const keptEntries = 500

/** Throws `malformed` for anything that two readers could take for two media types. */
export const parseContentType = (value: string): ContentType => {
  const known = kept.get(value)
  if (known) return known
  const type = read(value)
  if (kept.size >= keptEntries) kept.clear()
  if (value.length <= 100) kept.set(value, type)
  return type
}

const malformed = (): Refusal => new Refusal('malformed', 'The Content-Type header is not valid.')

const parameter = /^[ \t]*([^=\s]+)=(?:"((?:[^"\\]|\\.)*)"|([^"\s;]+))[ \t]*(?:;|$)/

const read = (value: string): ContentType => {
  const semicolon = value.indexOf(';')
  const essence = (semicolon < 0 ? value : value.slice(0, semicolon)).trim()
  const [type = '', subtype = '', ...more] = essence.split('/')
  if (!isToken(type) || !isToken(subtype) || more.length > 0 || value.length > 500) throw malformed()
  let rest = semicolon < 0 ? '' : value.slice(semicolon + 1)
  let charset: string | undefined
  const names = new Set<string>()
  while (rest.trim() !== '') {
    const match = parameter.exec(rest)
    const name = match?.[1]?.toLowerCase()
    if (match === null || name === undefined || !isToken(name) || names.has(name)) throw malformed()
    names.add(name)
    if (name === 'charset') charset = (match[2] ?? match[3] ?? '').toLowerCase()
    rest = rest.slice(match[0].length)
  }
  return { essence: essence.toLowerCase(), charset }
}

/** A rule reads UTF-8; a body in another encoding would be read otherwise upstream. */
export const refuseOtherCharsets = ({ charset }: ContentType): void => {
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8') throw new Refusal('unsupported-media', 'Bodies are read as UTF-8 only.')
}

/** An encoded body cannot be judged as it stands, and is not decoded here. */
export const refuseEncodedContent = (contentEncoding: string | undefined): void => {
  if (contentEncoding !== undefined && contentEncoding.trim().toLowerCase() !== 'identity') throw new Refusal('unsupported-media', 'The body must be sent without Content-Encoding here, because it is inspected.')
}
