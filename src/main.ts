import type { Logger } from 'pino'
import { makeApprovals, type HoldLife } from './approval/hold-life.ts'
import type { HoldStore } from './approval/hold-store.ts'
import { makeRoster } from './approval/roster.ts'
import { makeFailedLogins } from './audit/failed-logins.ts'
import { makeHeaderReceipts } from './audit/receipts/header-receipts.ts'
import type { Disk } from './audit/disk.ts'
import type { DiskState } from './audit/disk-marks.ts'
import { openJournal, type RecoveredJournal } from './audit/file-journal.ts'
import { keepPolicies } from './audit/policy-archive.ts'
import { makeRecordBefore } from './audit/strictness.ts'
import { openAside, withTextsAside } from './audit/texts-aside.ts'
import { makeSlackDesk } from './channels/slack/desk.ts'
import { isSlackChannel } from './channels/slack/slack.ts'
import { makeActivities } from './channels/teams/activities.ts'
import { isTeamsBot } from './channels/teams/bot.ts'
import { makeAuditDesk } from './channels/web/audit-desk.ts'
import { makeAdminListener, type Health, type ReloadResult } from './channels/web/health.ts'
import { makeConsoleListener } from './channels/web/listener.ts'
import { makeReceiptDesk } from './channels/web/receipt-desk.ts'
import type { Config } from './config/config.ts'
import { assertionKey, logSigner, logSigners, maskDigests, receiptSigners, sessionKeys } from './config/deployment-keys.ts'
import { sameness } from './config/restart.ts'
import { makeStaticVault } from './credentials/static-vault.ts'
import { makeGate } from './gate.ts'
import type { Fetch } from './identity/bounded-fetch.ts'
import type { Identity } from './identity/identity.ts'
import { makeIdentity, type TokenIdentity } from './identity/make-identity.ts'
import type { SignIns } from './identity/sign-in.ts'
import { defined } from './lib/defined.ts'
import type { Problem } from './lib/problem.ts'
import { version } from './lib/version.ts'
import type { AuditEvent } from './model/audit-event.ts'
import { causeText } from './model/refusal.ts'
import type { ExplainingPolicySet } from './policy/policy-set.ts'
import { makeAssertions } from './protocols/http/assertion.ts'
import { makeHttpListener } from './protocols/http/listener.ts'
import { makeCatalogs } from './protocols/postgres/catalogs.ts'
import { makePostgresListener, type PostgresListener } from './protocols/postgres/listener.ts'
import type { PostgresListenerOptions } from './protocols/postgres/options.ts'
import { makeServe } from './protocols/postgres/serving.ts'
import { makeHighlight } from './protocols/postgres/sql/highlight.ts'
import { makeReader } from './protocols/postgres/sql/reader.ts'
import { isChat, makeChannel, openChats } from './replica/channels.ts'
import { makeHealth } from './replica/health.ts'
import { openHoldStore, openLinkStore, openLogSearch, openPasskeyStore, openSessionStore } from './replica/stores.ts'
import { makeSinks } from './sinks/sinks.ts'
import { makeWitnesses } from './sinks/witnesses.ts'

/** One process that serves: everything below, wired by hand. */
export interface Replica extends AsyncDisposable {
  readonly addresses: { readonly http: string; readonly console: string; readonly admin: string; readonly postgres?: string }
  readonly policyVersion: () => string
  /** The second phase of a reload: everything at once. What needs a restart has been refused before. */
  adopt(config: Config, policies: ExplainingPolicySet): Promise<void>
  /** A reload that was refused: on record. */
  rejected(problems: readonly string[]): Promise<void>
  health(): Promise<Health>
  /** Audit files were moved away: open them anew. */
  reopen(): void
  /** Answers who waits, lets run what runs, and closes the listeners after `graceMs` at the latest. */
  drain(graceMs: number): Promise<void>
}

export interface ReplicaParts {
  readonly log: Logger
  readonly openapi?: unknown
  /** Loads the configuration anew when the admin listener is asked to, and says what became of the last time. */
  readonly reload?: { run(): Promise<ReloadResult>; state(): { readonly lastProblems: readonly Problem[] } }
  /** For tests: a store of their own, a clock, another way out. */
  readonly store?: HoldStore
  readonly now?: () => number
  readonly storeSkewMs?: () => number
  readonly fetch?: Fetch
  readonly disk?: Disk
}

interface Current {
  readonly config: Config
  readonly policies: ExplainingPolicySet
  readonly identity: TokenIdentity
}

/** With unknown ends, a hold that was spent so close before the journal's first readable record is not declared unstarted. */
const clockMarginMs = 60_000
const lastWordsMs = 5_000

export const startReplica = async (config: Config, policies: ExplainingPolicySet, parts: ReplicaParts): Promise<Replica> => {
  const { log, now = Date.now } = parts
  await using started = new AsyncDisposableStack()
  let journalIsDead = false
  const failed = (cause: Error): void => {
    journalIsDead = true
    log.error({ cause: causeText(cause) }, 'the journal cannot be written: nothing runs any more, restart after the cause is mended')
  }
  const marked = (state: DiskState): void => void (state.mark === 'none' ? log.info(state, 'the disk of the journal has room again') : log.warn(state, 'the disk of the journal fills'))
  const opened = started.use(await openJournal(config.journal, { now, failed, marked, signer: logSigner(config), ...defined({ disk: parts.disk }) }))
  const journal = config.auditTexts === 'log' ? opened : withTextsAside(opened, openAside(config.journal.directory, config.journal.replica))
  const store = started.use(parts.store ?? (await openHoldStore(config.store, parts.storeSkewMs)))
  const record = (event: AuditEvent): void => void journal.append(event, 'queued').catch(() => {})
  const failedLogins = started.use(makeFailedLogins(record))
  const note = (event: AuditEvent): void => (event.type === 'authentication-failed' ? failedLogins.note(event) : record(event))
  const identityOf = ({ identity }: Config): TokenIdentity => makeIdentity(identity, { now, events: note, ...(parts.fetch ? { fetch: parts.fetch } : {}) })

  /** Before they decide anything. Who is in which group is no part of it. */
  const keep = ({ policyFiles, policyFacts: { members: _members, ...policyFacts } }: Config, { version: name }: ExplainingPolicySet): void => keepPolicies(config.journal.directory, name, { policyFiles, policyFacts })
  keep(config, policies)

  let current: Current = { config, policies, identity: identityOf(config) }
  started.defer(() => current.identity[Symbol.asyncDispose]())
  let generation = 1
  let draining = false

  const identity: Identity = { authenticate: (claim) => current.identity.authenticate(claim), recheck: (caller, claim) => current.identity.recheck(caller, claim), standing: (caller) => current.identity.standing(caller) }
  const roster = makeRoster(now)
  const consoleUrl = (): string => current.config.console.url
  const channels = config.channels.map((options) => makeChannel(options, consoleUrl, config, log))
  const approvals = started.use(makeApprovals(config.approval, { store, journal, roster, channels, pinnedOf: (caller, action) => current.policies.pinned(caller, action, now()), members: () => current.config.members, warn: (text, detail) => log.warn(detail ?? {}, text), clock: now }))
  await reconcile(approvals, journal, log)

  const announcer = started.use(approvals.announce())
  const vault = makeStaticVault(() => current.config.credentials)
  const recordBefore = makeRecordBefore({ journal, durability: () => current.config.journal.durability, required: () => current.config.auditRequired, sinks: (...args) => sinks.arrived(...args), witnesses: (...args) => witnesses.arrived(...args) })
  const trace = log.isLevelEnabled('debug') ? (detail: object, text: string) => log.debug(detail, text) : undefined
  const gate = makeGate({ policies: () => current.policies, approvals, vault, journal, recordBefore, receipts: makeHeaderReceipts(config.deployment, firstOf(receiptSigners(config)), () => current.config.receiptHeaders, now), ...defined({ trace }) })
  const assertions = makeAssertions(assertionKey(config), config.console.url)
  const sinks = started.use(makeSinks(config.sinks, { journal, directory: config.journal.directory, replica: config.replica, log }))
  const witnesses = started.use(makeWitnesses(config.witnesses, { journal, log }))
  const health = started.use(makeHealth(config, {
    journal,
    store,
    standing: () => ({ journalIsDead, draining, policyVersion: current.policies.version, generation, lastProblems: parts.reload?.state().lastProblems ?? [] }),
    others: () => ({
      issuers: current.identity.state(),
      sinks: sinks.state(),
      witnesses: witnesses.state(),
      channels: announcer.state().map((state) => ({ ...state, ...slack?.state().get(state.channel) })),
      waiting: approvals.waiting(),
    }),
  }))

  const http = started.use(makeHttpListener(config.http, { gate, identity, policies: () => current.policies, approvals, log, assertions, note }))
  const openPostgres = async (first: PostgresListenerOptions): Promise<PostgresListener> => {
    const catalogs = started.use(makeCatalogs(log, note))
    const serve = makeServe({ gate, identity, approvals, policies: () => current.policies, log, reader: await makeReader(), catalogs, consoleUrl, note, digestFor: maskDigests(config) })
    const listener = makePostgresListener(first, { identity, note, serve, log })
    const prepare: PostgresListener['prepare'] = (options) => {
      const change = listener.prepare(options)
      return () => {
        change()
        catalogs.keep(options.services)
      }
    }
    return started.use({ ...listener, prepare })
  }
  const postgres = config.postgres && (await openPostgres(config.postgres))
  const chats = config.console.signIn && config.channels.some(isChat) ? openChats(started.use(openLinkStore(config.store, parts.storeSkewMs)), config, identity, now) : undefined
  const slack = chats && started.use(makeSlackDesk(channels.filter(isSlackChannel), { ...chats, approvals, consoleUrl, note, log, lease: store.lease.bind(store), replica: config.replica, now }))
  const bots = channels.filter(isTeamsBot)
  const teams = chats && bots.length > 0 ? started.use(makeActivities(bots, { approvals, links: chats.links, consoleUrl, note, log, now })) : undefined
  const site = config.console.signIn && {
    store: started.use(openSessionStore(config.store, parts.storeSkewMs)),
    passkeys: started.use(openPasskeyStore(config.store)),
    signIns: { person: (report) => current.identity.person(report), ended: (report) => current.identity.ended(report) } satisfies SignIns,
    keys: sessionKeys(config),
    deployment: config.deployment,
    markSql: makeHighlight(),
    policies: () => ({ version: current.policies.version, rules: current.policies.rules, files: current.config.policyFiles }),
    ...(chats && { linking: chats }),
    note,
    now,
  }
  const search = started.use(openLogSearch(config, log))
  const audit = makeAuditDesk({ search, readers: () => current.config.auditReaders.groups, members: () => current.config.members, record: (event) => journal.append(event, 'written'), keys: logSigners(config) })
  const receipts = makeReceiptDesk({ search, readers: audit, record: (event) => journal.append(event, 'written'), deployment: config.deployment, signers: receiptSigners(config), now })
  const web = started.use(makeConsoleListener(config.console, { approvals, audit, receipts, identity, roster, log, openapi: parts.openapi, hooks: [...(slack?.hooks ?? []), ...(teams ? [teams] : [])], ...defined({ site, links: chats?.links }) }))
  const admin = started.use(makeAdminListener(config.admin, { health: health.look, reload: () => parts.reload?.run() ?? noReload(current.policies.version), log }))

  await journal.append({ type: 'replica-started', version, policyVersion: policies.version }, 'written')
  await journal.append({ type: 'config-loaded', policyVersion: policies.version, generation }, 'written')
  await current.identity.prefetch()
  const addresses = { admin: addressOf(await admin.listen()), console: addressOf(await web.listen()), http: addressOf(await http.listen()), ...(postgres && { postgres: addressOf(await postgres.listen()) }) }

  const unattended = started.use(approvals.runUnattended((kept, signal) => http.runKept(kept, signal)))

  const life = started.move()
  return {
    addresses,
    policyVersion: () => current.policies.version,
    health: health.look,
    reopen: () => sinks.reopen(),
    async adopt(next, nextPolicies) {
      const before = current
      const same = sameness(next.identity) === sameness(before.config.identity)
      await using unused = new AsyncDisposableStack()
      const nextIdentity = same ? before.identity : unused.use(identityOf(next))
      if (!same) await nextIdentity.prefetch()
      // Whatever may fail comes first, the record of it last: then all of it changes in one moment, in which nothing can.
      const changes = [http.prepare(next.http), web.prepare(), ...(postgres && next.postgres ? [postgres.prepare(next.postgres)] : [])]
      keep(next, nextPolicies)
      await journal.append({ type: 'config-loaded', policyVersion: nextPolicies.version, generation: generation + 1, previous: before.policies.version }, 'written')
      for (const change of changes) change()
      current = { config: next, policies: nextPolicies, identity: nextIdentity }
      generation++
      unused.move()
      if (!same) await Promise.resolve(before.identity[Symbol.asyncDispose]()).catch((error: unknown) => log.warn({ err: error }, 'the identities of before could not be let go')) // the reload is done
    },
    async rejected(problems) {
      await journal.append({ type: 'config-rejected', problems, policyVersion: current.policies.version }, 'written')
    },
    async drain(graceMs) {
      draining = true
      approvals.drain()
      await Promise.all([unattended.drain(graceMs), http.drain(graceMs), postgres?.drain(graceMs), slack?.[Symbol.asyncDispose](), web.drain(AbortSignal.timeout(graceMs))])
    },
    async [Symbol.asyncDispose]() {
      failedLogins[Symbol.dispose]()
      await journal.append({ type: 'replica-stopped', cause: draining ? 'drained' : 'stopped' }, 'synced').catch(() => {})
      await journal.sign().catch(() => {}) // the last word is witnessed and leaves, too
      await Promise.all([sinks.drain(lastWordsMs), witnesses.drain(lastWordsMs)])
      await life.disposeAsync()
    },
  }
}

/** Closes what this replica was running when it died. What its journal cannot tell is unknown, never "not executed". */
const reconcile = async (approvals: HoldLife, journal: RecoveredJournal, log: Logger): Promise<void> => {
  const { unfinished, ended, since } = journal.recovered
  const open = new Set(unfinished.map(({ attempt }) => attempt))
  try {
    const closed = await approvals.reconcile((attempt, spentAt) => (open.has(attempt) ? 'started' : (ended.get(attempt) ?? (spentAt - clockMarginMs > since ? 'never-started' : 'started'))))
    for (const one of closed) log.warn(one, 'closed what the last start of this replica left open')
  } catch (error) {
    log.error({ cause: causeText(error) }, 'the store does not answer: what the last start left open is closed later, and is never run again')
  }
}

const noReload = async (policyVersion: string): Promise<ReloadResult> => ({ applied: false, policyVersion, problems: ['this process does not reload'] })

const firstOf = <T>([first]: readonly T[]): T => {
  if (first === undefined) throw new Error('no approval key')
  return first
}

const addressOf = (address: { readonly port: number } & ({ readonly address: string } | { readonly host: string })): string => {
  const host = 'address' in address ? address.address : address.host
  return `${host.includes(':') ? `[${host}]` : host}:${address.port}`
}
