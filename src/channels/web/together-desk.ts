import type { IncomingMessage } from 'node:http'
import type { Approvals } from '../../approval/approvals.ts'
import { channelsFor } from '../../approval/assurance.ts'
import { whyAlone } from '../../approval/together.ts'
import { defined } from '../../lib/defined.ts'
import type { Caller } from '../../model/caller.ts'
import type { Hold } from '../../model/hold.ts'
import { Refusal } from '../../model/refusal.ts'
import { stateText } from '../words.ts'
import type { Look, Shown } from './decisions.ts'
import { parseChosen, parsePiecesForm } from './forms.ts'
import { isOwnPerson } from './hold-view.ts'
import { readSessionForm } from './login/session-form.ts'
import type { Session, Sessions } from './login/sessions.ts'
import type { MarkText } from './pages/marked-text.ts'
import { makeStatement } from './pages/statement.ts'
import { togetherPage, togetherResultPage, type PieceShown } from './pages/together-page.ts'
import { whyNot } from '../why-not.ts'
import { decideEach } from './together.ts'

interface Parts {
  readonly approvals: Approvals
  readonly sessions: Sessions
  readonly look: Look
  readonly markSql?: MarkText | undefined
  readonly now: () => number
}

/** Several holds of the inbox: first everything that would be decided, then each by itself. */
export const makeTogetherDesk = ({ approvals, sessions, look, markSql, now }: Parts) => {
  const seen = async (id: string, viewer: Caller): Promise<Hold | undefined> => {
    try {
      return await approvals.show(id, viewer)
    } catch (error) {
      if (error instanceof Refusal && error.code === 'not-found') return undefined
      throw error
    }
  }

  /** Why it is not offered among others. */
  const why = (hold: Hold, viewer: Caller): string | undefined => {
    if (hold.state !== 'pending') return `it is ${stateText(hold.state).toLowerCase()}`
    if (hold.deadline <= now()) return 'its time is over'
    const obstacle = isOwnPerson(viewer) ? approvals.obstacle(hold, viewer) : 'not-eligible'
    if (obstacle !== undefined) return whyNot(hold, viewer, obstacle) ?? 'you may not decide it'
    const takes = channelsFor(hold.terms, viewer)
    if (!takes.includes('console')) return `the rule takes a yes through these alone: ${takes.join(', ')}`
    const alone = whyAlone(hold, viewer)
    return alone && `to be looked at by itself, because ${alone}`
  }

  return {
    /** Looking changes nothing. */
    async page({ viewer, csrf }: Session, target: URL): Promise<Shown> {
      const pieces: PieceShown[] = []
      const leftOut: { hold: Hold; why: string }[] = []
      let unknown = 0
      for (const id of parseChosen(target.searchParams)) {
        const hold = await seen(id, viewer)
        const out = hold && why(hold, viewer)
        if (hold === undefined) unknown++
        else if (out !== undefined) leftOut.push({ hold, why: out })
        else pieces.push({ hold, statement: await makeStatement(hold, markSql) })
      }
      return { status: 200, title: `Decide ${pieces.length} together`, main: togetherPage({ pieces, leftOut, unknown, csrf, now: now() }) }
    },

    async decide(request: IncomingMessage): Promise<{ readonly session: Session; readonly shown: Shown }> {
      const { session, form } = await readSessionForm(sessions, request, 'nothing was decided')
      const { verdict, reason, holds } = parsePiecesForm(form)
      const { viewer } = session
      const known = new Map<string, Hold>()
      const fates = await decideEach(holds, async ({ id, ...ballot }) => {
        const hold = await approvals.show(id, viewer)
        known.set(id, hold)
        const yes = await look(hold, { verdict, ...ballot, ...defined({ reason }) }, viewer)
        return await approvals.vote(id, { verdict, ...yes, by: viewer, channel: 'console', assurance: 'console', together: holds.length })
      })
      const results = await Promise.all(fates.map(async (fate) => ('hold' in fate ? { id: fate.piece.id, hold: fate.hold } : { id: fate.piece.id, hold: fate.refusal.code === 'not-found' ? undefined : (await seen(fate.piece.id, viewer).catch(() => undefined)) ?? known.get(fate.piece.id), refusal: fate.refusal })))
      return { session, shown: { status: 207, title: 'Decided together', main: togetherResultPage({ verdict, results }) } }
    },
  }
}
