/** What is looked at, in the order in which it is looked at. Events, the log and `identity test-token` use these names. */
export type StepName =
  | 'size'
  | 'shape'
  | 'header'
  | 'issuer'
  | 'algorithm'
  | 'type'
  | 'keys'
  | 'keys-refused'
  | 'keys-stale'
  | 'keys-unavailable'
  | 'signature'
  | 'audience'
  | 'time'
  | 'required'
  | 'proof'
  | 'subject'
  | 'delegation'
  | 'introspection'
  | 'introspection-unavailable'
  | 'same-caller'

export interface Step {
  readonly step: StepName
  readonly ok: boolean
  readonly found: string
  readonly expected: string
}

/** Told of every step that was passed. The one place where verification explains itself; nothing else repeats its reasoning. */
export type Trail = (step: StepName, found: string, expected: string) => void

export const noTrail: Trail = () => {}

/** The step at which a token failed. Private: clients read none of it. Never holds a token. */
export class TokenProblem extends Error {
  override readonly name = 'TokenProblem'
  readonly step: StepName
  readonly found: string
  readonly expected: string
  /** Set once a configured issuer was chosen. */
  issuer?: string

  constructor(step: StepName, found: string, expected: string, cause?: unknown) {
    super(`${step}: found ${found}, expected ${expected}`, cause === undefined ? undefined : { cause })
    this.step = step
    this.found = found
    this.expected = expected
  }
}

/** The token may be good; it is we who cannot tell. Everything else is the token's fault, or its issuer's. */
export const isUnavailable = (step: StepName): boolean => step === 'keys-unavailable' || step === 'introspection-unavailable'

/** A value out of a token as one short line of printable ASCII. */
export const shown = (value: unknown): string => {
  if (value === undefined) return 'nothing'
  const text = (JSON.stringify(value) ?? String(value)).slice(0, 200).replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return text.length > 120 ? `${text.slice(0, 117)}...` : text
}

/** Fit to name somebody: not empty, not endless, one line, no invisible control. */
export const isName = (value: unknown): value is string => typeof value === 'string' && value !== '' && value.length <= 512 && value.isWellFormed() && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(value)
