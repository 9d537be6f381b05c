import type { LinkTicket } from '../../../identity/link-ticket.ts'
import type { ChatAccount } from '../../../identity/links.ts'
import type { Caller } from '../../../model/caller.ts'
import { accountText, said } from '../../words.ts'
import { html, type Html } from './html.ts'

const chats = { slack: 'Slack', teams: 'Microsoft Teams' } as const

export const linksPage = ({ accounts, csrf }: { readonly accounts: readonly ChatAccount[]; readonly csrf: string }): Html =>
  html`<section class="card"><h1>Linked accounts</h1>
<p>With these accounts you can decide in a chat. Each proves no more than that somebody uses it: for some actions that is not enough.</p>
${accounts.length === 0 ? html`<p class="hint">None. Click a button of a message in the chat: it shows you the way here.</p>` : accounts.map(({ chat, workspace, user }) => html`<form method="post" action="/links/end"><input type="hidden" name="csrf" value="${csrf}"><input type="hidden" name="chat" value="${chat}"><input type="hidden" name="workspace" value="${workspace}"><p><b>${chats[chat]}</b> account <code>${said(user)}</code> in <code>${said(workspace)}</code> <button class="quiet">Unlink</button></p></form>`)}
</section>`

export const linkPage = ({ ticket: { account, display }, text, viewer, csrf }: { readonly ticket: LinkTicket; readonly text: string; readonly viewer: Caller; readonly csrf: string }): Html =>
  html`<section class="card"><h1>Is this ${chats[account.chat]} account yours?</h1>
<dl><dt>Account</dt><dd><b>${said(display)}</b> (<code>${said(account.user)}</code>)</dd><dt>Workspace</dt><dd><code>${said(account.workspace)}</code></dd><dt>You are</dt><dd>${accountText(viewer)}</dd></dl>
<p class="warn"><span aria-hidden="true">!</span> <b>Only say yes if you have just clicked in the chat yourself.</b> Whoever uses this account can then decide in your name. If somebody sent you this address, close the page and tell your security team.</p>
<form method="post" action="/links" class="vote"><input type="hidden" name="csrf" value="${csrf}"><input type="hidden" name="ticket" value="${text}"><div class="buttons"><button class="approve">Yes, it is mine</button> <a class="button" href="/">No</a></div></form></section>`
