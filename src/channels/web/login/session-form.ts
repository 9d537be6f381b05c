import type { IncomingMessage } from 'node:http'
import { Refusal } from '../../../model/refusal.ts'
import { readForm } from '../form-body.ts'
import type { Session, Sessions } from './sessions.ts'

/** The session behind a form, or a refusal: its cookie alone is not enough. `nothing`: what has not happened then, such as `nothing was decided`. */
export const readSessionForm = async (sessions: Sessions, request: IncomingMessage, nothing: string): Promise<{ readonly session: Session; readonly form: ReadonlyMap<string, string> }> => {
  const form = await readForm(request)
  const session = await sessions.of(request, true)
  if (session === undefined) throw new Refusal('no-identity', `Your session has ended, so ${nothing}. Sign in and look at it again.`)
  if (!sessions.isCsrf(request, form.get('csrf') ?? '')) throw new Refusal('denied', `This form is of another session, so ${nothing}. Load the page again and repeat it.`)
  return { session, form }
}
