import type { Problem } from '../lib/problem.ts'
import { Secret } from '../lib/secret.ts'
import type { Path } from '../lib/yaml-source.ts'
import type { Config } from './config.ts'

/** What a running process cannot take over, and where it stands in the file. */
const fixed: readonly (readonly [path: Path, part: (config: Config) => unknown])[] = [
  [['deployment'], ({ deployment }) => deployment],
  [['replica'], ({ replica }) => replica],
  [['data'], ({ data }) => data],
  [['workers'], ({ workers }) => workers],
  [['listeners', 'http', 'address'], ({ http }) => [http.host, http.port]],
  [['listeners', 'http', 'tls'], ({ http }) => http.tls !== undefined],
  [['listeners', 'http', 'limits'], ({ http: { limits } }) => [limits.connections, limits.headerBytes + limits.targetBytes]],
  [['listeners', 'http', 'timeouts'], ({ http: { timeouts } }) => [timeouts.headersMs, timeouts.keepAliveMs]],
  [['listeners', 'postgres'], ({ postgres }) => postgres && [postgres.host, postgres.port, postgres.tls !== undefined]],
  [['listeners', 'console'], ({ console }) => console],
  [['listeners', 'admin'], ({ admin }) => admin],
  [['store'], ({ store }) => store],
  [['journal'], ({ journal: { durability: _durability, ...rest } }) => rest],
  [['audit', 'index'], ({ auditIndex }) => auditIndex],
  [['audit', 'texts'], ({ auditTexts }) => auditTexts],
  [['sinks'], ({ sinks }) => sinks],
  [['audit', 'witnesses'], ({ witnesses }) => witnesses.map(({ key, ...rest }) => [rest, key.name, key.id.toString('hex')])],
  [['channels'], ({ channels }) => channels],
  [['approvals'], ({ approval: { people: _people, ...rest } }) => rest],
  [['people'], ({ approval }) => approval.people],
]

/** Equal for values that say the same, secrets included. Never leaves the process. */
export const sameness = (value: unknown): string => JSON.stringify(value, opened)

/** Looks at the member itself: what `JSON.stringify` hands over of a secret says nothing. */
function opened(this: unknown, key: string, given: unknown): unknown {
  const member = (this as Record<string, unknown>)[key]
  if (member instanceof Secret) return { secret: member.reveal() }
  return given instanceof Map || given instanceof Set ? [...(given as Iterable<unknown>)] : given
}

/** One problem for each change that would otherwise be silently ignored. */
export const needsRestart = (before: Config, after: Config, place: (path: Path, message: string) => Problem): readonly Problem[] =>
  fixed.filter(([, part]) => sameness(part(before)) !== sameness(part(after))).map(([path]) => place(path, 'has changed, and that needs a restart'))
