/* What Slack says about blocks, as somebody who reads its pages would check it. The first thing that is wrong, or `undefined`. */

type Tree = Readonly<Record<string, unknown>>

const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value)
const trees = (value: unknown): readonly Tree[] => (Array.isArray(value) && value.every(isTree) ? value : [])

const unknownKey = (value: Tree, known: readonly string[]): string | undefined => Object.keys(value).find((key) => !known.includes(key))

const text = (value: unknown, most: number, kinds: readonly string[] = ['plain_text']): string | undefined => {
  if (!isTree(value)) return 'no text object'
  const { type, text: words } = value
  if (typeof type !== 'string' || !kinds.includes(type)) return `text of type ${String(type)}`
  const strange = unknownKey(value, type === 'plain_text' ? ['type', 'text', 'emoji'] : ['type', 'text', 'verbatim'])
  if (strange !== undefined) return `text with ${strange}`
  if (typeof words !== 'string' || words.length === 0) return 'an empty text'
  return words.length > most ? `a text of ${words.length} characters, ${most} at most` : undefined
}

const confirm = (value: unknown): string | undefined => {
  if (value === undefined) return undefined
  if (!isTree(value)) return 'no confirm object'
  return text(value['title'], 100) ?? text(value['text'], 300) ?? text(value['confirm'], 30) ?? text(value['deny'], 30) ?? unknownKey(value, ['title', 'text', 'confirm', 'deny', 'style'])
}

const button = (value: Tree): string | undefined => {
  if (value['type'] !== 'button') return `an element of type ${String(value['type'])}`
  const { action_id: id, value: said, url, style } = value
  if (typeof id !== 'string' || id.length === 0 || id.length > 255) return 'action_id'
  if (said !== undefined && (typeof said !== 'string' || said.length > 2_000)) return 'value'
  if (url !== undefined && (typeof url !== 'string' || url.length > 3_000 || !URL.canParse(url))) return 'url'
  if (style !== undefined && style !== 'primary' && style !== 'danger') return 'style'
  return text(value['text'], 75) ?? confirm(value['confirm']) ?? unknownKey(value, ['type', 'action_id', 'text', 'value', 'url', 'style', 'confirm'])
}

const richText = (value: Tree): string | undefined => {
  for (const part of trees(value['elements'])) {
    if (part['type'] !== 'rich_text_section' && part['type'] !== 'rich_text_preformatted') return `rich text of type ${String(part['type'])}`
    const elements = trees(part['elements'])
    if (elements.length === 0) return 'empty rich text'
    for (const element of elements) if (element['type'] !== 'text' || typeof element['text'] !== 'string' || element['text'].length === 0 || element['text'].length > 3_000) return 'an element of rich text'
  }
  return trees(value['elements']).length === 0 ? 'rich text without elements' : undefined
}

const first = <T>(values: readonly T[], check: (value: T) => string | undefined): string | undefined => {
  for (const value of values) {
    const wrong = check(value)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

const checks: Readonly<Record<string, { readonly keys: readonly string[]; readonly check: (block: Tree) => string | undefined }>> = {
  header: { keys: ['text'], check: (block) => text(block['text'], 150) },
  section: {
    keys: ['text', 'fields'],
    check(block) {
      const fields = trees(block['fields'])
      if (fields.length > 10) return 'more than 10 fields'
      if (fields.length === 0 && block['text'] === undefined) return 'a section with nothing in it'
      return (block['text'] === undefined ? undefined : text(block['text'], 3_000)) ?? first(fields, (field) => text(field, 2_000))
    },
  },
  context: { keys: ['elements'], check: (block) => (trees(block['elements']).length === 0 || trees(block['elements']).length > 10 ? 'elements of a context' : first(trees(block['elements']), (element) => text(element, 3_000, ['plain_text', 'mrkdwn']))) },
  rich_text: { keys: ['elements'], check: richText },
  actions: { keys: ['elements'], check: (block) => (trees(block['elements']).length === 0 || trees(block['elements']).length > 25 ? 'elements of actions' : (first(trees(block['elements']), button) ?? (new Set(trees(block['elements']).map(({ action_id: id }) => id)).size === trees(block['elements']).length ? undefined : 'an action_id twice'))) },
  input: {
    keys: ['block_id', 'optional', 'label', 'hint', 'element'],
    check(block) {
      const { element } = block
      if (!isTree(element) || element['type'] !== 'plain_text_input') return 'an input of another kind'
      if (typeof element['max_length'] !== 'number' || element['max_length'] > 3_000) return 'max_length'
      return text(block['label'], 2_000) ?? (block['hint'] === undefined ? undefined : text(block['hint'], 2_000))
    },
  },
}

export const wrongBlocks = (value: unknown, where: 'message' | 'modal'): string | undefined => {
  const blocks = trees(value)
  if (!Array.isArray(value) || blocks.length !== value.length || blocks.length === 0) return 'no list of blocks'
  if (blocks.length > (where === 'message' ? 50 : 100)) return 'too many blocks'
  return first(blocks, (block) => {
    const type = String(block['type'])
    const rule = checks[type]
    if (rule === undefined || (type === 'input' && where === 'message')) return `a block of type ${type}`
    return unknownKey(block, ['type', 'block_id', ...rule.keys]) ?? rule.check(block)
  })
}

export const wrongView = (value: unknown): string | undefined => {
  if (!isTree(value) || value['type'] !== 'modal') return 'no modal'
  const { callback_id: id, private_metadata: data, title, submit, close, blocks } = value
  if (typeof id !== 'string' || id.length > 255) return 'callback_id'
  if (data !== undefined && (typeof data !== 'string' || data.length > 3_000)) return 'private_metadata'
  const needsSubmit = trees(blocks).some(({ type }) => type === 'input')
  if (needsSubmit && submit === undefined) return 'inputs without submit'
  return text(title, 24) ?? (submit === undefined ? undefined : text(submit, 24)) ?? (close === undefined ? undefined : text(close, 24)) ?? unknownKey(value, ['type', 'callback_id', 'private_metadata', 'title', 'submit', 'close', 'blocks']) ?? wrongBlocks(blocks, 'modal')
}
