import { hash } from 'node:crypto'
import type { Cut } from '../../lib/visible.ts'
import type { Action, ActionPart, ActionPattern, Digest, Impact, Place as ShownPlace, Resource } from '../../model/action.ts'
import { patternFor } from './action-pattern.ts'
import { actionText, valuesOf } from './action-text.ts'
import type { Bound } from './namespace.ts'
import type { SqlPattern } from './sql/pattern.ts'
import type { TransactionState } from './state.ts'

/** A relation as it was found when the statement was judged. */
export interface Resolved {
  readonly schema: string
  readonly name: string
  readonly oid?: number
}

/** Where it will run. */
export interface Place extends ShownPlace {
  readonly service: string
  /** Host and port. */
  readonly upstream: string
}

/** One statement in the words of the policy, without its values. */
export interface Piece {
  readonly verbs: readonly string[]
  readonly effect: Action['effect']
  readonly resources: readonly Resource[]
  readonly tags: readonly string[]
  readonly relations: readonly Resolved[]
  /** The facts of `sql` that do not depend on values. */
  readonly facts: Readonly<Record<string, unknown>>
  /** What it calls by a name of the session: the name and its statement. */
  readonly body?: readonly [name: string, sql: string]
}

/** A text of SQL as it was understood: made once, asked for often. */
export interface Understood extends Piece {
  readonly place: Place
  /** `plan`: a transaction, one by one; its statements have texts of their own. */
  readonly protocol: 'simple' | 'extended' | 'plan'
  readonly steps?: readonly string[]
  readonly sql: string
  /** Several, where there are several statements. */
  readonly pieces: readonly Piece[]
  readonly bodies: readonly (readonly [name: string, sql: string])[]
  /** SHA-256 of all that does not depend on values. */
  readonly fixed: string
  readonly shape: string
  readonly types: readonly number[]
}

export interface Occasion {
  readonly bound?: Bound
  /** Types of the values, where the server has told more of them than the client. */
  readonly types?: readonly number[]
  readonly transaction: TransactionState
  readonly impact?: Impact
  /** Of each statement, where there are several. */
  readonly impacts?: readonly (Impact | undefined)[]
  readonly estimatedRows?: number
  /** What names lead to, as the server itself has said. */
  readonly resolved?: readonly unknown[]
  /** Of the one statement, where its rows are counted and the server was asked what its names lead to. */
  readonly pattern?: SqlPattern
  /** Takes the values out of a text; `undefined` where that cannot be done. */
  readonly outline?: (sql: string) => string | undefined
}

/**
 * SHA-256 over what will run, wherever names lead: service, server, database, role, relations, text, types; where the server was asked, what it
 * said of the names; and where values are bound apart, the bytes of the Bind message behind its two names.
 */
export const fixedDigest = (place: Place, protocol: Understood['protocol'], sql: string, types: readonly number[], pieces: readonly Piece[]): string => {
  const relations = [...new Set(pieces.flatMap((piece) => piece.relations.map(({ schema, name, oid }) => JSON.stringify([schema, name, oid ?? null]))))].sort()
  const bodies = pieces.flatMap(({ body }) => (body === undefined ? [] : [body]))
  const { service, upstream, database, role } = place
  return hash('sha256', JSON.stringify({ v: 1, service, upstream, database, role, protocol, relations, bodies, types, sql }), 'hex')
}

const digestOf = (fixed: string, { resolved, bound }: Occasion): Digest => {
  if (resolved === undefined && bound === undefined) return `sha256:${fixed}`
  const head = `${fixed}\n${resolved === undefined ? '' : JSON.stringify(resolved)}\n${bound === undefined ? 'unbound' : 'bound'}\n`
  return `sha256:${bound === undefined ? hash('sha256', head, 'hex') : hashOfBoth(head, bound.bytes)}`
}

/** Room to put two things side by side: most are short. */
const room = Buffer.allocUnsafeSlow(4_096)

const hashOfBoth = (head: string, bytes: Buffer): string => {
  const most = 3 * head.length + bytes.length
  const both = most <= room.length ? room : Buffer.allocUnsafe(most)
  const end = both.write(head)
  return hash('sha256', both.subarray(0, end + bytes.copy(both, end)), 'hex')
}

/** What is asked, as one frozen value. Its text, its values and its facts are made when somebody first asks: most actions are neither shown nor looked into, and all they are made of is final. */
class SqlAction implements Action {
  readonly protocol = 'postgres'
  readonly service: string
  readonly place: Place
  readonly verb: string
  readonly verbs: readonly string[]
  readonly effect: Action['effect']
  readonly resources: readonly Resource[]
  readonly tags: readonly string[]
  readonly digest: Digest
  readonly shape: string
  declare readonly parts?: readonly ActionPart[]
  declare readonly impact?: Impact
  declare readonly pattern?: ActionPattern
  readonly #understood: Understood
  readonly #occasion: Occasion
  #shown: Cut | undefined
  #facts: Action['facts'] | undefined
  #values: readonly (string | null)[] | undefined

  constructor(understood: Understood, occasion: Occasion) {
    const [verb] = understood.verbs
    if (verb === undefined) throw new Error('a statement without a verb')
    this.service = understood.place.service
    this.place = understood.place
    this.verb = verb
    this.verbs = understood.verbs
    this.effect = understood.effect
    this.resources = understood.resources
    this.tags = understood.tags
    this.digest = digestOf(understood.fixed, occasion)
    this.shape = understood.shape
    this.#understood = understood
    this.#occasion = occasion
    if (understood.pieces.length > 1) this.parts = Object.freeze(understood.pieces.map((piece, at) => this.#part(piece, at)))
    if (occasion.impact !== undefined) this.impact = occasion.impact
    const pattern = patternFor(understood, occasion)
    if (pattern !== undefined) this.pattern = pattern
    Object.freeze(this)
  }

  get text(): string {
    return this.#cut.text
  }
  get textCut(): boolean {
    return this.#cut.cut
  }
  get outline(): string | undefined {
    const { outline } = this.#occasion
    if (outline === undefined) return undefined
    const { sql, bodies } = this.#understood
    const [without, ...called] = [sql, ...bodies.map(([, body]) => body)].map(outline)
    const names = bodies.flatMap(([name], at) => (called[at] === undefined ? [] : [[name, called[at]] as const]))
    if (without === undefined || names.length < bodies.length) return undefined
    return actionText({ sql: without, bodies: names, values: this.#bound.map((value) => (value === null ? null : '•••')) }).text
  }
  get facts(): Action['facts'] {
    return (this.#facts ??= Object.freeze({ sql: this.#factsOf(this.#understood) }))
  }

  get #cut(): Cut {
    const { sql, bodies } = this.#understood
    return (this.#shown ??= actionText({ sql, bodies, values: this.#bound }))
  }

  get #bound(): readonly (string | null)[] {
    const { bound, types } = this.#occasion
    return (this.#values ??= Object.freeze(bound === undefined ? [] : [...valuesOf(bound, types ?? this.#understood.types)]))
  }

  #factsOf(about: Piece): Readonly<Record<string, unknown>> {
    const { bound, transaction, estimatedRows } = this.#occasion
    return Object.freeze({
      ...about.facts,
      statements: this.#understood.pieces.length,
      transaction,
      ...(bound === undefined && about.facts['parameterCount'] !== 0 ? {} : { parameters: this.#bound }),
      ...(estimatedRows === undefined ? {} : { estimatedRows }),
    })
  }

  #part(piece: Piece, at: number): ActionPart {
    const { verbs, effect, resources, tags } = piece
    const step = this.#understood.steps?.[at]
    const impact = this.#occasion.impacts?.[at]
    const shown = { ...(step === undefined ? {} : { text: actionText({ sql: step, bodies: [], values: [] }).text }), ...(impact === undefined ? {} : { impact }) }
    return Object.freeze({ verb: verbs[0] as string, verbs, effect, resources, tags, facts: Object.freeze({ sql: this.#factsOf(piece) }), ...shown })
  }
}

export const makeSqlAction = (understood: Understood, occasion: Occasion): Action => new SqlAction(understood, occasion)
