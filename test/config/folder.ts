import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { loadConfig } from '../../src/config/load.ts'
import type { Config, Environment } from '../../src/config/config.ts'
import { formatProblem } from '../../src/lib/problem.ts'

export const policyText = `policy: orders
services: [orders-api]
rules:
  - name: read
    then: allow
    callers: { groups: [agents] }
    actions: [http.GET]
    paths: ["/v1/**"]
`

/** The shortest configuration that serves anything, with room for more. */
export const configText = (more = '', service = ''): string => `issuers:
  corp: { issuer: https://login.example.com, audiences: [countersign] }
services:
  orders-api: { upstream: "http://127.0.0.1:9000"${service} }
policies: [./policies]
${more}`

export interface Folder extends Disposable {
  readonly path: string
  write(name: string, text: string): string
  /** Loads the text as countersign.yaml of this folder. */
  load(text: string, env?: Environment): ReturnType<typeof loadConfig>
  /** Each problem's first line, from the column of its place on; empty if it loads. */
  problems(text: string, env?: Environment): Promise<readonly string[]>
  config(text: string, env?: Environment): Promise<Config>
}

export const makeFolder = (): Folder => {
  const path = mkdtempSync(join(tmpdir(), 'countersign-config-'))
  const write = (name: string, text: string): string => {
    const full = join(path, name)
    mkdirSync(dirname(full), { recursive: true })
    writeFileSync(full, text)
    return full
  }
  write('policies/orders.yaml', policyText)
  const load: Folder['load'] = (text, env = {}) => loadConfig(write('countersign.yaml', text), env)
  return {
    path,
    write,
    load,
    problems: async (text, env) => ((await load(text, env)).problems ?? []).map((problem) => (formatProblem(problem).split('\n', 1)[0] ?? '').slice(problem.file.length + 1)),
    async config(text, env) {
      const { config, problems } = await load(text, env)
      if (config) return config
      throw new Error(problems.map(formatProblem).join('\n'))
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  }
}
