import { makeParser, type Parser, type Token } from './parser.ts'

/** A piece of a text and what the server's lexer takes it for. In characters. */
export interface Marked {
  readonly start: number
  readonly end: number
  readonly kind: 'keyword' | 'string' | 'number' | 'comment' | 'parameter' | 'name'
}

/** Longer texts stay as they are. */
const longest = 24 * 1024

/** Words that are reserved nowhere and begin or join the statements people decide about. */
const verbs = new Set(['DELETE', 'UPDATE', 'INSERT', 'SET', 'VALUES', 'TRUNCATE', 'DROP', 'ALTER', 'CALL', 'COPY', 'MERGE', 'MATCHED', 'EXECUTE', 'PREPARE', 'REVOKE', 'BY', 'EXISTS', 'CASCADE', 'RESTRICT', 'IF', 'REPLACE', 'BEGIN', 'COMMIT', 'ROLLBACK', 'LOCK', 'REFRESH', 'OVER', 'PARTITION', 'ROWS', 'NOWAIT', 'CONFLICT', 'NOTHING', 'BETWEEN', 'COALESCE', 'RENAME', 'SCHEMA', 'EXTENSION', 'FUNCTION', 'VIEW', 'INDEX', 'SEQUENCE', 'OWNER'])

const kindOf = ({ tokenName, keywordName }: Token, text: string): Marked['kind'] | undefined => {
  if (keywordName === 'RESERVED_KEYWORD' || keywordName === 'TYPE_FUNC_NAME_KEYWORD' || (keywordName !== 'NO_KEYWORD' && verbs.has(text.toUpperCase()))) return 'keyword'
  if (keywordName !== 'NO_KEYWORD') return 'name'
  if (tokenName === 'SCONST' || tokenName === 'USCONST' || tokenName === 'BCONST' || tokenName === 'XCONST') return 'string'
  if (tokenName === 'ICONST' || tokenName === 'FCONST') return 'number'
  if (tokenName === 'SQL_COMMENT' || tokenName === 'C_COMMENT') return 'comment'
  if (tokenName === 'PARAM') return 'parameter'
  return tokenName === 'IDENT' || tokenName === 'UIDENT' ? 'name' : undefined
}

/** Where each byte's character begins. */
const characters = (text: string): ((byte: number) => number) => {
  if (Buffer.byteLength(text) === text.length) return (byte) => byte
  const at = new Map<number, number>()
  let bytes = 0
  let units = 0
  for (const character of text) {
    at.set(bytes, units)
    bytes += Buffer.byteLength(character)
    units += character.length
  }
  at.set(bytes, units)
  return (byte) => at.get(byte) ?? units
}

/** Marks a statement for the eye by the lexer of the server, which also reads what is judged. Nothing where that cannot read it. */
export const makeHighlight = (): ((text: string) => Promise<readonly Marked[]>) => {
  let parser: Promise<Parser> | undefined
  return async (text) => {
    if (text.length > longest) return []
    try {
      const tokens = (await (parser ??= makeParser(0))).tokens(text)
      const place = characters(text)
      return tokens.flatMap((token) => {
        const [start, end] = [place(token.start), place(token.end)]
        const kind = kindOf(token, text.slice(start, end))
        return kind === undefined ? [] : [{ start, end, kind }]
      })
    } catch {
      return []
    }
  }
}
