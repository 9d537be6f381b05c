/** Markup that was made here. Only `html` makes it, so no text of others becomes markup. */
export class Html {
  readonly #text: string
  constructor(text: string) {
    this.#text = text
  }
  toString(): string {
    return this.#text
  }
}

type Value = string | number | Html | readonly Value[] | undefined | false

const special: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** What HTML cannot hold is shown as the replacement character; halves of pairs likewise. */
export const escape = (text: string): string => text.toWellFormed().replaceAll('\0', '\uFFFD').replaceAll(/[&<>"']/g, (character) => special[character] ?? character)

const rendered = (value: Value): string => {
  if (value === undefined || value === false) return ''
  if (value instanceof Html) return value.toString()
  if (typeof value === 'string') return escape(value)
  if (typeof value === 'number') return String(value)
  return value.map(rendered).join('')
}

/** A template whose values are texts: they end up as text nodes, or as values of attributes in double quotes. Addresses are never values: links are made of our own paths. */
export const html = (strings: TemplateStringsArray, ...values: readonly Value[]): Html => {
  let text = strings[0] ?? ''
  for (const [at, value] of values.entries()) text += rendered(value) + (strings[at + 1] ?? '')
  return new Html(text)
}
