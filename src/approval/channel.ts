import type { Hold, Mark } from '../model/hold.ts'

/** `reminder`: half of the time to decide is over. `alike`: more like it wait than before. Anything else is what has been marked on the hold. */
export type Occasion = 'change' | 'reminder' | 'alike' | Mark['what']

/** One look at a hold that a channel is to pass on. */
export interface Showing {
  readonly hold: Hold
  readonly occasion: Occasion
  /** What it said to remember the last time it showed this hold: where its message stands. */
  readonly memory: string | undefined
  /** So many others wait that differ in nothing but values, of which nothing is shown: where to look at them is for the message to say. None, if absent. */
  readonly alike?: number
}

/** Where news of holds goes: a chat, a pager, somebody's endpoint. A message is a view of a hold; that it does not arrive changes nothing. */
export interface Channel extends AsyncDisposable {
  readonly name: string
  readonly kind: string
  /** It is asked for an opinion, which `show` resolves with; it is kept, and shown to people. It never decides anything. */
  readonly advises?: true
  /** What it shows can be changed: it is shown again when an opinion has come. */
  readonly redraws?: true
  /** How long after each failed try the next one comes; after the last it is given up until the hold changes again. */
  readonly retriesMs: readonly number[]
  /** How long one try may take. */
  readonly timeoutMs: number
  /** Holds of one caller that are alike and come within this after each other are told by one message, that of the first. Each has its own, if absent or 0. */
  readonly groupWithinMs?: number
  /** Which holds it hears of. Where somebody broke the glass it hears of all, of others without what the action is: then its text is empty and counts as cut. */
  concerns(hold: Hold): boolean
  /**
   * Shows the hold as it is now, in place of what stands there. May be asked again for what it has shown: then the receiver must be able to tell.
   * Resolves, once it has arrived, with what to remember; `undefined`: there was nothing to show. Rejects with `Busy` or `Closed` where it knows more.
   */
  show(showing: Showing, signal: AbortSignal): Promise<string | undefined>
}

/** It wants nothing more, whatever it would be. */
export class Closed extends Error {
  override readonly name = 'Closed'
}
