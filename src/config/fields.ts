import { z } from 'zod'
import { parseDuration } from '../lib/duration.ts'
import { parseReference } from './secret-reference.ts'

/* The kinds of value that a configuration is made of. */

const REFERENCE = /(?<!\$)(?:\$\$)*\$\{/

/** Text that is not a secret: `$$` stands for `$`, and a reference is refused, because nobody would resolve it. */
const plain = (): z.ZodString =>
  z
    .string()
    .min(1, 'must not be empty')
    .max(2_000, 'is too long')
    .refine((value) => !REFERENCE.test(value), 'references are read in secret fields only; write $${ for the characters themselves')
    .refine((value) => !/\p{Cc}/u.test(value), 'holds a control character')
    .overwrite((value) => value.replaceAll('$$', '$'))

export const text = (description: string) => plain().describe(description)

export const path = (description: string) => plain().meta({ description: `${description} Relative to the folder of this file.` })

/** Milliseconds, written as `30s`, `10m`, `1h30m`. */
export const duration = (description: string, standard: string) =>
  z
    .string()
    .refine((value) => parseDuration(value) !== undefined, 'must be a duration such as 30s, 10m or 1h30m')
    .default(standard)
    .meta({ description, pattern: '^([0-9]{1,6}(ms|s|m|h|d))+$' })

/** As a duration, and also `0s` for "not at all". */
export const durationOrNone = (description: string, standard: string) =>
  z
    .string()
    .refine((value) => value === '0s' || parseDuration(value) !== undefined, 'must be a duration such as 30s or 10m, or 0s for none')
    .default(standard)
    .meta({ description, pattern: '^(0s|([0-9]{1,6}(ms|s|m|h|d))+)$' })

const SIZE = /^([1-9]\d{0,9})(B|KiB|MiB|GiB)$/
const UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 }

/** `1MiB` in bytes; `undefined` for anything else. */
export const parseSize = (value: string): number | undefined => {
  const [, count, unit] = SIZE.exec(value) ?? []
  return count === undefined || unit === undefined ? undefined : Number(count) * (UNITS[unit] ?? 1)
}

/** Bytes, written as `64KiB`, `1MiB`. */
export const size = (description: string, standard: string, most = 1_073_741_824) =>
  z
    .string()
    .refine((value) => parseSize(value) !== undefined, 'must be a size such as 64KiB or 1MiB')
    .refine((value) => (parseSize(value) ?? 0) <= most, `must not be more than ${most / 1_048_576}MiB`)
    .default(standard)
    .meta({ description, pattern: SIZE.source })

export const count = (description: string, standard: number, least = 1, most = 1_000_000) => z.int().min(least, `must be at least ${least}`).max(most, `must be at most ${most}`).default(standard).describe(description)

export const flag = (description: string, standard: boolean) => z.boolean().default(standard).describe(description)

export const texts = (description: string) => z.array(plain()).max(1_000).describe(description)

/** A name that policies, records and people use. */
export const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'a name is letters, digits, "-", "_" and ".", at most 64 characters')

/**
 * Only ever a reference. Every problem of it is reported without the value: what stands there may be the secret itself.
 * `template` admits an authentication scheme before the reference.
 */
export const secret = (description: string) =>
  z
    .unknown()
    .superRefine((value, context) => {
      const message = typeof value === 'string' ? parseReference(value).problem : 'must be a reference such as ${env:NAME} or ${file:/run/secrets/name}'
      if (message !== undefined) context.addIssue({ code: 'custom', message, params: { hide: true } })
    })
    .transform((value) => value as string)
    .meta({ type: 'string', pattern: '\\$\\{(env|file):', description: `${description} A secret: \`\${env:NAME}\`, \`\${env:NAME:-default}\` or \`\${file:/path}\`.` })

/** The twin of a secret key: the secret is the content of this file. */
export const secretFile = (of: string) => path(`The file that holds \`${of}\`, instead of a reference.`)

const ADDRESS = /^(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):(\d{1,5})$/

export const splitAddress = (value: string): { readonly host: string; readonly port: number } => {
  const at = value.lastIndexOf(':')
  return { host: value.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(value.slice(at + 1)) }
}

/** `host:port`; an IPv6 address in brackets. */
export const address = (description: string, standard: string) =>
  z
    .string()
    .refine((value) => Number(ADDRESS.exec(value)?.[1] ?? 65_536) <= 65_535, 'must be host:port, such as 127.0.0.1:8080 or [::1]:8080')
    .default(standard)
    .describe(description)

/** `host:port` of another machine. */
export const remote = z.string().refine((value) => /[1-9]/.test(ADDRESS.exec(value)?.[1] ?? ''), 'must be host:port')

export const tls = (description: string) =>
  z
    .strictObject({ 'cert-file': path('PEM file with the certificate and its chain.'), 'key-file': path('PEM file with the private key.') })
    .optional()
    .describe(description)
