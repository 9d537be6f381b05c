import { hash } from 'node:crypto'
import { lineageFields, type LineageField } from '../../../audit/lineage/trace.ts'
import { searchFields, type Findable } from '../../../audit/search/fields.ts'
import { textsOf, valueText } from '../../../audit/search/found-text.ts'
import { valueTerm, type Term } from '../../../audit/search/question.ts'
import { wholeWord } from '../../../audit/search/words.ts'

/*
 * Words as PostgreSQL's text search keeps them, made by us and not by a dictionary of the server, so that both indexes find the same.
 * Each word stands there twice at one position: by itself, and behind the name of its field (`who/alice`). Between two values stands the whole of
 * the one before as one word (`who/_alice_smith`), which also keeps them apart.
 */

/** The server counts no further, and takes no longer words. */
const lastPosition = 16_383
const longestLexeme = 400

const lexeme = (text: string): string => `'${(text.length > longestLexeme ? `${text.slice(0, 40)}#${hash('sha256', text)}` : text).replaceAll("'", "''")}'`

const vectorOf = (fields: Iterable<readonly [field: string, text: string]>): string => {
  const found = new Map<string, number[]>()
  let position = 0
  for (const [field, text] of fields) {
    position++
    for (const token of text.split(' ')) {
      if (token === '') continue
      position++
      for (const one of token.startsWith('_') ? [`${field}/${token}`] : [`${field}/${token}`, token]) {
        const at = found.get(one) ?? []
        at.push(Math.min(position, lastPosition))
        found.set(one, at)
      }
    }
  }
  return [...found].map(([text, at]) => `${lexeme(text)}:${at.join(',')}`).join(' ')
}

export const recordVector = (found: Findable): string => {
  const texts = textsOf(found)
  return vectorOf([...searchFields, 'words'].map((field, at) => [field, texts[at] ?? '']))
}

export const namesVector = (fields: Readonly<Partial<Record<LineageField | 'name', readonly string[]>>>): string => vectorOf(Object.entries(fields).map(([field, values]) => [field, values.map(valueText).join('')]))

const sequence = (field: string | undefined, words: readonly string[], how: Term['how']): string =>
  `(${words.map((word, at) => `${lexeme(field === undefined ? word : `${field}/${word}`)}${how === 'beginning' && at === words.length - 1 ? ':*' : ''}`).join(' <-> ')})`

const expression = ({ field, words, how }: Term): string => {
  if (field === undefined) return how === 'beginning' ? sequence(undefined, words, how) : `(${sequence(undefined, words, how)} | ${lexeme(`case/${wholeWord(words)}`)})`
  return how === 'whole' || field === 'case' ? lexeme(`${field}/${wholeWord(words)}`) : sequence(field, words, how)
}

/** Words are letters and digits only, so nothing that is asked can be anything else than words to the server. */
export const recordQuery = (terms: readonly Term[]): string => terms.map(expression).join(' & ')

export const nameQuery = (field: LineageField | 'name', given: string): string => {
  const { words, how } = valueTerm(given)
  return how === 'whole' ? lexeme(`${field}/${wholeWord(words)}`) : sequence(field, words, how)
}

export const lineageQuery = (fields: Readonly<Partial<Record<LineageField, string>>>): string => lineageFields.flatMap((field) => (fields[field] === undefined ? [] : [nameQuery(field, fields[field])])).join(' & ')
