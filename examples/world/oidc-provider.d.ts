/** What the tour uses of oidc-provider, which comes without types. */
declare module 'oidc-provider' {
  import type { RequestListener } from 'node:http'

  export interface Token {
    accountId?: string
    clientId?: string
    extra?: Record<string, unknown>
    resourceServer?: unknown
    scope?: string
    expiration: number
    tokenType: string
    save(): Promise<string>
  }

  export interface GrantContext {
    body: unknown
    oidc: {
      client: { clientId: string }
      params: Record<string, string | undefined>
      entity(name: string, value: unknown): void
    }
  }

  export class Provider {
    constructor(issuer: string, configuration: Record<string, unknown>)
    readonly AccessToken: new (members: Record<string, unknown>) => Token
    proxy: boolean
    callback(): RequestListener
    registerGrantType(name: string, handler: (ctx: GrantContext) => Promise<void>, parameters: readonly string[], duplicates?: readonly string[]): void
    on(event: 'server_error', listener: (ctx: unknown, error: Error) => void): void
  }

  export const errors: { InvalidGrant: new (message: string) => Error; InvalidRequest: new (message: string) => Error }
}
