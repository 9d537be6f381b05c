import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Between a replica and its witness: a network that loses answers, and a name behind which another witness can be. */
export interface WitnessRelay extends AsyncDisposable {
  readonly url: string
  /** What was posted, and what was said to it. */
  readonly asked: { readonly old: number; readonly status: number }[]
  lead(url: string): void
  /** The witness gets what is posted, and its answer is lost. */
  loseAnswers: boolean
}

export const startRelay = async (target: string): Promise<WitnessRelay> => {
  const state = { target, loseAnswers: false, asked: [] as WitnessRelay['asked'] }
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    const answer = await fetch(`${state.target}${request.url}`, { method: 'POST', body }).catch(() => undefined)
    state.asked.push({ old: Number(/^old (\d+)/.exec(body)?.[1]), status: answer?.status ?? 0 })
    if (answer === undefined || state.loseAnswers) return void response.destroy()
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' }).end(await answer.text())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(state, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lead: (url: string) => void (state.target = url),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}
