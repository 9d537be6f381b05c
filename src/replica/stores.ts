import type { Logger } from 'pino'
import type { HoldStore } from '../approval/hold-store.ts'
import type { AuditSearch } from '../audit/search/audit-search.ts'
import type { Config } from '../config/config.ts'
import type { LinkStore } from '../identity/link-store.ts'
import type { PasskeyStore } from '../identity/passkey-store.ts'
import type { SessionStore } from '../identity/session-store.ts'
import { defined } from '../lib/defined.ts'
import { openAuditSearch } from '../stores/embedded/audit-index/audit-search.ts'
import { openEmbeddedStore } from '../stores/embedded/embedded-store.ts'
import { openEmbeddedLinkStore } from '../stores/embedded/link-store.ts'
import { openEmbeddedPasskeyStore } from '../stores/embedded/passkey-store.ts'
import { openEmbeddedSessionStore } from '../stores/embedded/session-store.ts'
import type { StoreOptions } from '../stores/options.ts'
import { openFleetSearch } from '../stores/postgres/audit-index/audit-search.ts'
import { openRedisLinkStore } from '../stores/redis/link-store.ts'
import { openRedisPasskeyStore } from '../stores/redis/passkey-store.ts'
import { openRedisStore } from '../stores/redis/redis-store.ts'
import { openRedisSessionStore } from '../stores/redis/session-store.ts'

/* Which of the stores there are keeps what, by the configuration. `clockSkewMs` is for tests. */

export const openHoldStore = async (options: StoreOptions, clockSkewMs: (() => number) | undefined): Promise<HoldStore> => {
  const test = clockSkewMs ? { clockSkewMs } : {}
  return options.kind === 'embedded' ? openEmbeddedStore(options, test) : await openRedisStore(options, test)
}

export const openLinkStore = (options: StoreOptions, clockSkewMs: (() => number) | undefined): LinkStore => {
  const test = defined({ clockSkewMs })
  return options.kind === 'embedded' ? openEmbeddedLinkStore(options, test) : openRedisLinkStore(options, test)
}

export const openSessionStore = (options: StoreOptions, clockSkewMs: (() => number) | undefined): SessionStore => {
  const test = defined({ clockSkewMs })
  return options.kind === 'embedded' ? openEmbeddedSessionStore(options, test) : openRedisSessionStore(options, test)
}

export const openPasskeyStore = (options: StoreOptions): PasskeyStore =>
  options.kind === 'embedded' ? openEmbeddedPasskeyStore(options) : openRedisPasskeyStore(options)

export const openLogSearch = ({ auditIndex, journal: { directory }, replica, auditReaders }: Config, log: Logger): AuditSearch & AsyncDisposable => {
  const warn = log.warn.bind(log)
  if (auditIndex === undefined) return openAuditSearch(directory, warn, auditReaders.groups.length > 0)
  return openFleetSearch({ url: auditIndex.url.reveal(), schema: auditIndex.schema, directory, replica, ...defined({ ca: auditIndex.ca }) }, warn)
}
