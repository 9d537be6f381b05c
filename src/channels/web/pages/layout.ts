import type { Caller } from '../../../model/caller.ts'
import { html, type Html } from './html.ts'

/** Where style and scripts are, by names that change with what is in them. */
export interface Assets {
  readonly style: string
  readonly mark: string
  readonly scripts: readonly string[]
}

export interface Frame {
  readonly title: string
  readonly assets: Assets
  /** Who is logged in, and the token of their session. */
  readonly session?: { readonly viewer: Caller; readonly csrf: string } | undefined
  readonly current?: 'inbox' | 'grants' | 'passkeys' | 'links' | 'policies' | 'audit' | 'lineage' | undefined
  /** Whether the viewer may read the audit log. */
  readonly readsAudit?: boolean
  readonly showsPolicies?: boolean
  /** Whether people have accounts of chats to say something about. */
  readonly linking?: boolean
  readonly deployment: string
  readonly now: number
}

/** How a person is called in a few words; their account where the issuer vouches for nothing else. */
export const personName = ({ name, email, subject }: Pick<Caller, 'name' | 'email' | 'subject'>): string => name ?? email ?? subject

export const page = ({ title, assets, session, current, readsAudit, showsPolicies, linking, deployment, now }: Frame, main: Html): string =>
  `<!doctype html>\n${html`<html lang="en" data-now="${now}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · Countersign</title>
<link rel="icon" href="${assets.mark}" type="image/svg+xml">
<link rel="stylesheet" href="${assets.style}">
${session && assets.scripts.map((script) => html`<script type="module" src="${script}"></script>`)}
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header class="top">
<a class="brand" href="/"><img src="${assets.mark}" alt="" width="24" height="24"> Countersign</a>
<span class="deployment">${deployment}</span>
${session && html`<nav aria-label="Main"><a href="/"${current === 'inbox' && html` aria-current="page"`}>Approvals</a> <a href="/grants"${current === 'grants' && html` aria-current="page"`}>Grants</a> <a href="/passkeys"${current === 'passkeys' && html` aria-current="page"`}>Passkeys</a>${linking === true && html` <a href="/links"${current === 'links' && html` aria-current="page"`}>Links</a>`}${showsPolicies && html` <a href="/policies"${current === 'policies' && html` aria-current="page"`}>Policies</a>`}${readsAudit && html` <a href="/audit"${current === 'audit' && html` aria-current="page"`}>Audit</a> <a href="/lineage"${current === 'lineage' && html` aria-current="page"`}>Lineage</a>`}</nav>
<span class="live" id="live" hidden></span>
<form class="who" method="post" action="/oauth2/logout"><span title="${session.viewer.subject}">${personName(session.viewer)}</span><input type="hidden" name="csrf" value="${session.csrf}"><button class="quiet">Sign out</button></form>`}
</header>
<main id="main" tabindex="-1">
${main}
</main>
${session && html`<p id="news" class="heard" aria-live="polite"></p><p id="alarm" class="heard" aria-live="assertive"></p>
<footer class="foot"><button id="keys-help" class="quiet" type="button" hidden>Keys <kbd>?</kbd></button></footer>
<dialog id="keys" aria-labelledby="keys-title"><h2 id="keys-title">Keys</h2>
<dl><dt><kbd>j</kbd> <kbd>k</kbd></dt><dd>next, previous in the list</dd><dt><kbd>Enter</kbd></dt><dd>open it</dd><dt><kbd>x</kbd></dt><dd>tick it, to decide several in one step</dd><dt><kbd>a</kbd> <kbd>d</kbd></dt><dd>go to Approve, to Deny; Enter decides</dd><dt><kbd>i</kbd></dt><dd>back to the list</dd><dt><kbd>/</kbd></dt><dd>search the list</dd><dt><kbd>?</kbd></dt><dd>this help</dd></dl>
<label class="check"><input type="checkbox" id="keys-on"> Single keys work</label>
<form method="dialog"><button class="quiet">Close</button></form></dialog>`}
</body>
</html>`.toString()}\n`

/** A page that says one thing. */
export const notice = (heading: string, text: string, next?: { readonly href: '/' | '/oauth2/start'; readonly text: string }): Html =>
  html`<section class="notice"><h1>${heading}</h1><p>${text}</p>${next && html`<p><a class="button" href="${next.href}">${next.text}</a></p>`}</section>`
