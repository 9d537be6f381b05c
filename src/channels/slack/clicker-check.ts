import { z } from 'zod'
import type { LinkTickets } from '../../identity/link-ticket.ts'
import type { ChatAccount, Links } from '../../identity/links.ts'
import { causeText, Refusal, type RefusalCode } from '../../model/refusal.ts'
import type { Caller, Principal } from '../../model/caller.ts'
import type { Clicker } from './interaction.ts'
import type { SlackOptions } from './options.ts'
import { type SlackApi, SlackNo } from './slack-api.ts'

/** Who stands behind a click, or why nobody does, in words for the one who clicked. */
export type Standing =
  | { readonly person: Caller }
  | { readonly no: RefusalCode; readonly cause: string; readonly text: string; readonly link?: { readonly text: string; readonly url: string } }

export interface ClickerCheckParts {
  readonly links: Pick<Links, 'whose' | 'known'>
  readonly tickets: Pick<LinkTickets, 'issue'>
  readonly consoleUrl: () => string
}

const longestName = 80

/** Guests, programs and people of elsewhere can be in a channel, and click. */
const flags = ['deleted', 'is_bot', 'is_workflow_bot', 'is_stranger', 'is_restricted', 'is_ultra_restricted'] as const
const about = z.looseObject({ id: z.string() })

export const accountOf = ({ user, team }: Clicker): ChatAccount => ({ chat: 'slack', workspace: team, user })

/** How a record names an account that nobody is known to stand behind. */
export const strangerOf = ({ user, team }: Clicker): Principal => ({ issuer: `slack:${team}`, subject: user, kind: 'human', groups: undefined })

/** Nothing but the account counts: no e-mail address, no name, no membership of a channel. Rejects where that cannot be looked up now. */
export const checkClicker = async (who: Clicker, options: SlackOptions, api: SlackApi, { links, tickets, consoleUrl }: ClickerCheckParts, signal: AbortSignal): Promise<Standing> => {
  if (!options.workspaces.includes(who.team)) return { no: 'not-eligible', cause: `workspace ${who.team}`, text: 'Only members of this company’s own workspace decide here.' }
  const flag = await flagOf(who, api, signal)
  if (flag !== undefined) return { no: 'not-eligible', cause: `${flag} account`, text: 'Guests, programs and accounts that are not active do not decide.' }
  const account = accountOf(who)
  const party = await links.whose(account)
  if (party === undefined) {
    const ticket = tickets.issue({ account, display: who.name.slice(0, longestName).toWellFormed(), keepMs: options.linkMaxAgeMs })
    return { no: 'no-identity', cause: 'not linked', text: 'Countersign does not know who you are. Say it once, in the console, within ten minutes; then click again. This is needed for a new account, and again when a link has expired.', link: { text: 'Say who I am', url: `${consoleUrl()}/links/new/${ticket}` } }
  }
  const person = await links.known(party, options.groupsMaxAgeMs)
  if (person === undefined) return { no: 'no-identity', cause: 'no login lately', text: 'It is too long ago that you signed in to the console, so nobody can say what you may decide. Sign in to the console once; then click again.', link: { text: 'Sign in to the console', url: `${consoleUrl()}/oauth2/start` } }
  return { person }
}

const flagOf = async ({ user }: Clicker, api: SlackApi, signal: AbortSignal): Promise<string | undefined> => {
  try {
    const found = about.parse((await api.call('users.info', { user }, signal))['user'])
    return found.id === user ? flags.find((flag) => found[flag] === true) : 'unknown'
  } catch (error) {
    if (error instanceof SlackNo && /^user_not_(?:found|visible)$/.test(error.code)) return 'unknown'
    throw new Refusal('identity-unavailable', 'Slack does not say whose click this is.', { cause: causeText(error), retryAfterSeconds: 5 })
  }
}
