import type { ClaimRule } from './options.ts'

/**
 * One claim against one rule. A literal is equal or it is not. In a glob, `*` is any text inside one segment and `**`, alone at the end,
 * is the rest; segments end at `/` or `:`. Only the rule has special characters.
 *
 *     repo:acme/*:ref:refs/heads/main      any repository of acme, this branch        repo:acme/app:**      anything of this repository
 */
export const matchesClaimRule = (rule: ClaimRule, value: unknown): boolean => {
  if ('equals' in rule) return rule.equals.some((literal) => literal === value)
  return typeof value === 'string' && rule.glob.some((pattern) => matchesGlob(pattern, value))
}

export const describeClaimRule = (rule: ClaimRule): string => ('equals' in rule ? rule.equals.map((literal) => JSON.stringify(literal)).join(' or ') : `like ${rule.glob.join(' or ')}`)

/** Why a pattern is none, or `undefined`. */
export const claimGlobProblem = (pattern: string): string | undefined => {
  const parts = segments(pattern)
  if (pattern === '') return 'an empty pattern matches nothing'
  if (parts.slice(0, -1).some((part) => part.includes('**')) || (parts.at(-1)?.includes('**') === true && parts.at(-1) !== '**')) return `"**" stands alone and last, in "${pattern}"`
  return undefined
}

/** Each segment keeps the separator that ends it, so that `a:b` and `a/b` differ. */
const segments = (text: string): readonly string[] => text.split(/(?<=[/:])/)

const matchesGlob = (pattern: string, value: string): boolean => {
  const wanted = segments(pattern)
  const given = segments(value)
  const open = wanted.at(-1) === '**'
  const fixed = open ? wanted.length - 1 : wanted.length
  if (open ? given.length <= fixed : given.length !== fixed) return false
  return wanted.slice(0, fixed).every((segment, index) => matchesSegment(segment, given[index] ?? ''))
}

const matchesSegment = (pattern: string, value: string): boolean => {
  const [head = '', ...rest] = pattern.split('*')
  const tail = rest.pop()
  if (tail === undefined) return pattern === value
  if (value.length < head.length + tail.length || !value.startsWith(head) || !value.endsWith(tail)) return false
  let at = head.length
  const end = value.length - tail.length
  for (const piece of rest) {
    const found = value.indexOf(piece, at)
    if (found < 0 || found + piece.length > end) return false
    at = found + piece.length
  }
  return true
}
