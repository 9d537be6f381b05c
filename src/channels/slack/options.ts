import type { Secret } from '../../lib/secret.ts'
import type { ChannelOptions, Payload } from '../options.ts'

/** How clicks come in. Without either, messages have no buttons but the one that opens the console. */
export type Interactivity =
  | { readonly by: 'socket'; readonly appToken: Secret }
  /** All of them are accepted: old and new while the secret is changed. */
  | { readonly by: 'http'; readonly signingSecrets: readonly Secret[] }

export type SlackOptions = ChannelOptions & {
  readonly kind: 'slack'
  /** Where its methods are: `https://slack.com/api`. */
  readonly url: string
  readonly token: Secret
  /** The id of a conversation, never its name. */
  readonly conversation: string
  readonly payload: Payload
  readonly interactivity: Interactivity | undefined
  /** Whose members may decide; others can be in a shared channel. */
  readonly workspaces: readonly string[]
  /** Whether it may be a channel that is shared with another company. */
  readonly sharedChannel: boolean
  readonly linkMaxAgeMs: number
  readonly groupsMaxAgeMs: number
}
