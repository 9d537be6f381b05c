import { hash } from 'node:crypto'
import type { Body } from './codec/body.ts'
import type { JsonValue } from './codec/json.ts'
import type { Fields } from './codec/query.ts'

const mostPaths = 200
const deepest = 8
const longest = 400

/** Numbers, UUIDs, hashes, addresses, keys: a part of a path that names one thing among many. */
const looksLikeId = (segment: string): boolean => {
  if (segment.includes('@')) return true
  if (!/\d/.test(segment)) return segment.length > 40
  return /^\d+$/.test(segment) || /^[0-9a-fA-F-]{8,}$/.test(segment) || /^(?:[A-Za-z]{1,8}[-_])?[A-Za-z0-9_-]{12,}$/.test(segment) || /^[A-Z]+-\d+$/.test(segment) || segment.includes('%')
}

/** With a star in the place of every id. */
const foldPath = (path: string): string => (/[\d@]/.test(path) || path.length > 40 ? path.split('/').map((segment) => (looksLikeId(segment) ? '*' : segment)).join('/') : path)

/** Equal for requests that differ in ids and values only. */
export const shapeOf = (service: string, verb: string, path: string, query: Fields, body: Body | undefined): string => {
  let shape = `${service} ${verb} ${foldPath(path)}`
  const keys = Object.keys(query)
  if (keys.length > 0) shape += `?${keys.length === 1 ? keys[0] : keys.sort().join('&')}`
  if (body?.kind === 'json') shape += ` ${keyPaths(body.value).join(',')}`
  else if (body?.kind === 'form') shape += ` ${Object.keys(body.fields.values).toSorted().join(',')}`
  return shape.length <= longest ? shape : `${shape.slice(0, longest).toWellFormed()}#${hash('sha256', shape, 'hex').slice(0, 16)}`
}

const keyPaths = (value: JsonValue): readonly string[] => {
  const paths = new Set<string>()
  const walk = (part: JsonValue, path: string, depth: number): void => {
    if (paths.size >= mostPaths) return
    if (typeof part !== 'object' || part === null || depth > deepest) {
      paths.add(path)
      return
    }
    if (Array.isArray(part)) for (const item of part.slice(0, 20)) walk(item, `${path}[]`, depth + 1)
    else for (const key of Object.keys(part)) walk(part[key] as JsonValue, path === '' ? key : `${path}.${key}`, depth + 1)
  }
  walk(value, '', 0)
  return [...paths].toSorted()
}
