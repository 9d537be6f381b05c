import { questionText } from '../search/question.ts'
import type { Say, Tally, Touch } from './deed.ts'
import type { LineageNode } from './node.ts'

/** Tables, endpoints and people are found as in a search of the log: all that is asked must hold. */
export const lineageFields = ['who', 'for', 'on', 'what', 'service', 'approver'] as const
export type LineageField = (typeof lineageFields)[number]

export interface TraceQuestion {
  readonly fields: Readonly<Partial<Record<LineageField, string>>>
  /** In any part: who asked, for whom, the session, the action, what it touched, who voted. One of these is enough. */
  readonly nodes?: readonly string[]
  /** By whole hours: the one of this moment, and those after it. */
  readonly from?: number
  /** Those before it. */
  readonly to?: number
}

/** The question in one line, for the record of who asked it. */
export const traceQuestionText = ({ nodes, ...question }: TraceQuestion): string => {
  const said = nodes === undefined ? [] : [`node=${nodes.join(',')}`]
  const rest = questionText(question)
  return [...said, ...(said.length > 0 && rest === 'everything' ? [] : [rest])].join(' ')
}

/** A record as evidence. */
export interface Citation {
  readonly id: string
  readonly time: number
}

/** Deeds that are the same but for their values, of one hour and one file of the log: how many there were, what became of them, and records that say so. */
export interface Trace {
  readonly who: LineageNode
  readonly chain: readonly LineageNode[]
  readonly session: LineageNode | undefined
  readonly action: LineageNode
  readonly touches: readonly Touch[]
  /** Who had voted on them by then. */
  readonly by: readonly LineageNode[]
  readonly tallies: Readonly<Record<Tally, number>>
  readonly says: readonly { readonly by: LineageNode; readonly say: Say; readonly count: number; readonly last: Citation }[]
  readonly first: Citation
  readonly last: Citation
}

export interface FoundTraces {
  /** The newest first. */
  readonly traces: readonly Trace[]
  readonly counted: 'all' | 'more'
}

/** What the index keeps of lineage, and finds again. */
export interface TraceSearch {
  /** Refused as `malformed` where nothing can be looked for. */
  traces(question: TraceQuestion, limit: number): Promise<FoundTraces>
  /** Nodes by their name, id or words of it. */
  nodes(name: string, limit: number): Promise<readonly LineageNode[]>
}

export const mostTraces = 5_000
export const hourMs = 3_600_000
