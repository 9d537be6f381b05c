/*
 * What a text is found by: its words, small, without accents and without characters that are not seen. A word is a run of letters and digits;
 * of scripts that are written without blanks each character is one. The same is done to what is asked for, so both meet.
 */

const asciiWord = /[a-z0-9]+/g
const word = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]|[[\p{L}\p{N}]--[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]]+/gv
const unseen = /[\p{Cf}\p{M}\p{Default_Ignorable_Code_Point}]/gu
const ascii = /^\p{ASCII}*$/u

/** No text has more of them that count. */
const mostWords = 4_000
/** A longer word is found by its beginning. */
const longestWord = 80

export const wordsOf = (text: string): readonly string[] => {
  const found = ascii.test(text) ? text.toLowerCase().match(asciiWord) : text.normalize('NFKD').replace(unseen, '').toLowerCase().match(word)
  if (found === null) return []
  const words = found.length > mostWords ? found.slice(0, mostWords) : found
  return text.length <= longestWord ? words : words.map((one) => (one.length > longestWord ? one.slice(0, longestWord) : one))
}

/** A whole value as one word that no text has: what is asked for whole is found by it. */
export const wholeWord = (words: readonly string[]): string => `_${words.length > 40 ? words.slice(0, 40).join('_') : words.join('_')}`
