import { allowInsecureRequests, discovery, None, ResponseBodyError, refreshTokenGrant, type Configuration, type TokenEndpointResponse, type TokenEndpointResponseHelpers } from 'openid-client'
import { exit, Failure } from './io.ts'
import type { Session } from './session-file.ts'

/** Tokens go over TLS, or do not leave this machine. */
export const isSafeUrl = (url: URL): boolean => url.protocol === 'https:' || (url.protocol === 'http:' && /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(url.hostname))

export const discover = async ({ issuer, clientId }: { readonly issuer: string; readonly clientId: string }): Promise<Configuration> => {
  if (!URL.canParse(issuer) || !isSafeUrl(new URL(issuer))) throw new Failure(`the issuer ${issuer} is not an https address`)
  const url = new URL(issuer)
  try {
    return await discovery(url, clientId, undefined, None(), { timeout: 15, ...(url.protocol === 'http:' ? { execute: [allowInsecureRequests] } : {}) })
  } catch (error) {
    throw new Failure(`the issuer ${issuer} could not be reached: ${reasonOf(error)}`)
  }
}

export const sessionOf = (about: Pick<Session, 'issuer' | 'clientId' | 'scopes' | 'resource'>, tokens: TokenEndpointResponse & TokenEndpointResponseHelpers, before?: Session): Session => ({
  issuer: about.issuer,
  clientId: about.clientId,
  scopes: about.scopes,
  resource: about.resource,
  accessToken: tokens.access_token,
  refreshToken: tokens.refresh_token ?? before?.refreshToken,
  expiresAt: Date.now() + (tokens.expiresIn() ?? 300) * 1000,
})

/** A session whose access token is good for a while yet, or a failure that says to log in. */
export const refreshed = async (session: Session): Promise<Session> => {
  if (session.refreshToken === undefined) throw new Failure('the login has expired; run countersign login', exit.authentication)
  const configuration = await discover(session)
  try {
    return sessionOf(session, await refreshTokenGrant(configuration, session.refreshToken, session.resource === undefined ? {} : { resource: session.resource }), session)
  } catch (error) {
    throw new Failure(`the login could not be renewed (${reasonOf(error)}); run countersign login`, exit.authentication)
  }
}

export const reasonOf = (error: unknown): string => {
  if (error instanceof ResponseBodyError) return error.error_description ?? error.error
  if (error instanceof Error) return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
  return String(error)
}
