type Tree = Readonly<Record<string, unknown>>

const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Members of the elements that we use, as Adaptive Cards 1.5 and Teams know them. */
const members: Readonly<Record<string, readonly string[]>> = {
  AdaptiveCard: ['type', '$schema', 'version', 'msteams', 'fallbackText', 'body', 'actions'],
  Container: ['type', 'style', 'bleed', 'items'],
  RichTextBlock: ['type', 'inlines', 'spacing', 'separator'],
  TextRun: ['type', 'text', 'weight', 'size', 'color', 'isSubtle', 'italic', 'fontType'],
  'Input.Text': ['type', 'id', 'label', 'isMultiline', 'maxLength', 'isRequired', 'errorMessage'],
  'Action.Execute': ['type', 'title', 'verb', 'style', 'fallback', 'data'],
  'Action.ShowCard': ['type', 'title', 'card'],
  'Action.OpenUrl': ['type', 'title', 'url'],
}

/** What a strict renderer would say of a card: elements and members that it does not know, and more than a message may carry. */
export const cardProblems = (card: unknown): readonly string[] => {
  const problems: string[] = []
  const look = (value: unknown, at: string): void => {
    if (Array.isArray(value)) return value.forEach((item, index) => look(item, `${at}[${index}]`))
    if (!isTree(value)) return
    const { type } = value
    if (typeof type !== 'string') return
    const known = Object.hasOwn(members, type) ? members[type] : undefined
    if (known === undefined) return void problems.push(`${at} is a ${type}`)
    for (const [key, member] of Object.entries(value)) {
      if (!known.includes(key)) problems.push(`${at}.${key} is not known`)
      if (key !== 'data') look(member, `${at}.${key}`)
    }
    if (type === 'TextRun' && typeof value['text'] !== 'string') problems.push(`${at} has no text`)
    if (type === 'Action.OpenUrl' && !String(value['url']).startsWith('https://')) problems.push(`${at} leads to ${String(value['url'])}`)
  }
  if (!isTree(card) || card['type'] !== 'AdaptiveCard' || card['version'] !== '1.5') return ['no card of version 1.5']
  look(card, 'card')
  if (Array.isArray(card['actions']) && card['actions'].length > 6) problems.push('more than 6 actions')
  if (Buffer.byteLength(JSON.stringify(card)) > 28_000) problems.push('longer than 28 KB')
  return problems
}

/** Every text of a card and where it stands, as `TextRun.text`. */
export const textsOf = (card: unknown): readonly { readonly where: string; readonly text: string }[] => {
  const found: { where: string; text: string }[] = []
  const look = (value: unknown, where: string): void => {
    if (typeof value === 'string') found.push({ where, text: value })
    else if (Array.isArray(value)) for (const item of value) look(item, where)
    else if (isTree(value)) for (const [key, member] of Object.entries(value)) look(member, `${String(value['type'] ?? where)}.${key}`)
  }
  look(card, '')
  return found
}
