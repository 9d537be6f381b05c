import { hash } from 'node:crypto'
import type { Cut } from '../../lib/visible.ts'
import type { Action, ActionPart, Digest, Impact, Place as ShownPlace, Resource } from '../../model/action.ts'
import { actionText, valuesOf } from './action-text.ts'
import type { Bound } from './namespace.ts'
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
  readonly estimatedRows?: number
  /** What names lead to, as the server itself has said. */
  readonly resolved?: readonly unknown[]
}

/**
 * SHA-256 over what will run, wherever names lead: service, server, database, role, relations, text, types; where the server was asked, what it
 * said of the names; and where values are bound apart, the bytes of the Bind message behind its two names.
 */
export const fixedDigest = (place: Place, protocol: 'simple' | 'extended', sql: string, types: readonly number[], pieces: readonly Piece[]): string => {
  const relations = [...new Set(pieces.flatMap((piece) => piece.relations.map(({ schema, name, oid }) => JSON.stringify([schema, name, oid ?? null]))))].sort()
  const bodies = pieces.flatMap(({ body }) => (body === undefined ? [] : [body]))
  const { service, upstream, database, role } = place
  return hash('sha256', JSON.stringify({ v: 1, service, upstream, database, role, protocol, relations, bodies, types, sql }), 'hex')
}

const digestOf = (fixed: string, { resolved, bound }: Occasion): Digest => {
  if (resolved === undefined && bound === undefined) return `sha256:${fixed}`
  const head = Buffer.from(`${fixed}\n${resolved === undefined ? '' : JSON.stringify(resolved)}\n${bound === undefined ? 'unbound' : 'bound'}\n`)
  return `sha256:${hash('sha256', bound === undefined ? head : Buffer.concat([head, bound.bytes]), 'hex')}`
}

/** What is asked, as one frozen value. */
export const makeSqlAction = (understood: Understood, occasion: Occasion): Action => {
  const sources: Sources = { understood, occasion, shown: undefined, known: undefined, values: undefined }
  const [verb] = understood.verbs
  if (verb === undefined) throw new Error('a statement without a verb')
  const action = {
    protocol: 'postgres' as const,
    service: understood.place.service,
    place: understood.place,
    verb,
    verbs: understood.verbs,
    effect: understood.effect,
    resources: understood.resources,
    tags: understood.tags,
    facts: Object.freeze(Object.defineProperty({ [made]: sources, [piece]: understood }, 'sql', factsMember)),
    ...(understood.pieces.length > 1 ? { parts: Object.freeze(understood.pieces.map((one) => partOf(one, sources))) } : {}),
    ...(occasion.impact === undefined ? {} : { impact: occasion.impact }),
    digest: digestOf(understood.fixed, occasion),
    shape: understood.shape,
    [made]: sources,
  }
  Object.defineProperty(action, 'text', textMember)
  Object.defineProperty(action, 'textCut', cutMember)
  return Object.freeze(action) as unknown as Action
}

const partOf = (one: Piece, sources: Sources): ActionPart => {
  const { verbs, effect, resources, tags } = one
  const facts = Object.freeze(Object.defineProperty({ [made]: { ...sources, known: undefined }, [piece]: one }, 'sql', factsMember)) as unknown as Action['facts']
  return Object.freeze({ verb: verbs[0] as string, verbs, effect, resources, tags, facts })
}

interface Sources {
  readonly understood: Understood
  readonly occasion: Occasion
  shown: Cut | undefined
  known: Readonly<Record<string, unknown>> | undefined
  values: readonly (string | null)[] | undefined
}

interface Made {
  readonly [made]: Sources
}

interface MadeFacts extends Made {
  readonly [piece]: Piece
}

const made = Symbol('made of')
const piece = Symbol('about')

const valuesIn = (sources: Sources): readonly (string | null)[] => {
  const { bound, types } = sources.occasion
  return (sources.values ??= Object.freeze(bound === undefined ? [] : [...valuesOf(bound, types ?? sources.understood.types)]))
}

const shown = (sources: Sources): Cut => (sources.shown ??= actionText({ sql: sources.understood.sql, bodies: sources.understood.bodies, values: valuesIn(sources) }))

const knownFacts = (sources: Sources, about: Piece): Readonly<Record<string, unknown>> => {
  const { bound, transaction, estimatedRows } = sources.occasion
  return Object.freeze({
    ...about.facts,
    statements: sources.understood.pieces.length,
    transaction,
    ...(bound === undefined && about.facts['parameterCount'] !== 0 ? {} : { parameters: valuesIn(sources) }),
    ...(estimatedRows === undefined ? {} : { estimatedRows }),
  })
}

/* Most actions are neither shown nor looked into: text, values and facts are made when somebody first asks. All they are made of is final. */
const textMember = { enumerable: true, get(this: Made) { return shown(this[made]).text } }
const cutMember = { enumerable: true, get(this: Made) { return shown(this[made]).cut } }
const factsMember = { enumerable: true, get(this: MadeFacts) { return (this[made].known ??= knownFacts(this[made], this[piece])) } }
