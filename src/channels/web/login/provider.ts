import { allowInsecureRequests, ClientSecretBasic, ClientSecretPost, Configuration, discovery, None, type ServerMetadata } from 'openid-client'
import { Refusal } from '../../../model/refusal.ts'
import type { SignInOptions } from '../options.ts'

const freshMs = 3_600_000
const backoffMs = 5_000
const timeoutSeconds = 10

/** What the issuer says about itself, asked when it is first needed, believed for an hour, and longer while it does not answer. */
export const makeProvider = (options: SignInOptions, now: () => number): (() => Promise<Configuration>) => {
  let known: { readonly configuration: Configuration; readonly at: number } | undefined
  let asking: Promise<Configuration> | undefined
  let failedAt = -Infinity

  const ask = async (): Promise<Configuration> => {
    try {
      const configuration = await discover(options)
      known = { configuration, at: now() }
      return configuration
    } catch (error) {
      failedAt = now()
      throw new Refusal('identity-unavailable', 'The identity provider cannot be reached.', { cause: error, retryAfterSeconds: 5 })
    }
  }

  return async () => {
    if (known !== undefined && now() - known.at < freshMs) return known.configuration
    if (known === undefined && now() - failedAt < backoffMs) throw new Refusal('identity-unavailable', 'The identity provider cannot be reached.', { retryAfterSeconds: 5 })
    asking ??= ask().finally(() => (asking = undefined))
    return known === undefined ? asking : asking.catch(() => known!.configuration)
  }
}

const discover = async (options: SignInOptions): Promise<Configuration> => {
  const url = new URL(options.issuer)
  const insecure = url.protocol === 'http:' // the configuration lets this be loopback only
  const found = await discovery(url, options.clientId, undefined, None(), { timeout: timeoutSeconds, ...(insecure ? { execute: [allowInsecureRequests] } : {}) })
  const server = found.serverMetadata()
  const methods = server.code_challenge_methods_supported
  if (methods !== undefined && !methods.includes('S256')) throw new Error('the identity provider knows no PKCE with S256')
  const configuration = new Configuration(server, options.clientId, undefined, authentication(options, server))
  configuration.timeout = timeoutSeconds
  if (insecure) allowInsecureRequests(configuration)
  return configuration
}

const authentication = ({ clientSecret }: SignInOptions, { token_endpoint_auth_methods_supported: methods = ['client_secret_basic'] }: ServerMetadata) => {
  if (clientSecret === undefined) return None()
  return methods.includes('client_secret_basic') || !methods.includes('client_secret_post') ? ClientSecretBasic(clientSecret.reveal()) : ClientSecretPost(clientSecret.reveal())
}
