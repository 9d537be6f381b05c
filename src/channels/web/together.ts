import type { Hold } from '../../model/hold.ts'
import { Refusal, type RefusalCode } from '../../model/refusal.ts'
import { problemOf } from './problem.ts'

/** What became of one of several. */
export type Fate<Piece extends { readonly id: string }> = { readonly piece: Piece } & ({ readonly hold: Hold } | { readonly refusal: Refusal })

/** They stand against all that comes after as well: nobody waits for each to fail by itself. */
const ending: ReadonlySet<RefusalCode> = new Set(['store-unavailable', 'journal-unavailable', 'draining'])

/** One after the other, each a decision by itself: what one of them comes to changes nothing about the others. */
export const decideEach = async <Piece extends { readonly id: string }>(pieces: readonly Piece[], decide: (piece: Piece) => Promise<Hold>): Promise<readonly Fate<Piece>[]> => {
  const fates: Fate<Piece>[] = []
  let end: Refusal | undefined
  for (const piece of pieces) {
    if (end !== undefined) {
      fates.push({ piece, refusal: new Refusal(end.code, `Not tried, because one before it could not be decided: ${end.message}`, end.detail) })
      continue
    }
    try {
      fates.push({ piece, hold: await decide(piece) })
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      fates.push({ piece, refusal: error })
      if (ending.has(error.code)) end = error
    }
  }
  return fates
}

/** As the API says it: each with the status that it would have had alone. */
export const fateView = (fate: Fate<{ readonly id: string }>) => {
  const { id } = fate.piece
  if ('hold' in fate) return { id, status: 200, code: fate.hold.code, state: fate.hold.state, revision: fate.hold.revision, digest: fate.hold.action.digest }
  const { status, body } = problemOf(fate.refusal)
  return { id, status, problem: body }
}
