import type { Links } from '../../identity/links.ts'
import { parseStrictJson } from '../../lib/strict-json.ts'
import { Refusal } from '../../model/refusal.ts'
import type { Hook, Post } from '../hook.ts'
import type { Clicks, Conversation } from './clicks.ts'
import { readInteraction } from './interaction.ts'
import { isSigned, repeatsMs } from './signature.ts'

const mostBytes = 256 * 1024

/** Clicks that Slack posts to us. A conversation hears of those alone that are signed with its own secret. */
export const makeInteractions = (conversations: readonly Conversation[], clicks: Clicks, once: Links['once'], now: () => number): Hook => ({
  path: '/slack/interactions',
  mostBytes,
  async answer(post) {
    const trusted = conversations.filter(({ options: { interactivity } }) => interactivity?.by === 'http' && interactivity.signingSecrets.some((secret) => isSigned(secret.reveal(), post.headers, post.body, now())))
    if (trusted.length === 0) throw new Refusal('bad-identity', 'This is not signed by Slack, or not lately.')
    const interaction = read(post)
    // The same bytes again are the same click.
    const body = interaction && (await once(`slack ${post.headers('x-slack-signature')[0]}`, repeatsMs, () => clicks.take(interaction, trusted)))
    return { status: 200, ...(body === undefined ? {} : { body }) }
  },
})

const read = ({ headers, body }: Post): ReturnType<typeof readInteraction> => {
  const types = headers('content-type')
  if (types.length !== 1 || !/^application\/x-www-form-urlencoded[ \t]*(?:;[ \t]*charset=utf-8[ \t]*)?$/i.test(types[0] ?? '')) throw new Refusal('unsupported-media', 'Interactions come as a form.')
  const payloads = new URLSearchParams(body.toString()).getAll('payload')
  if (payloads.length !== 1) throw new Refusal('malformed', 'One payload is expected.')
  try {
    return readInteraction(parseStrictJson(Buffer.from(payloads[0] ?? ''), 64))
  } catch (error) {
    throw new Refusal('malformed', 'The payload cannot be read.', { cause: error })
  }
}
