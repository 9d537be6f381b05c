import { breakGlass } from '../approval/break-glass.ts'
import { personKeys, type People } from '../approval/people.ts'
import { settle } from '../approval/settle.ts'
import { defined } from '../lib/defined.ts'
import type { Hold, Vote } from '../model/hold.ts'
import type { CaseEnd, CaseParts } from '../policy/cases.ts'

const people: People = { person: personKeys([]), current: (principal) => principal }

/** Plays votes on a hold by the rules that real holds are settled by; time counts from its opening. */
export const settleCase: CaseParts['settle'] = ({ caller, action, decision }, votes, atMs) => {
  const { terms } = decision
  if (terms === undefined) return { state: 'not held', refused: [] }
  let hold: Hold = { id: 'case', code: 'case', revision: 0, state: 'pending', caller, action, terms, matched: decision.matched, policyVersion: decision.policyVersion, votes: [], openedAt: 0, deadline: terms.withinMs }
  const refused: CaseEnd['refused'][number][] = []
  for (const each of votes) {
    const { by, atMs: at, verdict, assurance, channel, reason, brokeGlass, freshLogin } = each
    const vote: Vote = { by, at, verdict, assurance, channel, digest: action.digest, ...defined({ reason, loggedInAt: freshLogin && at }) }
    const settled = brokeGlass ? breakGlass(hold, vote, people, at) : settle(hold, vote, people, at)
    if ('hold' in settled) hold = settled.hold
    else refused.push({ vote: each, cause: settled.cause })
  }
  const end = hold.state === 'pending' ? hold.deadline : hold.state === 'approved' ? (hold.runBy ?? hold.deadline) : Infinity
  return { state: atMs > end ? 'expired' : hold.state, refused }
}
