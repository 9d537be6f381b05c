/**
 * The ways in which an upstream may read one path. An allow rule believes only the path as it stands;
 * a rule that holds or denies is matched against every view, so that no spelling hides a path from it.
 *
 *     /internal;x=y//keys   plain      ['', 'internal;x=y', '', 'keys']
 *                           cleaned    ['', 'internal', 'keys']
 */
export interface PathViews {
  readonly plain: readonly string[]
  /** All views, `plain` among them. One entry for an ordinary path. */
  readonly all: readonly (readonly string[])[]
}

/** Whether the path has only one reading: no parameters, no escapes, no empty segments, no dot segments. */
const ODD = /[;%\\]|\/\/|\/$|\/\.{1,2}(?:\/|$)/

const ROOT: readonly string[] = ['', '']

/** Decodes each well-formed escape once, octet by octet where it is not valid UTF-8 as a whole. */
const decodeOnce = (segment: string): string => {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment.replace(/%([0-7][0-9a-fA-F])/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  }
}

const clean = (segments: readonly string[]): readonly string[] => {
  const kept: string[] = ['']
  for (const segment of segments) {
    const cut = segment.indexOf(';')
    const name = cut < 0 ? segment : segment.slice(0, cut)
    if (name === '..') kept.length = Math.max(1, kept.length - 1)
    else if (name !== '' && name !== '.') kept.push(name)
  }
  return kept.length === 1 ? ROOT : kept
}

export const viewsOf = (path: string): PathViews => {
  const plain = path.split('/')
  if (path === '/' || !ODD.test(path)) return { plain, all: [plain] }
  const all: (readonly string[])[] = [plain, clean(plain)]
  if (path.includes('%') || path.includes('\\')) {
    const decoded = plain.flatMap((segment) => decodeOnce(segment).split(/[/\\]/))
    all.push(decoded, clean(decoded))
  }
  return { plain, all }
}
