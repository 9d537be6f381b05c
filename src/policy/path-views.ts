/**
 * The ways in which an upstream may read one path. An allow rule believes only the path as it stands;
 * a rule that holds or denies is matched against every view, so that no spelling hides a path from it.
 * Many routers and file systems do not tell upper from lower case, so each view has a folded one beside it.
 *
 *     /internal;x=y//keys   plain      ['', 'internal;x=y', '', 'keys']
 *                           cleaned    ['', 'internal', 'keys']
 *     /internal./keys%20      trimmed    ['', 'internal', 'keys']
 */
export interface PathViews {
  readonly plain: readonly string[]
  /** All views, `plain` among them. One entry for an ordinary path. */
  readonly all: readonly (readonly string[])[]
  /** All views, and those that differ from them by case folded. For patterns that are folded, too. */
  readonly loose: readonly (readonly string[])[]
}

/** Wider than any one reader folds: long s and the Kelvin sign become their ASCII look-alikes. */
export const foldCase = (text: string): string => (BEYOND_ASCII.test(text) ? text.toUpperCase().toLowerCase() : text.toLowerCase())

const BEYOND_ASCII = /[^ -~]/

const loosened = (views: readonly (readonly string[])[]): readonly (readonly string[])[] => {
  const folded = views.map((view) => view.map(foldCase)).filter((view, at) => view.some((segment, n) => segment !== views[at]?.[n]))
  return folded.length === 0 ? views : [...views, ...folded]
}

/** Whether the path may have more than one reading: parameters, escapes, empty segments, segments that end with a dot or white space. */
const ODD = /[;%\\]|\/\/|\/$|[.\s](?:\/|$)/

const ROOT: readonly string[] = ['', '']

/** Decodes each well-formed escape once, octet by octet where it is not valid UTF-8 as a whole. */
const decodeOnce = (segment: string): string => {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment.replace(/%([0-7][0-9a-fA-F])/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  }
}

const isBlank = (character: string): boolean => character < ' ' || /\s/.test(character)

const trimEnd = (text: string, gone: (character: string) => boolean): string => {
  let end = text.length
  while (end > 0 && gone(text.charAt(end - 1))) end--
  return text.slice(0, end)
}

const asIs = (name: string): string => name

/** The file systems of Windows, and servers on them, drop dots and white space at the end of a name. */
const trimmed = (name: string): string => {
  const solid = trimEnd(name, isBlank)
  return solid === '..' ? solid : trimEnd(solid, (character) => character === '.' || isBlank(character))
}

const clean = (segments: readonly string[], read: (name: string) => string = asIs): readonly string[] => {
  const kept: string[] = ['']
  for (const segment of segments) {
    const cut = segment.indexOf(';')
    const name = read(cut < 0 ? segment : segment.slice(0, cut))
    if (name === '..') kept.length = Math.max(1, kept.length - 1)
    else if (name !== '' && name !== '.') kept.push(name)
  }
  return kept.length === 1 ? ROOT : kept
}

const cleaned = (segments: readonly string[]): readonly (readonly string[])[] => {
  const [whole, short] = [clean(segments), clean(segments, trimmed)]
  return whole.length === short.length && whole.every((name, at) => name === short[at]) ? [whole] : [whole, short]
}

export const viewsOf = (path: string): PathViews => {
  const plain = path.split('/')
  if (path === '/' || !ODD.test(path)) {
    const one = [plain]
    return { plain, all: one, loose: path === foldCase(path) ? one : loosened(one) }
  }
  const all: (readonly string[])[] = [plain, ...cleaned(plain)]
  if (path.includes('%') || path.includes('\\')) {
    const decoded = plain.flatMap((segment) => decodeOnce(segment).split(/[/\\]/))
    all.push(decoded, ...cleaned(decoded))
  }
  return { plain, all, loose: loosened(all) }
}
