import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Grants } from '../../approval/grants.ts'
import { defined } from '../../lib/defined.ts'
import { Refusal } from '../../model/refusal.ts'
import type { Shown } from './decisions.ts'
import { parseGrantsQuery } from './forms.ts'
import { readSessionForm } from './login/session-form.ts'
import type { Session, Sessions } from './login/sessions.ts'
import { grantsPage } from './pages/grants.ts'
import { statusOf } from './problem.ts'

const onOnePage = 30

/** What approvers let through beforehand, and its end. */
export const makeGrantPages = ({ grants, sessions, now }: { readonly grants: Grants; readonly sessions: Sessions; readonly now: () => number }) => {
  const list = async ({ viewer, csrf }: Session, after: string | undefined, refusal?: Refusal): Promise<Shown> => {
    const page = await grants.list({ limit: onOnePage, ...defined({ after }) }, viewer)
    const alert = refusal && { heading: 'Nothing was ended', text: refusal.message }
    return { status: refusal === undefined ? 200 : statusOf[refusal.code], title: 'Grants', main: grantsPage({ grants: page.grants, next: page.next, csrf, now: now(), alert }) }
  }

  return {
    list: (session: Session, target: URL): Promise<Shown> => list(session, parseGrantsQuery(target.searchParams).after),

    /** Answers with a redirect, or with the page that says why nothing was ended. */
    async revoke(request: IncomingMessage, response: ServerResponse, id: string): Promise<{ readonly session: Session; readonly shown: Shown } | undefined> {
      const { session } = await readSessionForm(sessions, request, 'nothing was ended')
      try {
        await grants.revoke(id, session.viewer)
      } catch (error) {
        if (!(error instanceof Refusal) || error.code !== 'already-settled') throw error
        return { session, shown: await list(session, undefined, error) }
      }
      return void response.writeHead(303, { location: '/grants' }).end()
    },
  }
}
