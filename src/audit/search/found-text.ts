import { searchFields, type Findable } from './fields.ts'
import { wholeWord, wordsOf } from './words.ts'

/** Of each value its words and, as one more word that also keeps it apart from the next, the whole of it. */
export const valueText = (value: string): string => {
  const words = wordsOf(value)
  return words.length === 0 ? '' : `${words.join(' ')} ${wholeWord(words)} `
}
/** What is only asked for whole. */
const nameText = (value: string): string => {
  const words = wordsOf(value)
  return words.length === 0 ? '' : `${wholeWord(words)} `
}

/** Most values come again and again. */
const columnText = (values: readonly string[], known: Map<string, string>, textOf: (value: string) => string): string => {
  let text = ''
  for (const value of values) {
    let own = known.get(value)
    if (own === undefined) {
      own = textOf(value)
      if (known.size >= 20_000) known.clear()
      if (value.length <= 200) known.set(value, own)
    }
    text += own
  }
  return text
}
const valueTexts = new Map<string, string>()
const nameTexts = new Map<string, string>()

/** What stands in the index for a record: one text a field, in the order of the fields, and the words. */
export const textsOf = (found: Findable): readonly string[] => [...searchFields.map((name) => (name === 'case' ? columnText(found.case, nameTexts, nameText) : columnText(found[name], valueTexts, valueText))), columnText(found.words, valueTexts, valueText)]
