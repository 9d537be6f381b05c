import { foldBlanks } from '../../lib/plain-view.ts'
import { type Cut, cutAt, visible, visibleRaw } from '../../lib/visible.ts'
import type { Bound } from './namespace.ts'

/** Characters of the statement, and of each value, that are shown. */
const longestStatement = 8_192
const longestValue = 512
const mostValues = 200

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** What a parameter says, for people and for rules. Binary ones of types that we do not know are spelled in hex, as bytea is. */
export const valueText = (value: Buffer | null, format: number, type: number): string | null => {
  if (value === null) return null
  if (format === 0 || textual.has(type)) {
    try {
      return strict.decode(value)
    } catch {
      return hex(value)
    }
  }
  return binary[type]?.(value) ?? hex(value)
}

/** The same for whoever has to be sure: `undefined` where it is not known as text. */
const knownText = (value: Buffer | null, format: number, type: number): string | null | undefined => {
  if (value === null || format === 0 || textual.has(type)) return valueText(value, 0, type)
  return binary[type]?.(value)
}

const hex = (value: Buffer): string => `\\x${value.toString('hex')}`

/** Types whose binary form is their text: text, varchar, bpchar, name, json, unknown, xml. */
const textual: ReadonlySet<number> = new Set([25, 1043, 1042, 19, 114, 705, 142])

type Decode = (value: Buffer) => string | undefined

const sized = (length: number, decode: (value: Buffer) => string): Decode => (value) => (value.length === length ? decode(value) : undefined)

/** By type: bool, int8, int2, int4, oid, float4, float8, uuid. */
const binary: Readonly<Record<number, Decode>> = {
  16: sized(1, (value) => (value[0] === 0 ? 'f' : 't')),
  20: sized(8, (value) => value.readBigInt64BE().toString()),
  21: sized(2, (value) => value.readInt16BE().toString()),
  23: sized(4, (value) => value.readInt32BE().toString()),
  26: sized(4, (value) => value.readUInt32BE().toString()),
  700: sized(4, (value) => String(value.readFloatBE())),
  701: sized(8, (value) => String(value.readDoubleBE())),
  2950: sized(16, (value) => value.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')),
}

const formatOf = ({ formats }: Bound, at: number): number => (formats.length === 1 ? formats[0] : formats[at]) ?? 0

export const valuesOf = (bound: Bound, types: readonly number[]): readonly (string | null)[] => bound.values.map((value, at) => valueText(value, formatOf(bound, at), types[at] ?? 0))

export const knownValues = (bound: Bound, types: readonly number[]): readonly (string | null | undefined)[] => bound.values.map((value, at) => knownText(value, formatOf(bound, at), types[at] ?? 0))

export interface Shown {
  readonly sql: string
  /** What names in it stand for that are no tables: prepared statements and cursors. */
  readonly bodies: readonly (readonly [name: string, sql: string])[]
  readonly values: readonly (string | null)[]
}

/** The statement as it came, what it calls, and its values. */
export const actionText = ({ sql, bodies, values }: Shown): Cut => {
  const statement = cutAt(foldBlanks(visibleRaw(sql)), longestStatement)
  let { text, cut } = statement
  for (const [name, body] of bodies) {
    const shown = cutAt(foldBlanks(visibleRaw(body)), longestStatement)
    text += `\n\n${visible(JSON.stringify(name))} is:\n${shown.text}`
    cut ||= shown.cut
  }
  if (values.length > 0) text += '\n'
  for (const [at, value] of values.slice(0, mostValues).entries()) {
    const shown = value === null ? { text: 'NULL', cut: false } : cutAt(visible(JSON.stringify(value)), longestValue)
    text += `\n$${at + 1} = ${shown.text}${shown.cut ? ' …' : ''}`
    cut ||= shown.cut
  }
  return { text, cut: cut || values.length > mostValues }
}
