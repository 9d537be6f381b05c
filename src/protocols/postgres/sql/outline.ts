import type { Parser, Token } from './parser.ts'

/** Longer texts have none: nobody reads them in a chat. */
const longest = 24 * 1024

const hidden = '•••'
const comments: Readonly<Record<string, string>> = { C_COMMENT: `/* ${hidden} */`, SQL_COMMENT: `-- ${hidden}` }

/** Words, names, parameters and signs. All else that the lexer knows is a value. */
const stays = ({ tokenName, keywordName, text }: Token): boolean =>
  keywordName !== 'NO_KEYWORD' || tokenName === 'IDENT' || tokenName === 'PARAM' || /^(?:[uU]&)?"/.test(text) || /^[^\p{L}\p{N}'$]+$/u.test(text)

const without = (token: Token): string | undefined => {
  const comment = comments[token.tokenName]
  if (comment !== undefined || stays(token)) return comment
  return token.tokenName === 'ICONST' || token.tokenName === 'FCONST' ? hidden : `'${hidden}'`
}

/**
 * The statement without its values, by the lexer of the server: in the place of each string and number stands `•••`, and in that of each comment.
 * Names and words stay. `undefined` where the lexer cannot read it, or it is too long.
 */
export const outlineOf = (text: string, parser: Parser): string | undefined => {
  if (text.length > longest || !text.isWellFormed() || text.includes('\0')) return undefined
  try {
    const bytes = Buffer.from(text)
    let outline = ''
    let at = 0
    for (const token of parser.tokens(text)) {
      const { start, end } = token
      if (start < at) return undefined
      outline += bytes.toString('utf8', at, start) + (without(token) ?? bytes.toString('utf8', start, end))
      at = end
    }
    return outline + bytes.toString('utf8', at)
  } catch {
    return undefined
  }
}
