import type { Digest } from '../../model/action.ts'
import type { Caller, Principal } from '../../model/caller.ts'
import { shortCode } from '../../approval/hold-name.ts'
import { literal } from './catalog/quoting.ts'
import type { Dialogue } from './dialogue.ts'

/** Longest name that the server keeps. */
const nameBytes = 63
const suffix = ' via countersign'
const setMs = 2_000

/** What a terminal or a log could trip over becomes a question mark, as at the server itself. */
const plain = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?')

const called = ({ email, subject }: Principal): string => plain(email ?? subject)

/** Who acts and for whom, as the server's list of sessions and its log show it. What runs by an approval has the code of its hold in front. */
export const sessionName = (caller: Caller, digest?: Digest): string => {
  const [person] = caller.onBehalfOf
  const whose = person !== undefined ? ` for ${called(person)}` : caller.owner !== undefined ? ` of ${plain(caller.owner.subject)}` : ''
  return `${digest === undefined ? '' : `${shortCode(digest)} `}${called(caller)}${whose}`.slice(0, nameBytes - suffix.length) + suffix
}

/**
 * Keeps a session at the database under the name of who acts. A client may set the name; it does not last:
 * the server reports every change of it, and before the next batch it is ours again.
 */
export class Attribution {
  readonly #own: string
  /** Somebody between us and the server makes names of its own: they are left alone. */
  readonly #idle: boolean
  #reported: string

  constructor(caller: Caller, reported: string | undefined) {
    this.#own = sessionName(caller)
    this.#idle = reported !== this.#own
    this.#reported = this.#own
  }

  /** The server says what the session is called now. */
  reported(name: string): void {
    this.#reported = name
  }

  /** For one action, until the answer to it has come. Where nothing of ours can be said, the session keeps its name. */
  async mark(dialogue: Dialogue, caller: Caller, digest: Digest): Promise<void> {
    if (!this.#idle && dialogue.mayAsk) await this.#set(dialogue, sessionName(caller, digest))
  }

  /** The server has ended a batch. Resolves when the name is ours again, where something had to be said for that. */
  ready(dialogue: Dialogue): Promise<void> | undefined {
    return !this.#idle && this.#reported !== this.#own && dialogue.mayAsk ? this.#set(dialogue, this.#own) : undefined
  }

  /** A name that cannot be set is no reason to run nothing: the journal has the whole truth. */
  async #set(dialogue: Dialogue, name: string): Promise<void> {
    await dialogue.ask(`set application_name = ${literal(name)}`, setMs).catch(() => {})
  }
}
