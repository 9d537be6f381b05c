import diagnostics from 'node:diagnostics_channel'
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import type { Socket } from 'node:net'

/* What this process looks up and connects to, and names that lead where a test says. */

export interface Attempt {
  readonly at: number
  readonly kind: 'connect' | 'lookup'
  readonly to: string
}

const attempts: Attempt[] = []
const names = new Map<string, string>()
const problems = new Map<string, string>()

const note = (kind: Attempt['kind'], to: string): void => {
  attempts.push({ at: performance.now(), kind, to })
  if (attempts.length > 200_000) attempts.splice(0, 100_000)
}

let watching = false

/** From now on; once is enough for a process. */
export const watchConnections = (): void => {
  if (watching) return
  watching = true
  diagnostics.channel('net.client.socket').subscribe((message) => {
    const { socket } = message as { socket: Socket }
    socket.on('connectionAttempt', (address: string, port: number) => note('connect', `${address}:${port}`))
  })
  const system = dns.lookup
  const ours = (hostname: string, options: unknown, callback: unknown): void => {
    note('lookup', hostname)
    const address = names.get(hostname)
    const found = typeof options === 'function' ? options : callback
    const problem = problems.get(hostname)
    if (problem !== undefined) return queueMicrotask(() => (found as (error: Error) => void)(new Error(problem)))
    if (address === undefined) return (system as (...all: unknown[]) => void)(hostname, options, callback)
    const all = typeof options === 'object' && options !== null && (options as { all?: boolean }).all === true
    const reply = found as (error: null, address: unknown, family?: number) => void
    queueMicrotask(() => (all ? reply(null, [{ address, family: 4 }]) : reply(null, address, 4)))
  }
  dns.lookup = ours as typeof dns.lookup
  syncBuiltinESMExports()
}

export const setName = (name: string, address: string): void => void names.set(name, address)

/** It cannot be looked up, and the error says this. */
export const failName = (name: string, message: string): void => void problems.set(name, message)

/** Looks and connections since a moment, other than to this machine by its address. */
export const outside = (since: number): readonly Attempt[] =>
  attempts.filter(({ at, kind, to }) => at >= since && !(kind === 'connect' ? /^(?:127\.|::1:|\/)/.test(to) : /^(?:127\.|localhost$)/.test(to)))
