import { said } from '../../words.ts'
import { html, type Html } from './html.ts'
import { clock, timeLeft } from './words.ts'

export interface PasskeysPage {
  readonly passkeys: readonly { readonly id: string; readonly name: string; readonly synced: boolean; readonly addedAt: number; readonly usedAt?: number | undefined }[]
  readonly csrf: string
  /** Until when a fresh login lets passkeys be added and removed. */
  readonly raisedUntil: number | undefined
  /** Whether browsers make passkeys for this address. */
  readonly possible: boolean
  readonly now: number
}

export const passkeysPage = (about: PasskeysPage): Html => {
  const { passkeys, possible } = about
  return html`<section class="narrow">
<h1>Your passkeys</h1>
<p>Some rules ask that a yes is signed with a passkey: a key that your device, or a stick, keeps and uses only once it knows that it is you. A no never needs one.</p>
${passkeys.length === 0 ? html`<div class="empty"><h2>You have none here</h2><p>${possible ? 'Add one below, before somebody waits for it.' : 'Browsers make passkeys only for addresses with a name, over https or at localhost. The address of this console is not such a one.'}</p></div>` : html`<ul class="passkeys">${passkeys.map((passkey) => one(passkey, about))}</ul>`}
${possible && add(about)}
</section>`
}

const one = ({ id, name, synced, addedAt, usedAt }: PasskeysPage['passkeys'][number], { csrf, raisedUntil }: PasskeysPage): Html =>
  html`<li class="card"><div><h2>${said(name)}</h2><p class="hint">added ${clock(addedAt)}, ${usedAt === undefined ? 'not used yet' : html`last used ${clock(usedAt)}`}; ${synced ? 'may be on more than one device' : 'stays on its device'}</p></div>
${raisedUntil !== undefined && html`<form method="post" action="/passkeys/remove"><input type="hidden" name="csrf" value="${csrf}"><input type="hidden" name="passkey" value="${id}"><button class="quiet">Remove <span class="heard">${said(name)}</span></button></form>`}</li>`

const add = ({ passkeys, csrf, raisedUntil, now }: PasskeysPage): Html =>
  raisedUntil === undefined
    ? html`<section class="card"><h2>Add${passkeys.length > 0 && ' or remove'} a passkey</h2><p>For that you sign in once more, so that nobody does it who only found your browser open.</p><p><a class="button" href="/oauth2/step-up?rd=%2Fpasskeys">Sign in again</a></p></section>`
    : html`<section class="card"><h2>Add a passkey</h2>
<form method="post" action="/passkeys" class="vote">
<input type="hidden" name="csrf" value="${csrf}">
<label for="passkey-name">Name</label>
<input id="passkey-name" name="name" maxlength="60" required autocomplete="off" placeholder="Where it is: phone, laptop, key on the ring">
<p class="warn" role="alert" data-problem hidden></p>
<div class="buttons"><button class="approve" data-passkey="/passkeys/begin">Add a passkey</button></div>
<noscript><p class="warn">Your browser makes a passkey only with scripts, and they are switched off.</p></noscript>
<p class="hint">Your fresh login is good for this: ${timeLeft(raisedUntil, now)}.</p>
</form></section>`
