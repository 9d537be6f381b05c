import type { Credential } from '../model/credential.ts'
import type { CredentialOptions } from './options.ts'
import type { Vault } from './vault.ts'

const nothing: Credential = Object.freeze({ headers: [] })

/** Lends each service the secret that the configuration gives it, whoever acts. There is nothing to give back. */
export const makeStaticVault = (options: () => readonly CredentialOptions[]): Vault => {
  let known: readonly CredentialOptions[] | undefined
  let byService = new Map<string, Credential>()
  const refresh = (current: readonly CredentialOptions[]): void => {
    known = current
    byService = new Map(current.map(({ service, headers }) => [service, { headers: headers.map(({ name, value }) => [name, value.reveal()] as const) }]))
  }
  return {
    lend(permit) {
      const current = options()
      if (current !== known) refresh(current)
      return byService.get(permit.action.service) ?? nothing
    },
  }
}
