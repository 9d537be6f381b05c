import { z } from 'zod'
import type { Digest } from '../../model/action.ts'
import { actionIds } from './card.ts'
import type { Copy } from './slack.ts'

/** Who clicked, as Slack vouches for it. `name` is what they call themselves. */
export interface Clicker {
  readonly user: string
  readonly team: string
  readonly name: string
}

/** What a button or a window is about. */
export interface Subject {
  readonly hold: string
  readonly digest: Digest
}

export type Verdict = 'approve' | 'deny'

export type Interaction =
  | { readonly kind: 'click'; readonly verdict: Verdict; readonly who: Clicker; readonly about: Subject; readonly copy: Copy; readonly trigger: string }
  | { readonly kind: 'submission'; readonly verdict: Verdict; readonly who: Clicker; readonly about: Subject; readonly copy: Copy; readonly reason: string }

/** What a window of ours keeps to be sent back with it. */
export const windowData = z.strictObject({ hold: z.string(), digest: z.string(), verdict: z.enum(['approve', 'deny']), channel: z.string(), ts: z.string() })

const user = z.object({ id: z.string().regex(/^[UW][A-Z0-9-]{1,60}$/), team_id: z.string().regex(/^[TE][A-Z0-9-]{1,60}$/), username: z.string().optional(), name: z.string().optional() })

const click = z.object({
  type: z.literal('block_actions'),
  user,
  trigger_id: z.string(),
  container: z.object({ type: z.literal('message'), message_ts: z.string(), channel_id: z.string() }),
  channel: z.object({ id: z.string() }),
  actions: z.array(z.object({ action_id: z.string(), value: z.string().optional() })).length(1),
})

const submission = z.object({
  type: z.literal('view_submission'),
  user,
  view: z.object({
    callback_id: z.string(),
    private_metadata: z.string().max(3_000),
    state: z.object({ values: z.object({ reason: z.object({ reason: z.object({ value: z.string().nullish() }) }).optional() }) }),
  }),
})

/** What decides windows of ours from those of others. */
export const windowId = 'countersign.reason'

const clicker = ({ id, team_id: team, username, name }: z.infer<typeof user>): Clicker => ({ user: id, team, name: name ?? username ?? '' })

const subjectOf = (value: string): Subject | undefined => {
  const [, hold, digest] = /^(hold_[a-z2-7]{26})\.(sha256:[0-9a-f]{64})$/.exec(value) ?? []
  return hold === undefined || digest === undefined ? undefined : { hold, digest: digest as Digest }
}

const clickIn = ({ user: by, trigger_id: trigger, container, channel, actions }: z.infer<typeof click>): Interaction | undefined => {
  const [action] = actions
  const verdict = action?.action_id === actionIds.approve ? 'approve' : action?.action_id === actionIds.deny ? 'deny' : undefined
  const about = subjectOf(action?.value ?? '')
  if (verdict === undefined || about === undefined || container.channel_id !== channel.id) return undefined
  return { kind: 'click', verdict, who: clicker(by), about, copy: { channel: channel.id, ts: container.message_ts }, trigger }
}

const submissionIn = ({ user: by, view }: z.infer<typeof submission>): Interaction | undefined => {
  if (view.callback_id !== windowId) return undefined
  const { hold, digest, verdict, channel, ts } = windowData.parse(JSON.parse(view.private_metadata))
  const about = subjectOf(`${hold}.${digest}`)
  return about && { kind: 'submission', verdict, who: clicker(by), about, copy: { channel, ts }, reason: view.state.values.reason?.reason.value ?? '' }
}

/** `undefined`: nothing that anybody has to decide about. Throws for what Slack would never send. */
export const readInteraction = (payload: unknown): Interaction | undefined => {
  const { type } = z.object({ type: z.string() }).parse(payload)
  if (type === 'block_actions') {
    const read = click.safeParse(payload)
    return read.success ? clickIn(read.data) : undefined
  }
  return type === 'view_submission' ? submissionIn(submission.parse(payload)) : undefined
}
