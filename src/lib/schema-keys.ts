import type { z } from 'zod'

interface Def {
  readonly type: string
  readonly shape?: Readonly<Record<string, z.ZodType>>
  readonly innerType?: z.ZodType
  readonly element?: z.ZodType
  readonly valueType?: z.ZodType
  readonly in?: z.ZodType
  readonly left?: z.ZodType
  readonly right?: z.ZodType
  readonly options?: readonly z.ZodType[]
  readonly items?: readonly z.ZodType[]
  readonly getter?: () => z.ZodType
  readonly values?: readonly unknown[]
}

/** The schema behind wrappers; several for a union. */
const bare = (schema: z.ZodType): readonly Def[] => {
  const def = schema._zod.def as unknown as Def
  if (def.innerType) return bare(def.innerType)
  if (def.in) return bare(def.in)
  if (def.getter) return bare(def.getter())
  if (def.options) return def.options.flatMap(bare)
  if (def.left && def.right) return [...bare(def.left), ...bare(def.right)]
  return [def]
}

/** The members that a schema knows at a path, of every branch that a union could take. */
export const knownKeys = (schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] => {
  const [key, ...rest] = path
  const found = bare(schema).flatMap((def): readonly string[] => {
    if (key === undefined) return def.shape ? Object.keys(def.shape) : []
    const inner = innerOf(def, key)
    return inner ? knownKeys(inner, rest) : []
  })
  return [...new Set(found)]
}

/** Of the branches of a union that know a key, what tells them apart, such as `protocol: postgres`. */
export const kindsWith = (schema: z.ZodType, path: readonly PropertyKey[], wanted: string, kind?: string): readonly string[] => {
  const [key, ...rest] = path
  const found = bare(schema).flatMap((def): readonly string[] => {
    const said = literalOf(def) ?? kind
    if (key === undefined) return said !== undefined && def.shape && wanted in def.shape ? [said] : []
    const inner = innerOf(def, key)
    return inner ? kindsWith(inner, rest, wanted, said) : []
  })
  return [...new Set(found)]
}

const literalOf = ({ shape = {} }: Def): string | undefined => {
  const found = Object.entries(shape).flatMap(([name, member]) => bare(member).flatMap(({ type, values }) => (type === 'literal' && values?.length === 1 ? [`${name}: ${String(values[0])}`] : [])))
  return found[0]
}

const innerOf = (def: Def, key: PropertyKey): z.ZodType | undefined => (def.shape ? def.shape[String(key)] : (def.element ?? def.valueType ?? def.items?.[Number(key)]))
