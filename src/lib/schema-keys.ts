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
    const inner = def.shape ? def.shape[String(key)] : (def.element ?? def.valueType ?? def.items?.[Number(key)])
    return inner ? knownKeys(inner, rest) : []
  })
  return [...new Set(found)]
}
