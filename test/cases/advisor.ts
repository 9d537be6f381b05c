import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { until } from '../support/until.ts'
import type { Tree } from './loader.ts'
import { api, jsonOf } from './observation.ts'
import { fail } from './outcome.ts'
import { browserOf } from './passkeys.ts'
import type { Profile } from './profile.ts'
import { put } from './translate.ts'
import type { World } from './world.ts'

/* A model beside the approvers that says yes to whoever writes the right word. */

export interface AdvisorPlace extends AsyncDisposable {
  /** What it was asked about. */
  readonly asked: { readonly hold: string }[]
  change(profile: Profile): void
}

export const hasAdvisor = ({ settings }: Tree): boolean => typeof settings === 'object' && settings !== null && 'advisory_model' in settings

export const startAdvisor = async (): Promise<AdvisorPlace> => {
  const asked: { readonly hold: string }[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    asked.push((JSON.parse(text) as { data: { hold: string } }).data)
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ opinion: text.includes('urgent') ? 'APPROVE' : 'No opinion.', verdict: 'approve', vote: { verdict: 'approve' } }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    asked,
    change({ config }) {
      put(config, ['channels', 'advisor'], { kind: 'advisor', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, 'private-addresses': true, payload: 'full' })
      put(config, ['listeners', 'console', 'sign-in'], { issuer: 'idp-a', 'client-id': 'countersign' })
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

type Advised = Pick<World, 'events' | 'advisor'> & World

const heldIn = (world: Advised): readonly string[] => world.events().flatMap((event) => (event.type === 'held' ? [event.hold] : []))

/** In the console and by the API, under words that say what it is; and the hold waits as before. */
export const shownAndCountsForNothing = async (world: Advised): Promise<void> => {
  for (const hold of heldIn(world)) {
    await until('the opinion on record', () => world.events().some((event) => event.type === 'advised' && event.hold === hold && event.opinion === 'APPROVE'))
    const opinion = await until('the opinion', async () => {
      const { opinions, state, votes } = jsonOf(await api(world, 'appr-a', 'GET', `/api/holds/${hold}`)) ?? {}
      if (Array.isArray(votes) && votes.length > 0) fail('it has a vote')
      if (state !== 'pending' && state !== 'denied') fail(`it is ${String(state)}`)
      return Array.isArray(opinions) ? JSON.stringify(opinions) : undefined
    })
    if (opinion !== '[{"advisor":"advisor","text":"APPROVE"}]') fail(`the opinion is ${opinion}`)
    const { text } = await (await browserOf({ world }, 'appr-a')).get(`/holds/${hold}`)
    if (!/<section class="card untrusted"><h2>A machine&#39;s opinion \(advisor\)<\/h2>[^]*It counts for nothing\.[^]*<blockquote>APPROVE<\/blockquote>/.test(text)) fail('the console does not show it as untrusted')
  }
  if (world.events().some(({ type }) => type === 'voted' || type === 'released')) fail('it counted')
}

/** Nobody is asked about what is denied. */
export const askedOnlyOfHolds = (world: Advised): void => {
  const held = new Set(heldIn(world))
  const { asked } = world.advisor ?? fail('there is no advisor')
  if (asked.some(({ hold }) => !held.has(hold))) fail('it was asked about what was not held')
  if (held.size === 0 && asked.length > 0) fail('it was asked about what was denied')
}
