import { isForbiddenHost } from '../lib/outbound-address.ts'
import { Secret } from '../lib/secret.ts'
import type { Path } from '../lib/yaml-source.ts'
import { type Checks, missing } from './checks.ts'
import { parseTemplate } from './secret-reference.ts'

/** Whether a password stands in the URL itself, and not a reference to one. */
const holdsPassword = (url: string): boolean => {
  const shape = url.replaceAll(/\$\{[^{}]*\}/g, '\0')
  const password = /^[a-z]+:\/\/[^/?#@:]*:([^/?#]*)@/i.exec(shape)?.[1] ?? /[?&]password=([^&#]*)/i.exec(shape)?.[1] ?? ''
  return password !== '' && password !== '\0'
}

const kinds = {
  redis: { pattern: /^rediss?:$/, with: 'redis://:${env:REDIS_PASSWORD}@redis:6379', no: 'is no Redis URL: redis://host:6379/0, or rediss:// for TLS' },
  postgres: { pattern: /^postgres(?:ql)?:$/, with: 'postgres://audit:${env:AUDIT_PASSWORD}@db:5432/audit', no: 'is no PostgreSQL URL: postgres://user@host:5432/database' },
} as const

export const makeRedisUrl = (path: Path, value: unknown, file: string | undefined, checks: Checks): Secret => makeUrl('redis', path, value, file, checks)

/** A Redis that is spoken to over TLS. */
export const isTlsUrl = (url: Secret): boolean => url.reveal().toLowerCase().startsWith('rediss:')

export const makePostgresUrl = (path: Path, value: unknown, file: string | undefined, checks: Checks): Secret => makeUrl('postgres', path, value, file, checks)

/** A URL may be written down as long as its password is not. What a reference gives inside of one is encoded for its place. */
const makeUrl = (kind: keyof typeof kinds, path: Path, value: unknown, file: string | undefined, checks: Checks): Secret => {
  const hidden = (message: string, absent = false): Secret => {
    checks.report(path, message, { hide: true, absent })
    return missing
  }
  let found: Secret | undefined
  if (typeof value === 'string') {
    const template = parseTemplate(value)
    if ('problem' in template) return hidden(template.problem)
    if (holdsPassword(value)) return hidden(`holds a password; use a reference for it, such as ${kinds[kind].with}`)
    const whole = template.references.length === 1 && template.literals.every((part) => part === '')
    const resolved = checks.resolver.template(value, whole ? undefined : encodeURIComponent)
    if (!(resolved instanceof Secret)) return hidden(resolved.problem, true)
    found = resolved
  } else if (value !== undefined) return hidden('must be text')
  if (found !== undefined && file !== undefined) return hidden('stands beside "url-file"; one of them')
  found ??= checks.secret(path, undefined, file, true) ?? missing
  if (found === missing) return missing
  const url = URL.canParse(found.reveal()) ? new URL(found.reveal()) : undefined
  if (url === undefined || !kinds[kind].pattern.test(url.protocol) || url.hostname === '') return hidden(kinds[kind].no)
  if (isForbiddenHost(url.hostname)) return hidden('leads to a link-local, metadata or unspecified address')
  return found
}
