import { isPlan } from '../../model/action.ts'
import type { Hold } from '../../model/hold.ts'
import { cutAt } from '../../lib/visible.ts'
import { holdUrl } from './refusal.ts'

/** Tells a client that it waits, at once and again while it does: drivers show it, and the connection is seen to be alive. */
export class HoldNotice {
  readonly #consoleUrl: string
  readonly #everyMs: number
  #timer: NodeJS.Timeout | undefined

  constructor(consoleUrl: string, everyMs = 30_000) {
    this.#consoleUrl = consoleUrl
    this.#everyMs = everyMs
  }

  start(hold: Hold, say: (text: string, hint: string) => void): void {
    this.stop()
    const hint = [cutAt(reasonsOf(hold).join(' '), longestReason).text, isPlan(hold.action) ? 'Once it is approved, begin the transaction. Cancel it to take it back.' : 'The statement runs as soon as it is approved. Cancel it to take it back.'].join(' ').trimStart()
    const tell = (): void => say(`held for approval ${hold.code}: ${holdUrl(this.#consoleUrl, hold)}`, hint)
    tell()
    this.#timer = setInterval(tell, this.#everyMs)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

const longestReason = 1_000

/** In the words of the policies' authors. */
const reasonsOf = ({ matched }: Hold): readonly string[] => [...new Set(matched.flatMap(({ then, observed, because }) => (then === 'hold' && !observed && because !== undefined ? [because] : [])))]
