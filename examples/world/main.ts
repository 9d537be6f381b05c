/**
 * `npm start`: a small world on this machine. A real OpenID provider, a sample orders API, and Countersign between the agents and the API,
 * started as anybody would start it: `countersign serve --config …`. Prints a tour of commands to paste.
 */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, relative, resolve } from 'node:path'
import { styleText } from 'node:util'
import { lockWriter } from '../../src/audit/writer-lock.ts'
import { startDatabase } from './database.ts'
import { startIdp } from './idp.ts'
import { agents, introduction, users } from './people.ts'
import { startSampleApi } from './sample-api.ts'
import { spawnTied } from './tied.ts'
import { byNode, byPsql, tourText } from './tour.ts'

const root = resolve(import.meta.dirname, '..', '..')
const place = resolve(process.env['WORLD'] ?? join(root, 'var', 'world'))
const shown = (path: string): string => relative(process.cwd(), path) || '.'
const say = (text = ''): void => void process.stdout.write(`${text}\n`)
/** The usual port if it is free, else any. */
const portNear = (usual: number): Promise<number> =>
  new Promise((found) => {
    const probe = createServer()
    probe.once('error', () => probe.listen(0, '127.0.0.1'))
    probe.once('listening', () => {
      const address = probe.address()
      probe.close(() => found(typeof address === 'object' && address ? address.port : usual))
    })
    probe.listen(usual, '127.0.0.1')
  })

mkdirSync(place, { recursive: true, mode: 0o700 })
chmodSync(place, 0o700)
const lock = await lockWriter(join(place, 'lock'), () => process.exit(1)).catch((error: Error) => {
  const other = /process \d+/.exec(error.message)?.[0]
  if (other === undefined) throw error
  say(`This folder has its world already (${other}). End that one first, or clone once more.`)
  process.exit(1)
})
await using ends = new AsyncDisposableStack()
ends.use(lock)
const [http, console_, admin, postgres] = [await portNear(8080), await portNear(8081), await portNear(9901), await portNear(6432)]
const starting = startDatabase(await portNear(5433)) // takes a second or two
console.warn = console.info = () => {} // the provider's notices that it is for development; the tour says so itself
await using idp = await startIdp({ port: await portNear(8082), users, agents, tokenSeconds: 3_600, consoleUrl: `http://127.0.0.1:${console_}` })
await using api = await startSampleApi({ port: await portNear(8083) })
const found = await starting
const database = 'problem' in found ? undefined : ends.use(found)

const values: Readonly<Record<string, string>> = {
  data: join(place, 'data'),
  http: `127.0.0.1:${http}`,
  console: `127.0.0.1:${console_}`,
  admin: `127.0.0.1:${admin}`,
  issuer: idp.issuer,
  upstream: api.url,
  postgres: `127.0.0.1:${postgres}`,
  database: `127.0.0.1:${database?.port ?? 0}`,
  policies: ['classification', 'agents-baseline', 'personal-data', 'production-changes', ...(database === undefined ? [] : ['crm-classification', 'customer-data'])].map((name) => JSON.stringify(join(root, 'policies', `${name}.yaml`))).join(', '),
}
const configFile = join(place, 'countersign.yaml')
const template = readFileSync(join(import.meta.dirname, 'countersign.yaml'), 'utf8')
const whole = database === undefined ? template.replaceAll(/^ *# database: begin.*\n[^]*?# database: end\n/gm, '') : template.replaceAll(/^ *# database: (?:begin.*|end)\n/gm, '')
writeFileSync(configFile, whole.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => values[name] ?? ''))

/** Ready-made identities, as files that only you can read. Renewed while the world runs. */
const writeTokens = async (): Promise<void> => {
  const tokens = { 'invoice-agent': await idp.agentToken('invoice-agent'), ...Object.fromEntries(await Promise.all(Object.keys(users).map(async (user) => [user, await idp.userToken(user)] as const))) }
  for (const [name, token] of Object.entries(tokens)) writeFileSync(join(place, `${name}.token`), token, { mode: 0o600 })
}
await writeTokens()
const renewal = setInterval(() => void writeTokens().catch((error: unknown) => say(`tokens could not be renewed: ${String(error)}`)), 30 * 60_000)

const env = { ...process.env, NODE_ENV: 'development', CONSOLE_CLIENT_SECRET: 'countersign-console-secret', COUNTERSIGN_LOG: process.env['COUNTERSIGN_LOG'] ?? 'warn', ...(database === undefined ? {} : { CRM_DB_PASSWORD: database.password }) }
const countersign = spawnTied(process.execPath, [join(root, 'src/cli/main.ts'), 'serve', '--config', configFile], { signal: 'SIGKILL', output: 'inherit', env })
const ended = once(countersign, 'exit') as Promise<[number | null]>

const ready = async (): Promise<boolean> => {
  for (const until = Date.now() + 60_000; Date.now() < until && countersign.exitCode === null; ) {
    const answer = await fetch(`http://127.0.0.1:${admin}/readyz`, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined)
    if (answer?.ok) return true
    await new Promise((resume) => setTimeout(resume, 100))
  }
  return false
}

/** Whose signatures count in the log, for whoever checks it. */
const auditKeys = join(place, 'audit.keys')
const writeAuditKeys = (): void => writeFileSync(auditKeys, spawnSync(process.execPath, [join(root, 'src/cli/main.ts'), 'audit', 'key', '--config', configFile], { env }).stdout)

const tour = (): void => {
  writeAuditKeys()
  const base = `http://127.0.0.1:${http}`
  say()
  say(styleText('bold', 'Countersign is running.'))
  say()
  say(`  proxy      ${base}   stands in front of the orders API (${api.url})`)
  if (database !== undefined) say(`  database   postgres://127.0.0.1:${postgres}/crm   stands in front of PostgreSQL ${database.major} with a few customers`)
  say(`  approvals  http://127.0.0.1:${console_}   in a browser, by CLI or API`)
  say(`  identity   ${idp.issuer}   ${introduction()}`)
  say(`  config     ${shown(configFile)}   policies: ${shown(join(root, 'policies'))}`)
  say()
  say(
    tourText({
      base,
      agentToken: `$(cat ${shown(join(place, 'invoice-agent.token'))})`,
      before: [],
      ...(database === undefined ? {} : { query: (spawnSync('psql', ['--version']).status === 0 ? byPsql : byNode)({ port: postgres, token: shown(join(place, 'invoice-agent.token')) }) }),
      console: `http://127.0.0.1:${console_}`,
      asBob: `--server http://127.0.0.1:${console_} --token-file ${shown(join(place, 'bob.token'))}`,
      afterwards: [
        'Alice cannot approve it: the agent is hers. Try alice.token to see.',
        `What happened: npx countersign audit tail --directory ${shown(join(place, 'data', 'journal'))}`,
        `Who asked for what, and who said yes: log in as carol, who is an auditor, at http://127.0.0.1:${console_}/audit`,
        `That nobody has changed it since: npx countersign audit verify --directory ${shown(join(place, 'data', 'journal'))} --key ${shown(auditKeys)}`,
        `What an auditor gets, with a report to open: npx countersign evidence --config ${shown(configFile)} --from 1d --framework soc2 --out ${shown(join(place, 'evidence'))}`,
        `The CLI logs in as well: npx countersign login --server http://127.0.0.1:${console_}`,
      ],
    }),
  )
  say()
  if ('problem' in found) {
    say(`The part about databases is left out: ${found.problem}.`)
    say()
  }
  say('Ctrl-C ends everything.')
}

const stop = (): void => void (countersign.exitCode === null && countersign.kill('SIGTERM'))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)

if (await ready()) tour()
else if (countersign.exitCode === null) {
  say('Countersign did not become ready within a minute.')
  stop()
}
const [code] = await ended
clearInterval(renewal)
process.exitCode = code ?? 1
