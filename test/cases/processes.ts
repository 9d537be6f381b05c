import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startProcess, type Replica as Process } from '../scenarios/process.ts'
import { pending } from './outcome.ts'
import { jwkOf, published } from './principals.ts'
import type { Profile } from './profile.ts'
import type { Running } from './world.ts'

/* Replicas as processes of their own, for cases that end one: by kill or by a polite signal. Their clocks are the machine's. */

export interface Processes extends AsyncDisposable {
  /** Issuers whose keys another process can read: their addresses lead nowhere outside this one. */
  adapt(profile: Profile): void
  pid(name: string): number
  start(name: string, file: string, env: Readonly<Record<string, string>>): Promise<Running>
  end(name: string, signal: NodeJS.Signals): Promise<unknown>
  /** Without waiting for its end. */
  signal(name: string, signal: NodeJS.Signals): void
}

const portOf = (address: string): number => Number(address.slice(address.lastIndexOf(':') + 1))

const elsewhere = (what: string) => (): never => pending(`${what} of a replica in a process of its own`)

export const startProcesses = (folder: string): Processes => {
  const running = new Map<string, Process>()
  const known = (name: string): Process => running.get(name) ?? pending(`no replica is called ${name}`)
  return {
    adapt({ config }) {
      for (const [name, issuer] of Object.entries(config['issuers'] as Record<string, { keys?: object }>)) {
        const file = join(folder, `${name}.jwks.json`)
        writeFileSync(file, JSON.stringify({ keys: (published[name] ?? []).map((kid) => jwkOf(name, kid)) }))
        issuer.keys = { 'jwks-file': file }
      }
    },
    async start(name, file, env) {
      const started = await startProcess(name, file, { env })
      running.set(name, started)
      const ports = { http: portOf(started.http), console: portOf(started.console), admin: portOf(started.admin), ...(started.postgres === undefined ? {} : { postgres: portOf(started.postgres) }) }
      const parts = { get replica() { return elsewhere('the inside')() }, get reload() { return elsewhere('a reload')() }, get config() { return elsewhere('the configuration')() }, get store() { return elsewhere('the store')() } }
      return Object.defineProperties({ name, ports }, Object.getOwnPropertyDescriptors(parts)) as unknown as Running
    },
    pid: (name) => known(name).process.pid ?? 0,
    end: (name, signal) => known(name).kill(signal),
    signal: (name, signal) => void known(name).process.kill(signal),
    async [Symbol.asyncDispose]() {
      for (const one of running.values()) await one[Symbol.asyncDispose]()
    },
  }
}
