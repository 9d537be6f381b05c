/** The members that are set: what `exactOptionalPropertyTypes` wants to see instead of an `undefined`. */
export const defined = <T extends Record<string, unknown>>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } => {
  let set: Record<string, unknown> | undefined
  for (const key in members) if (members[key] !== undefined) (set ??= {})[key] = members[key]
  return (set ?? nothing) as { [K in keyof T]?: Exclude<T[K], undefined> }
}

const nothing = Object.freeze({})
