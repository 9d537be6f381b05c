import { nearest } from '../lib/nearest.ts'

/** The end of a message about an unknown name. */
export const meant = (name: string, known: Iterable<string>): string => {
  const found = nearest(name, known)
  return found === undefined ? '' : `; did you mean "${found}"?`
}
