import { Refusal } from '../model/refusal.ts'
import type { CaseParts } from '../policy/cases.ts'
import { makeHttpAction, type ReadingRules } from '../protocols/http/action.ts'
import { checkRequestHeaders, forwardableHeaders } from '../protocols/http/codec/headers.ts'
import { parseTarget } from '../protocols/http/codec/target.ts'

const route: ReadingRules = { jsonRpc: false, graphql: false, caseVariants: 'refuse', methodOverride: {} }

const listOf = (values: string | readonly string[]): readonly string[] => (typeof values === 'string' ? [values] : values)

/** The request of a case as the HTTP listener would read it; a refusal comes back as its text. */
export const caseAction: CaseParts['makeAction'] = (service, request, tagsOf) => {
  const pairs = Object.entries(request.query ?? {}).flatMap(([key, values]) => listOf(values).map((value) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`))
  const raw = pairs.length === 0 ? request.path : `${request.path}${request.path.includes('?') ? '&' : '?'}${pairs.join('&')}`
  const json = 'json' in request && request.json !== undefined
  const text = json ? JSON.stringify(request.json) : request.body
  const given = Object.entries(request.headers ?? {}).flatMap(([name, values]) => listOf(values).flatMap((value) => [name, value]))
  const typed = given.some((name, index) => index % 2 === 0 && name.toLowerCase() === 'content-type')
  const headers = ['host', 'case.example', ...(json && !typed ? ['content-type', 'application/json'] : []), ...given]
  try {
    checkRequestHeaders(headers)
    return makeHttpAction(
      { service, upstream: { id: 'https://case.example', allowed: [] }, route, method: request.method ?? 'GET', target: parseTarget(raw), host: 'case.example', scheme: 'https', headers: forwardableHeaders(headers) },
      text === undefined ? undefined : { bytes: new TextEncoder().encode(text) },
      (path) => tagsOf(service, 'path', path),
    )
  } catch (error) {
    if (error instanceof Refusal) return error.message
    throw error
  }
}
