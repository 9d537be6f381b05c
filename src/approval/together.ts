import { plainView } from '../lib/plain-view.ts'
import type { Action } from '../model/action.ts'
import type { Principal } from '../model/caller.ts'
import type { History, Hold } from '../model/hold.ts'
import { freshLoginFor, fullAssurance } from './assurance.ts'
import { marksOf } from './marks.ts'

/*
 * Several holds, one step of one person. Each is a vote by itself; what deserves a look of its own is left out of it, whoever asks and by whichever channel.
 * Who wants one dangerous action approved hides it among dull ones: what stands out, what is hard to see whole, and what was refused before is therefore never among them.
 */

/** So many are decided in one step at most. */
export const mostTogether = 25
/** What changes more rows than this, or nobody knows how many, is not one of several. */
const mostRows = 100
/** A text that takes more than this to read pushes the others out of sight. */
const mostLetters = 2_000
const mostLines = 40

/**
 * Why a yes to this is not given together with others, as the end of a sentence; `undefined`: it may be. A no may always.
 * `history`: what the requester asked before, as the voter may see it.
 */
export const whyAlone = (hold: Hold, voter: Principal, history = hold.history): string | undefined => {
  const { action, terms } = hold
  if (terms.together === false) return 'the rule says so'
  if (terms.irreversible) return 'it cannot be undone'
  if (action.textCut) return 'there is more to it than can be shown'
  if (fullAssurance(terms, voter) === 'passkey') return 'the rule asks for a passkey'
  if (freshLoginFor(terms, voter) !== undefined) return 'the rule asks for a fresh login'
  if (marksOf(hold).some(({ what }) => what === 'broke-glass')) return 'somebody broke the glass for it'
  return reachOf(action) ?? sightOf(action) ?? pastOf(history)
}

/** How much it changes. Of requests nobody can say; of statements it must be known, and little. */
const reachOf = ({ protocol, effect, impact, parts }: Action): string | undefined => {
  if (parts !== undefined) return 'it is several statements in one text'
  if (impact?.unfiltered === true) return 'it changes every row: no WHERE leaves anything out'
  if (protocol === 'http' || protocol === 'mcp' || effect === 'read') return undefined
  const rows = impact?.exactRows ?? impact?.estimatedRows
  if (rows === undefined) return 'nobody can say how many rows it changes'
  return rows > mostRows ? `it changes more than ${mostRows} rows` : undefined
}

const sightOf = ({ text }: Action): string | undefined => {
  if (plainView(text).ruses.length > 0) return 'something in its text may mislead'
  return text.length > mostLetters || text.split('\n').length > mostLines ? 'its text is long' : undefined
}

const pastOf = (history: History | undefined): string | undefined => history?.denied && `somebody said no to the same before (${history.denied.code})`
