import type { Credential } from '../model/credential.ts'
import type { Permit } from '../model/permit.ts'

export interface Vault {
  /** Lends the credential with which this one action runs upstream; at once, where nobody has to be asked for it. */
  lend(permit: Permit): Credential | Promise<Credential>
}
