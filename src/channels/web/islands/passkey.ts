/** Forms whose button asks for a passkey: it is asked first, and then they are sent as ever. */

interface Begun {
  readonly ceremony: string
  readonly create?: { readonly challenge: string; readonly rp: { readonly id: string; readonly name: string }; readonly user: { readonly id: string; readonly name: string; readonly displayName: string }; readonly excludeCredentials: readonly string[]; readonly timeout: number }
  readonly get?: { readonly challenge: string; readonly rpId: string; readonly allowCredentials: readonly string[]; readonly timeout: number }
}

const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (character) => character.charCodeAt(0))

const text = (buffer: ArrayBuffer): string => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')

const known = (ids: readonly string[]) => ids.map((id) => ({ type: 'public-key' as const, id: bytes(id) }))

const make = async ({ challenge, rp, user, excludeCredentials, timeout }: NonNullable<Begun['create']>): Promise<object> => {
  const credential = (await navigator.credentials.create({
    publicKey: {
      challenge: bytes(challenge), rp, user: { ...user, id: bytes(user.id) }, timeout, attestation: 'none', excludeCredentials: known(excludeCredentials),
      pubKeyCredParams: [-7, -8, -257].map((alg) => ({ type: 'public-key' as const, alg })),
      authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
    },
  })) as PublicKeyCredential
  const response = credential.response as AuthenticatorAttestationResponse
  return { clientData: text(response.clientDataJSON), authenticatorData: text(response.getAuthenticatorData()), publicKey: text(response.getPublicKey() ?? new ArrayBuffer(0)) }
}

const sign = async ({ challenge, rpId, allowCredentials, timeout }: NonNullable<Begun['get']>): Promise<object> => {
  const credential = (await navigator.credentials.get({ publicKey: { challenge: bytes(challenge), rpId, timeout, userVerification: 'required', allowCredentials: known(allowCredentials) } })) as PublicKeyCredential
  const { clientDataJSON, authenticatorData, signature } = credential.response as AuthenticatorAssertionResponse
  return { passkey: text(credential.rawId), clientData: text(clientDataJSON), authenticatorData: text(authenticatorData), signature: text(signature) }
}

const put = (form: HTMLFormElement, name: string, value: string): void => {
  const field = form.querySelector<HTMLInputElement>(`input[name=${name}]`) ?? document.createElement('input')
  Object.assign(field, { type: 'hidden', name, value })
  form.append(field)
}

const tell = (form: HTMLFormElement, problem: string): void => {
  const place = form.querySelector<HTMLElement>('[data-problem]')
  if (place === null) return
  place.hidden = problem === ''
  place.textContent = problem
}

const words = (error: unknown): string => {
  const name = error instanceof Error ? error.name : ''
  if (name === 'NotAllowedError') return 'No passkey was used: it was called off, took too long, or this device has none of yours. Nothing was sent.'
  if (name === 'InvalidStateError') return 'This device has a passkey of yours here already. Nothing was sent.'
  return `The browser could not use a passkey (${name || 'unknown'}). Nothing was sent.`
}

const asking = new WeakSet<HTMLFormElement>()
const answered = new WeakSet<HTMLFormElement>()

const ask = async (form: HTMLFormElement, button: HTMLButtonElement, address: string): Promise<void> => {
  asking.add(form)
  tell(form, '')
  try {
    const fields = new URLSearchParams([...new FormData(form, button)].map(([name, value]) => [name, String(value)]))
    for (const name of ['ceremony', 'credential']) fields.delete(name)
    const answer = await fetch(address, { method: 'POST', body: fields, redirect: 'manual', signal: AbortSignal.timeout(15_000) })
    // If the server wants nothing signed, what the form leads to says why.
    if (answer.ok) {
      const { ceremony, create, get } = (await answer.json()) as Begun
      const credential = create ? await make(create) : get && (await sign(get))
      put(form, 'ceremony', ceremony)
      put(form, 'credential', JSON.stringify(credential))
    }
    answered.add(form)
    form.requestSubmit(button)
  } catch (error) {
    tell(form, words(error))
  } finally {
    asking.delete(form)
  }
}

export const startPasskeys = (): void =>
  document.addEventListener(
    'submit',
    (event) => {
      const { target: form, submitter: button } = event
      if (!(form instanceof HTMLFormElement) || !(button instanceof HTMLButtonElement)) return
      const address = button.dataset['passkey']
      if (address === undefined || answered.delete(form)) return
      event.preventDefault()
      event.stopImmediatePropagation()
      if (!asking.has(form)) void ask(form, button, address)
    },
    true,
  )
