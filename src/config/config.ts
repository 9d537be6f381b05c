import type { ApprovalOptions } from '../approval/options.ts'
import type { RequiredReach } from '../audit/strictness.ts'
import type { JournalOptions } from '../audit/options.ts'
import type { ReceiptHeaders } from '../audit/receipts/header-receipts.ts'
import type { AdminOptions, ConsoleOptions } from '../channels/web/options.ts'
import type { CredentialOptions } from '../credentials/options.ts'
import type { IdentityOptions } from '../identity/options.ts'
import type { Problem } from '../lib/problem.ts'
import type { Path } from '../lib/yaml-source.ts'
import type { Members } from '../model/caller.ts'
import type { Assurance, VoteChannel } from '../model/decision.ts'
import type { Service } from '../model/service.ts'
import type { HttpListenerOptions } from '../protocols/http/options.ts'
import type { PostgresListenerOptions } from '../protocols/postgres/options.ts'
import type { SinkOptions } from '../sinks/options.ts'
import type { AuditIndexOptions, StoreOptions } from '../stores/options.ts'
import type { WitnessOptions } from '../sinks/witness.ts'
import type { ChannelConfig } from './channels.ts'
import type { PolicyFile } from './policy-files.ts'
import type { ConfigSource } from './schema.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** What policies depend on of the rest of the configuration. */
export interface PolicyFacts {
  readonly services: readonly Service[]
  /** Every group name there is, where the configuration says so. */
  readonly groups?: readonly string[]
  readonly issuers: readonly { readonly name: string; readonly issuers: readonly string[] }[]
  /** How sure the configured channels can make us of an approver. */
  readonly channels: readonly Assurance[]
  /** Where people can vote. */
  readonly voteChannels?: readonly VoteChannel[]
  /** Who is in a group, where that is known. */
  readonly members?: Members
  /** Whether people sign in with a browser. */
  readonly signIn?: boolean
}

/** The whole configuration, in the words of those who use it. */
export interface Config {
  readonly deployment: string
  readonly replica: string
  readonly workers: number
  /** Folder of the journal and the embedded store, unless they are put elsewhere. */
  readonly data: string
  readonly identity: IdentityOptions
  readonly http: HttpListenerOptions
  /** Absent where no service speaks PostgreSQL. */
  readonly postgres?: PostgresListenerOptions
  readonly console: ConsoleOptions
  readonly admin: AdminOptions
  readonly credentials: readonly CredentialOptions[]
  readonly approval: ApprovalOptions
  /** Where the key of the records is kept that no one has configured; `approval.keys` is then empty until it has been read or made by `withApprovalKey`. */
  readonly approvalKeyFile?: string
  readonly store: StoreOptions
  readonly journal: JournalOptions
  /** Where records have to be before their actions run. */
  readonly auditRequired: RequiredReach
  /** Who is in a group, where the configuration says so. */
  readonly members: Members
  /** Who watches that the log only grows. */
  readonly witnesses: readonly WitnessOptions[]
  /** Where records are searched; absent: beside the journal. */
  readonly auditIndex?: AuditIndexOptions
  /** Who may read the whole log. */
  readonly auditReaders: { readonly groups: readonly string[] }
  /** Where people's reasons and notes are kept. */
  readonly auditTexts: 'log' | 'aside'
  /** Which actions carry a receipt in a header. */
  readonly receiptHeaders: ReceiptHeaders
  readonly sinks: readonly SinkOptions[]
  readonly channels: readonly ChannelConfig[]
  readonly policyFiles: readonly PolicyFile[]
  readonly policyFacts: PolicyFacts
  /** The hosts that the configuration may send us to; absent: any that is not forbidden. Looked at when it loads, not when a name is resolved. */
  readonly outboundHosts?: readonly string[]
  /** Hashes of the certificates that options name by their path: another certificate is another configuration. */
  readonly fileHashes: Readonly<Record<string, string>>
  /** What the file says with every default filled in; secrets are references still. */
  readonly effective: ConfigSource
}

export type LoadedConfig = (
  | {
      readonly config: Config
      readonly problems?: undefined
      /** What loads and is probably not meant. */
      readonly warnings: readonly Problem[]
      /** A problem at a path of the file, found by whoever uses it. */
      readonly place: (path: Path, message: string) => Problem
    }
  | {
      readonly problems: readonly Problem[]
      readonly config?: undefined
      /** There where all that is wrong is that secrets and files are not on this machine: policies do not depend on them. */
      readonly policyFacts?: Config['policyFacts']
    }
) & {
  /** Every file and folder that it was read from, found or not: what to watch. */
  readonly files: readonly string[]
}
