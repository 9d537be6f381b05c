import { stringify } from 'yaml'
import type { Config } from './config.ts'

/** A default inside a reference is a secret as well. */
const redact = (text: string): string => text.replaceAll(/\$\{(env:[A-Za-z0-9_]+):-[^}]*\}/g, '${$1:-…}')

const walk = (value: unknown): unknown => {
  if (typeof value === 'string') return redact(value)
  if (Array.isArray(value)) return value.map(walk)
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined).map(([key, member]) => [key, walk(member)]))
  return value
}

/** Says which replica this is, beside the name of the deployment. */
const inOrder = ({ deployment, replica: _given, ...rest }: Config['effective'], replica: string) => ({ deployment, replica, ...rest })

/** The configuration with every default filled in, as YAML. A secret is shown as the reference to it, never as its value. */
export const renderConfig = ({ effective, replica }: Config): string => stringify(walk(inOrder(effective, replica)), { lineWidth: 0, aliasDuplicateObjects: false })
