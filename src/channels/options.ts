/** Which holds it hears of; absent lists leave nothing out. */
export interface Interest {
  readonly services?: readonly string[]
  /** Of the data that the action touches. */
  readonly tags?: readonly string[]
  /** Whose approval is asked. */
  readonly groups?: readonly string[]
}

/** How much of a hold leaves the house. `none`: that there is one, and where to look at it. `outline`: also what its text says, without the values in it. */
export type Payload = 'none' | 'summary' | 'outline' | 'full'

/** What somebody who sets a channel up wants to know of it. */
export interface Finding {
  readonly ok: boolean
  readonly text: string
}

/** What each channel that calls somebody is configured with. */
export interface ChannelOptions {
  readonly name: string
  readonly interest: Interest
  readonly timeoutMs: number
  /** Holds of one caller that are alike and come within this after each other are told by one message; each by its own, if absent or 0. */
  readonly groupWithinMs?: number
  /** Whether the name may resolve to an address inside the company. Loopback, too. */
  readonly privateAddresses: boolean
}
