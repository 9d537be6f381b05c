import type { Requirement } from '../model/decision.ts'
import type { Hold } from '../model/hold.ts'
import { filled } from './quorum.ts'
import { serves } from './settle.ts'

/** How far each requirement is met by the votes so far. For people to read; no decision rests on it. */
export const progressOf = ({ terms: { requirements }, votes, openedAt }: Pick<Hold, 'terms' | 'votes' | 'openedAt'>): readonly { readonly requirement: Requirement; readonly given: number }[] => {
  const people = votes.filter(({ verdict, brokeGlass }) => verdict === 'approve' && !brokeGlass).map((vote) => new Set(requirements.flatMap((requirement, at) => (serves(requirement, vote.by, vote, openedAt) ? [at] : []))))
  const given = filled(requirements, people)
  return requirements.map((requirement, at) => ({ requirement, given: given[at] ?? 0 }))
}
