import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { Secret } from '../lib/secret.ts'

/** `${env:NAME}`, `${env:NAME:-default}`, `${file:/path}`. */
export interface Reference {
  readonly scheme: 'env' | 'file'
  readonly name: string
  readonly fallback?: string
}

export interface Template {
  /** What stands before and behind each reference, one more than there are references. */
  readonly literals: readonly string[]
  readonly references: readonly Reference[]
}

const REFERENCE = /\$\$|\$\{([^{}]*)\}/g

const unescape = (text: string): string => text.replaceAll('$$', '$')

const parseOne = (inside: string): Reference | string => {
  const [, scheme = '', rest = ''] = /^([a-z]+):(.*)$/s.exec(inside) ?? []
  if (scheme === 'env') {
    const [, name, fallback] = /^([A-Za-z_][A-Za-z0-9_]{0,127})(?::-(.*))?$/s.exec(rest) ?? []
    if (name === undefined) return 'a reference to the environment is ${env:NAME} or ${env:NAME:-default}'
    return fallback === undefined ? { scheme, name } : { scheme, name, fallback: unescape(fallback) }
  }
  if (scheme === 'file') return rest === '' ? 'a reference to a file is ${file:/path}' : { scheme, name: unescape(rest) }
  return 'a reference begins with ${env: or ${file:'
}

/** Literal text and references in turn; `$$` is a `$`. */
export const parseTemplate = (text: string): Template | { readonly problem: string } => {
  const literals: string[] = []
  const references: Reference[] = []
  let literal = ''
  let from = 0
  for (const match of text.matchAll(REFERENCE)) {
    literal += text.slice(from, match.index)
    from = match.index + match[0].length
    if (match[0] === '$$') {
      literal += '$'
      continue
    }
    const reference = parseOne(match[1] ?? '')
    if (typeof reference === 'string') return { problem: reference }
    literals.push(literal)
    references.push(reference)
    literal = ''
  }
  literals.push(literal + text.slice(from))
  return literals.some((part) => part.includes('${')) ? { problem: 'a reference is not closed' } : { literals, references }
}

/** What is wrong with the value of a secret field: it is one reference, after an authentication scheme at most. */
export const parseReference = (text: string): { readonly problem?: string } => {
  const template = parseTemplate(text)
  if ('problem' in template) return template
  const { literals, references } = template
  if (references.length === 0) return { problem: 'a secret is never written down here: use a reference such as ${env:NAME} or ${file:/run/secrets/name}' }
  if (references.length > 1 || literals[1] !== '' || !/^(?:[A-Za-z]{1,20} )?$/.test(literals[0] ?? '')) return { problem: 'one reference only, after a scheme such as "Bearer " at most' }
  return {}
}

/** References, as they may be shown. */
export const referenceText = ({ scheme, name }: Reference): string => `\${${scheme}:${name}}`

const MAX_BYTES = 65_536

export interface Resolver {
  /** The secret, or why there is none; never with any part of a value. */
  template(text: string, encode?: (value: string) => string): Secret | { readonly problem: string }
  file(path: string): Secret | { readonly problem: string }
  /** Every file that was asked for, found or not. */
  readonly files: readonly string[]
}

export const makeResolver = (env: Readonly<Record<string, string | undefined>>, folder: string): Resolver => {
  const files = new Set<string>()
  const readSecret = (path: string): string | { readonly problem: string } => {
    const full = resolve(folder, path)
    files.add(full)
    const named = `\${file:${path}}`
    try {
      const about = statSync(full)
      if (!about.isFile()) return { problem: `${named} is no regular file` }
      if (about.size > MAX_BYTES) return { problem: `${named} is longer than ${MAX_BYTES} bytes` }
      // Editors and `echo` end a file with a newline that nobody means.
      const value = readFileSync(full, 'utf8').replace(/\r?\n$/, '')
      return value === '' ? { problem: `${named} is empty` } : value
    } catch (error) {
      return { problem: `${named} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})` }
    }
  }
  const one = (reference: Reference): string | { readonly problem: string } => {
    if (reference.scheme === 'file') return readSecret(reference.name)
    // As in a shell, `:-` also stands in for a variable that is set and empty.
    const value = env[reference.name] || reference.fallback
    if (value === undefined) return { problem: env[reference.name] === undefined ? `${referenceText(reference)} is not set` : `${referenceText(reference)} is empty` }
    return value === '' ? { problem: `${referenceText(reference)} is empty` } : value
  }
  const checked = (value: string, named: string): Secret | { readonly problem: string } => {
    // A header or a connection text is no place for these; a value with one is cut or mistaken somewhere.
    if (/[\p{Cc}]/u.test(value)) return { problem: `${named} holds a control character, perhaps a newline` }
    return new Secret(value)
  }
  return {
    template(text, encode = (value) => value) {
      const template = parseTemplate(text)
      if ('problem' in template) return template
      let value = template.literals[0] ?? ''
      for (const [index, reference] of template.references.entries()) {
        const found = one(reference)
        if (typeof found !== 'string') return found
        value += encode(found) + (template.literals[index + 1] ?? '')
      }
      return checked(value, template.references.map(referenceText).join(' '))
    },
    file(path) {
      const found = readSecret(path)
      return typeof found === 'string' ? checked(found, `\${file:${path}}`) : found
    },
    get files() {
      return [...files]
    },
  }
}
