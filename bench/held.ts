import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { freePort } from '../test/support/ports.ts'
import { until } from '../test/support/until.ts'
import { Processes, row, usage, wrk, type PartOptions, type Row } from './frame.ts'
import { upstreamCommand } from './servers/nginx.ts'
import { replicaCommand, type Issuer } from './servers/replica.ts'

const atOnce = 200

/** So many clients whose action waits; then somebody says yes to all of them, and each gets its answer. */
export const heldRows = async (options: PartOptions, issuer: Issuer): Promise<readonly Row[]> => {
  const many = options.quick ? 2_000 : 10_000
  options.log(`${many} held requests`)
  await using processes = new Processes()
  const [upstream, port, admin] = await Promise.all([freePort(), freePort(), freePort()])
  await processes.start('upstream', upstreamCommand(options.directory, upstream), upstream)
  const pid = await processes.start('Countersign', await replicaCommand(options.directory, { name: 'held', port, upstream, issuer, workers: 1, admin }), port)
  // Some seconds of ordinary load first: what the process takes for itself once is no part of each hold.
  for (let runs = 0; runs < 3; runs++) await wrk(options.directory, { url: `http://127.0.0.1:${port}/1k`, connections: 64, seconds: 1, headers: { authorization: `Bearer ${issuer.token}` } })
  const answered = await holdAndLeave(port, issuer.token, options.quick ? 400 : 2_000)
  const before = usage(pid).residentKb
  const waiting = await holdAll(port, issuer.token, many)
  using _ = { [Symbol.dispose]: () => waiting.forEach(({ socket }) => socket.destroy()) }

  await until(`${many} to wait`, async () => (await health(admin)).waiting === many, 120_000)
  const voter = spawn(process.execPath, ['bench/servers/voter.ts', join(options.directory, 'held', 'countersign.yaml')], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [said] = (await once(voter.stdout, 'data', { signal: AbortSignal.any([options.signal, AbortSignal.timeout(90_000)]) })) as [Buffer]
  if (said.toString().trim() !== `ready ${many + answered}`) throw new Error(`only ${said.toString().trim()} of ${many + answered} wait`)
  const held = usage(pid).residentKb

  // The replica stands still while the votes are given, so that what is measured is the release, and all of it at one moment.
  process.kill(pid, 'SIGSTOP')
  voter.stdin.write('go\n')
  await once(voter, 'exit', { signal: AbortSignal.any([options.signal, AbortSignal.timeout(60_000)]) })
  const [started, cpuBefore] = [performance.now(), usage(pid).cpuMicros]
  process.kill(pid, 'SIGCONT')
  await pauseSince(admin) // that it was stopped is no pause of its own
  const statuses = await Promise.all(waiting.map(({ answer }) => answer))
  const seconds = (performance.now() - started) / 1000
  const micros = (usage(pid).cpuMicros - cpuBefore) / many
  const pause = await pauseSince(admin)
  const wrong = statuses.filter((status) => status !== 200).length
  if (wrong > 0) throw new Error(`${wrong} of ${many} held requests did not end with 200, the first with ${statuses.find((status) => status !== 200)}`)
  return [
    row('http', `memory a held request, ${many} waiting`, (held - before) / many, 'KB', '', '<= 25', `${Math.round(before / 1024)} MB before, ${Math.round(held / 1024)} MB with all waiting`),
    row('http', `${many} held requests released`, seconds, 's', '', `<= ${many / 5_000}`, `processor ${Math.round(micros)} µs each; all approved at one moment; each looked up, checked and decided again, spent, recorded with a sync, forwarded and answered`),
    row('http', 'longest pause of the event loop meanwhile', pause, 'ms', '', '<= 100'),
  ]
}

/** Opens holds and does not wait for them: the store, its thread and its code are there before the memory of those who wait is counted. */
const holdAndLeave = async (port: number, token: string, many: number): Promise<number> => {
  for (let at = 0; at < many; at += atOnce) {
    const answers = await Promise.all(Array.from({ length: atOnce }, (_, index) => fetch(`http://127.0.0.1:${port}/held`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', prefer: 'wait=0' }, body: JSON.stringify({ left: at + index }) })))
    for (const answer of answers) if ((await answer.text(), answer.status) !== 503) throw new Error(`a request that does not wait was answered with ${answer.status}`)
  }
  return many
}

interface Waiting {
  readonly socket: Socket
  readonly answer: Promise<number>
}

const holdAll = async (port: number, token: string, many: number): Promise<readonly Waiting[]> => {
  const waiting: Waiting[] = []
  for (let at = 0; at < many; at += atOnce) waiting.push(...(await Promise.all(Array.from({ length: atOnce }, (_, index) => hold(port, token, at + index)))))
  return waiting
}

const hold = (port: number, token: string, index: number): Promise<Waiting> =>
  new Promise((resolve, reject) => {
    const body = JSON.stringify({ n: index })
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(`POST /held HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
      resolve({ socket, answer })
    })
    const answer = new Promise<number>((done) => {
      socket.once('data', (chunk) => done(Number(chunk.toString('latin1', 9, 12))))
      socket.once('close', () => done(0))
    })
    socket.once('error', reject)
  })

interface Detail {
  readonly waiting: number
  readonly eventLoop: { readonly maxMs?: number }
}

const health = async (admin: number): Promise<Detail> => (await (await fetch(`http://127.0.0.1:${admin}/readyz`)).json()) as Detail

/** The longest pause since somebody asked last. */
const pauseSince = async (admin: number): Promise<number> => (await health(admin)).eventLoop.maxMs ?? 0
