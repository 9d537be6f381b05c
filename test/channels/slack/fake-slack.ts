import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { WebSocketServer, type WebSocket } from 'ws'
import type { Block, Button } from '../../../src/channels/slack/blocks.ts'
import { until } from '../../support/until.ts'
import { wrongBlocks, wrongView } from './message-rules.ts'

/* A workspace of Slack, as far as its pages tell: it takes nothing that is not exactly right. */

export interface Message {
  readonly channel: string
  readonly ts: string
  readonly thread?: string
  text: string
  blocks: readonly Block[]
  /** Times that it was changed. */
  changes: number
}

export interface View {
  readonly callback_id: string
  readonly private_metadata?: string
  readonly title: { readonly text: string }
  readonly submit?: { readonly text: string }
  readonly blocks: readonly Block[]
}

export interface Ack {
  readonly envelope_id: string
  readonly payload?: Readonly<Record<string, unknown>>
}

export interface FakeSlack extends AsyncDisposable {
  readonly url: string
  readonly messages: Message[]
  /** What only one person sees. */
  readonly whispers: { readonly channel: string; readonly user: string; readonly text: string; readonly blocks: readonly Block[] }[]
  readonly views: { readonly trigger: string; readonly view: View }[]
  /** Everything that was refused, and why. */
  readonly refused: string[]
  /** What was to be shown to people, taken or not. */
  readonly said: { readonly text: string; readonly at: number }[]
  /** Whether it answers everything with a failure. */
  down: boolean
  /** Methods that were called, in order. */
  readonly calls: string[]
  /** The next answers of a method, before it does anything: an error code, a status with headers, or a time to wait. */
  readonly answers: Map<string, (string | { readonly status: number; readonly headers?: Record<string, string> } | { readonly ms: number })[]>
  readonly users: Map<string, Record<string, unknown>>
  /** Open sockets, oldest first. */
  sockets(): readonly WebSocket[]
  /** Answers of `apps.connections.open` lead here. */
  readonly socketUrl: () => string
  /** Sends over one socket and waits for its acknowledgement; `undefined`: none came in time. */
  deliver(payload: object, options?: { readonly socket?: WebSocket; readonly envelope?: string; readonly withinMs?: number }): Promise<Ack | undefined>
  scopes: string
  shared: boolean
}

export interface Clicker {
  readonly user: string
  readonly team?: string
}

export const tokens = { bot: 'xoxb-b0t', app: 'xapp-4pp', signing: 's1gning' }

/** What Slack sends when somebody clicks a button of a message. */
export const clickOf = ({ user, team = 'T0HOME' }: Clicker, message: Pick<Message, 'channel' | 'ts'>, button: Pick<Button, 'action_id' | 'value'>, more: object = {}): Readonly<Record<string, unknown>> => ({
  type: 'block_actions',
  user: { id: user, username: `name-of-${user.toLowerCase()}`, name: `name-of-${user.toLowerCase()}`, team_id: team },
  api_app_id: 'A0APP', token: 'legacy', container: { type: 'message', message_ts: message.ts, channel_id: message.channel, is_ephemeral: false },
  trigger_id: `trigger-${Math.random()}`, team: { id: 'T0HOME', domain: 'home' }, enterprise: null, is_enterprise_install: false,
  channel: { id: message.channel, name: 'approvals' }, message: { ts: message.ts, text: 'ignored' }, state: { values: {} }, response_url: 'https://hooks.slack.com/actions/x',
  actions: [{ action_id: button.action_id, block_id: 'b', text: { type: 'plain_text', text: 'x' }, ...(button.value === undefined ? {} : { value: button.value }), type: 'button', action_ts: '1' }],
  ...more,
})

/** What Slack sends when somebody sends off a window. */
export const submissionOf = ({ user, team = 'T0HOME' }: Clicker, view: View, reason: string | null, more: object = {}): Readonly<Record<string, unknown>> => ({
  type: 'view_submission',
  user: { id: user, username: `name-of-${user.toLowerCase()}`, name: `name-of-${user.toLowerCase()}`, team_id: team },
  api_app_id: 'A0APP', token: 'legacy', trigger_id: 'trigger-view', team: { id: 'T0HOME', domain: 'home' },
  view: { id: 'V1', type: 'modal', callback_id: view.callback_id, private_metadata: view.private_metadata, title: view.title, blocks: view.blocks, state: { values: { reason: { reason: { type: 'plain_text_input', value: reason } } } } },
  response_urls: [], ...more,
})

export const buttonOf = (message: { readonly blocks: readonly Block[] }, text: string): Button => {
  for (const block of message.blocks) if (block.type === 'actions') for (const one of block.elements) if (one.text.text === text) return one
  throw new Error(`no button ${text}`)
}

/** As Slack signs what it sends. */
export const signed = (payload: object, { secret = tokens.signing, at = Date.now() }: { readonly secret?: string; readonly at?: number } = {}): { readonly body: string; readonly headers: Record<string, string> } => {
  const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString()
  const timestamp = String(Math.floor(at / 1_000))
  return { body, headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-slack-request-timestamp': timestamp, 'x-slack-signature': `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex')}` } }
}

type Values = ReadonlyMap<string, string>
type Told = Readonly<Record<string, unknown>>

const json = (values: Values, name: string): unknown => {
  try {
    return JSON.parse(values.get(name) ?? 'null')
  } catch {
    return undefined
  }
}

export const startFakeSlack = async (): Promise<FakeSlack> => {
  const server = createServer((request, response) => void serve(request, response))
  const sockets: WebSocket[] = []
  const acks = new Map<string, Ack>()
  let stamp = 1_700_000_000
  let tickets = 0
  const open = new Set<string>()

  const say = (no: string): Told => {
    slack.refused.push(no)
    return { ok: false, error: no.split(':', 1)[0] }
  }

  const methods: Readonly<Record<string, { readonly scope?: string; readonly app?: true; readonly names: readonly string[]; readonly run: (values: Values) => Told }>> = {
    'auth.test': { names: [], run: () => ({ ok: true, team_id: 'T0HOME', team: 'Home', user_id: 'U0BOT', bot_id: 'B0BOT' }) },
    'chat.postMessage': {
      scope: 'chat:write',
      names: ['channel', 'text', 'blocks', 'thread_ts', 'reply_broadcast', 'unfurl_links', 'unfurl_media'],
      run(values) {
        const blocks = values.has('blocks') ? (json(values, 'blocks') as Message['blocks']) : []
        const wrong = values.has('blocks') ? wrongBlocks(blocks, 'message') : undefined
        if (wrong !== undefined) return say(`invalid_blocks: ${wrong}`)
        if ((values.get('text') ?? '') === '') return say('no_text')
        const message: Message = { channel: values.get('channel') ?? '', ts: `${++stamp}.000100`, text: values.get('text') ?? '', blocks, changes: 0, ...(values.has('thread_ts') ? { thread: values.get('thread_ts') ?? '' } : {}) }
        slack.messages.push(message)
        return { ok: true, channel: message.channel, ts: message.ts, message: {} }
      },
    },
    'chat.update': {
      scope: 'chat:write',
      names: ['channel', 'ts', 'text', 'blocks'],
      run(values) {
        const message = slack.messages.find(({ channel, ts }) => channel === values.get('channel') && ts === values.get('ts'))
        if (message === undefined) return say('message_not_found')
        const wrong = wrongBlocks(json(values, 'blocks'), 'message')
        if (wrong !== undefined) return say(`invalid_blocks: ${wrong}`)
        Object.assign(message, { text: values.get('text') ?? '', blocks: json(values, 'blocks'), changes: message.changes + 1 })
        return { ok: true, channel: message.channel, ts: message.ts, text: message.text }
      },
    },
    'chat.postEphemeral': {
      scope: 'chat:write',
      names: ['channel', 'user', 'text', 'blocks'],
      run(values) {
        const wrong = wrongBlocks(json(values, 'blocks'), 'message')
        if (wrong !== undefined) return say(`invalid_blocks: ${wrong}`)
        slack.whispers.push({ channel: values.get('channel') ?? '', user: values.get('user') ?? '', text: values.get('text') ?? '', blocks: json(values, 'blocks') as readonly Block[] })
        return { ok: true, message_ts: `${++stamp}.000200` }
      },
    },
    'views.open': {
      names: ['trigger_id', 'view'],
      run(values) {
        const wrong = wrongView(json(values, 'view'))
        if (wrong !== undefined) return say(`invalid_arguments: ${wrong}`)
        const trigger = values.get('trigger_id') ?? ''
        if (slack.views.some((view) => view.trigger === trigger)) return say('exchanged_trigger_id')
        slack.views.push({ trigger, view: json(values, 'view') as View })
        return { ok: true, view: { id: 'V1' } }
      },
    },
    'users.info': {
      scope: 'users:read',
      names: ['user'],
      run(values) {
        const user = slack.users.get(values.get('user') ?? '')
        return user === undefined ? say('user_not_found') : { ok: true, user: { id: values.get('user'), team_id: 'T0HOME', deleted: false, is_bot: false, is_restricted: false, is_ultra_restricted: false, ...user } }
      },
    },
    'conversations.info': { scope: 'channels:read', names: ['channel'], run: (values) => (values.get('channel') === 'C0APPROVALS' ? { ok: true, channel: { id: 'C0APPROVALS', is_ext_shared: slack.shared, is_member: true, is_archived: false } } : say('channel_not_found')) },
    'apps.connections.open': {
      app: true,
      names: [],
      run() {
        const ticket = `t${++tickets}`
        open.add(ticket)
        return { ok: true, url: `${slack.socketUrl()}/link/?ticket=${ticket}&app_id=A0APP` }
      },
    },
  }

  const answer = (request: IncomingMessage, body: string): Told => {
    const name = /^\/api\/([A-Za-z.]+)$/.exec(request.url ?? '')?.[1] ?? ''
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined
    if (method === undefined || request.method !== 'POST') return say(`unknown_method: ${request.method} ${request.url}`)
    if (request.headers.authorization !== `Bearer ${method.app === true ? tokens.app : tokens.bot}`) return say('invalid_auth')
    if (!/^application\/x-www-form-urlencoded(?:; charset=utf-8)?$/.test(request.headers['content-type'] ?? '')) return say('invalid_form_data')
    if (method.scope !== undefined && !slack.scopes.split(',').includes(method.scope)) return { ...say('missing_scope'), needed: method.scope, provided: slack.scopes }
    const values = new Map(new URLSearchParams(body))
    const strange = [...values.keys()].find((key) => !method.names.includes(key))
    return strange === undefined ? method.run(values) : say(`invalid_arguments: ${name} with ${strange}`)
  }

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const name = request.url?.slice('/api/'.length) ?? ''
    const body = Buffer.concat(chunks).toString()
    slack.calls.push(name)
    if (name.startsWith('chat.')) slack.said.push({ text: [...new URLSearchParams(body).values()].join('\n'), at: performance.now() })
    if (slack.down) return void response.writeHead(500).end()
    const next = slack.answers.get(name)?.shift()
    if (typeof next === 'object' && 'status' in next) return void response.writeHead(next.status, next.headers).end('{"ok":false,"error":"ratelimited"}')
    if (typeof next === 'object') await pause(next.ms, undefined, { ref: false })
    const told = typeof next === 'string' ? { ok: false, error: next } : answer(request, body)
    response.writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'x-oauth-scopes': slack.scopes }).end(JSON.stringify(told))
  }

  const wss = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request, socket, head) => {
    const ticket = new URL(request.url ?? '', 'http://x').searchParams.get('ticket') ?? ''
    if (!open.delete(ticket)) return void socket.destroy() // an address is good for one connection
    wss.handleUpgrade(request, socket, head, (ws) => {
      sockets.push(ws)
      ws.on('close', () => void sockets.splice(sockets.indexOf(ws), 1))
      ws.on('error', () => {})
      ws.on('message', (data: Buffer) => {
        const ack = JSON.parse(data.toString()) as Ack
        acks.set(ack.envelope_id, ack)
      })
      ws.send(JSON.stringify({ type: 'hello', num_connections: sockets.length, connection_info: { app_id: 'A0APP' }, debug_info: { host: 'fake', approximate_connection_time: 18_060 } }))
    })
  })

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const slack: FakeSlack = {
    url: `http://127.0.0.1:${port}/api`,
    messages: [], whispers: [], views: [], refused: [], calls: [], said: [],
    down: false,
    answers: new Map(),
    users: new Map(),
    scopes: 'chat:write,users:read,channels:read',
    shared: false,
    sockets: () => sockets,
    socketUrl: () => `ws://127.0.0.1:${port}`,
    async deliver(payload, { socket = sockets.at(-1), envelope = `e-${Math.random()}`, withinMs = 3_000 } = {}) {
      acks.delete(envelope)
      socket?.send(JSON.stringify({ type: 'interactive', envelope_id: envelope, accepts_response_payload: true, payload }))
      return await until('an acknowledgement', () => acks.get(envelope), withinMs).catch(() => undefined)
    },
    async [Symbol.asyncDispose]() {
      for (const socket of wss.clients) socket.terminate()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return slack
}
