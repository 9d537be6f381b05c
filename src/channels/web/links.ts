import type { IncomingMessage } from 'node:http'
import { ticketMs, type LinkTicket, type LinkTickets } from '../../identity/link-ticket.ts'
import type { ChatAccount, Links } from '../../identity/links.ts'
import type { AuditEvent } from '../../model/audit-event.ts'
import type { Caller } from '../../model/caller.ts'
import { Refusal } from '../../model/refusal.ts'
import { isOwnPerson } from './hold-view.ts'
import { readSessionForm } from './login/session-form.ts'
import type { Session, Sessions } from './login/sessions.ts'
import { linkPage, linksPage } from './pages/links-page.ts'
import type { Html } from './pages/html.ts'

/** Accounts of chats that people say are theirs. */
export interface Linking {
  readonly links: Links
  readonly tickets: LinkTickets
  /** Where accounts are linked. */
  readonly workspaces: readonly Pick<ChatAccount, 'chat' | 'workspace'>[]
}

interface Parts extends Linking {
  readonly sessions: Sessions
  readonly note: (event: Extract<AuditEvent, { type: 'linked' | 'unlinked' }>) => void
}

const gone = (): Refusal => new Refusal('malformed', 'This way from the chat is used up, or older than ten minutes. Nothing was linked. Click in the chat again to get a new one.')

export const makeLinkPages = ({ links, tickets, workspaces, sessions, note }: Parts) => {
  /** Opened by no page, preview or scanner: looking at it changes nothing. */
  const read = (text: string): LinkTicket => {
    const ticket = tickets.read(text)
    if (ticket === undefined || !workspaces.some(({ chat, workspace }) => chat === ticket.account.chat && workspace === ticket.account.workspace)) throw gone()
    return ticket
  }

  const mine = async (viewer: Caller): Promise<readonly ChatAccount[]> => (await Promise.all(workspaces.map((where) => links.accountOf(viewer, where)))).filter((account) => account !== undefined)

  const own = (viewer: Caller): void => {
    if (!isOwnPerson(viewer)) throw new Refusal('not-eligible', 'Only people link accounts, their own.')
  }

  return {
    list: async ({ viewer, csrf }: Session): Promise<Html> => linksPage({ accounts: await mine(viewer), csrf }),

    confirm: async ({ viewer, csrf }: Session, text: string): Promise<Html> => linkPage({ ticket: read(text), text, viewer, csrf }),

    async link(request: IncomingMessage): Promise<void> {
      const { session: { viewer }, form } = await readSessionForm(sessions, request, 'nothing was linked')
      own(viewer)
      const { account, keepMs, nonce } = read(form.get('ticket') ?? '')
      if (!(await links.first(`ticket ${nonce}`, ticketMs))) throw gone()
      if ((await links.link(account, viewer, keepMs)) === 'taken') throw new Refusal('already-settled', 'Nothing was linked: this account is linked with somebody else, or you are linked with another account there. Whoever is linked can end it on their own page of links.')
      note({ type: 'linked', by: { issuer: viewer.issuer, subject: viewer.subject }, account })
    },

    async unlink(request: IncomingMessage): Promise<void> {
      const { session: { viewer }, form } = await readSessionForm(sessions, request, 'nothing was changed')
      const account = (await mine(viewer)).find(({ chat, workspace }) => chat === form.get('chat') && workspace === form.get('workspace'))
      if (account === undefined || !(await links.unlink(account, viewer))) return // it is over already
      note({ type: 'unlinked', by: { issuer: viewer.issuer, subject: viewer.subject }, account })
    },
  }
}
