import type { Token } from './parser.ts'

const comments: ReadonlySet<string> = new Set(['SQL_COMMENT', 'C_COMMENT'])

export const isComment = (token: Token): boolean => comments.has(token.tokenName)

const opening: ReadonlySet<string> = new Set(['(', '['])
const closing: ReadonlySet<string> = new Set([')', ']'])

/** How deep in brackets each token stands. A closing one stands as deep as its opening one. */
export const withDepth = (tokens: readonly Token[]): readonly { readonly token: Token; readonly depth: number }[] => {
  let depth = 0
  return tokens.filter((token) => !isComment(token)).map((token) => {
    if (closing.has(token.text)) depth--
    const at = depth
    if (opening.has(token.text)) depth++
    return { token, depth: at }
  })
}

/** The texts between the commas of `EXECUTE name (…)`, for the approver. */
export const argumentsOfExecute = (tokens: readonly Token[]): readonly string[] => {
  const all = withDepth(tokens)
  const start = all.findLastIndex(({ token }) => token.keywordName !== 'NO_KEYWORD' && token.text.toLowerCase() === 'execute')
  const open = all.findIndex(({ token }, index) => index > start && token.text === '(')
  if (open < 0) return []
  const depth = (all[open]?.depth ?? 0) + 1
  const found: string[][] = [[]]
  for (const { token, depth: at } of all.slice(open + 1)) {
    if (at < depth) break
    if (token.text === ',' && at === depth) found.push([])
    else found.at(-1)?.push(token.text)
  }
  return found.map((words) => words.join(' '))
}
