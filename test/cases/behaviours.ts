import { hash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { pending } from './outcome.ts'
import { answer, tunnel, type Behaviour } from './stub.ts'
import { isTree } from './loader.ts'
import type { Recorded, World } from './world.ts'

/* What `upstream` of a case says about its stubs, in words. */

const acceptOf = (key: string): string => hash('sha1', `${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`, 'base64')

const webSocket: Behaviour = (seen, socket) => {
  if (!/^upgrade: websocket$/im.test(seen.head)) return answer('ok')
  tunnel(socket)
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(/^sec-websocket-key: (\S+)/im.exec(seen.head)?.[1] ?? '')}\r\n\r\n`
}

const behaviours: Readonly<Record<string, Behaviour>> = {
  'answers 500 on /public/fail': ({ target }) => (target.startsWith('/public/fail') ? answer('no', [], '500 Internal Server Error') : answer('ok')),
  'answers after 50 ms': async () => {
    await pause(50)
    return answer('ok')
  },
  'speaks h2c when asked': (seen) => (/^upgrade:/im.test(seen.head) ? 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n' : answer('ok')),
  "/public/big sends Content-Length 1048576 slowly; /public/echo answers 'mine'": ({ target }, socket) => {
    if (target !== '/public/big') return answer('mine')
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n')
    void (async () => {
      for (let sent = 0; sent < 1_048_576 && !socket.destroyed; sent += 8_192) {
        socket.write(Buffer.alloc(8_192, 'b'))
        await pause(20)
      }
    })()
    return undefined
  },
  '302 Location: http://169.254.169.254/latest/meta-data': () => answer('', ['Location: http://169.254.169.254/latest/meta-data'], '302 Found'),
  'accepts the request and does not answer': () => undefined,
}

/** Sentences that only repeat what the profile is. */
const profile: ReadonlySet<string> = new Set([
  'api.test strips the prefix /api; the rules apply to the rewritten path',
  'the rule for /lan/** needs source_ip in 10.0.0.0/8; the peer is 127.0.0.1',
  'console and MCP listener bound to 127.0.0.1',
  'the rule allows GET /search only when query.role is user',
  'profile: query allow, mutation needs approval, unknown persisted hash deny',
  'a fallback service is configured',
])

/** What was on record when an upstream got its first request. */
const recordedBefore = new WeakMap<World, readonly Recorded[]>()
export const recordedBeforeFirst = (world: World): readonly Recorded[] => recordedBefore.get(world) ?? []

const slowly = (world: World): Behaviour => async () => {
  if (!recordedBefore.has(world)) recordedBefore.set(world, [...world.events()])
  await pause(5_000)
  return answer('ok')
}

export const setBehaviour = (world: World, given: unknown): void => {
  world.stubs.get('app')?.behave(webSocket)
  world.stubs.get('mcp')?.behave(() => answer('{"jsonrpc":"2.0","id":1,"result":{}}', ['Content-Type: application/json']))
  if (given === undefined) return
  if (typeof given === 'string') return void (profile.has(given) || pending(`no stub behaves like this yet: ${given}`))
  if (!isTree(given)) return pending('that upstream')
  for (const [stub, behaviour] of Object.entries(given)) {
    if (stub === 'dns_log' || stub === 'connect_log' || stub === 'error_pages') continue
    if (stub === 'pool_size') continue // written into the profile before the replica starts
    const text = String(behaviour)
    if (text.startsWith('answers /ws/chat with 200')) {
      let runs = 0
      world.stubs.get(stub)?.behave(() => (runs++ === 0 ? answer('no', ['Connection: keep-alive']) : answer('no', ['Connection: keep-alive'], '426 Upgrade Required')))
    } else if (text.startsWith('answers whoami')) {
      world.stubs.get(stub)?.behave(async (seen) => {
        await pause(Math.random() * 20)
        const user = seen.headers.find(([name]) => name.toLowerCase() === 'x-countersign-user')?.[1]
        return answer(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { user } }), ['Content-Type: application/json'])
      })
    } else if (text.startsWith('HTTP/1.1 ')) world.stubs.get(stub)?.behave(() => text)
    else if (text === 'answers 200 after 5 s') world.stubs.get(stub)?.behave(slowly(world))
    else if (Object.hasOwn(behaviours, text)) world.stubs.get(stub)?.behave(behaviours[text] as Behaviour)
    else pending(`no stub behaves like this yet: ${text}`)
  }
}
