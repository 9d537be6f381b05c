import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Observation } from './observation.ts'
import { fail, pending } from './outcome.ts'
import { put } from './translate.ts'
import { NotLoaded, startWorld } from './world.ts'

/* Where the secret of a route comes from, and how it gets lost. */

export const oldSecret = 'the-secret-of-the-route-before'

interface SecretSource {
  readonly credential: object
  readonly env: Readonly<Record<string, string>>
  write(folder: string): void
  spoil(folder: string, env: Record<string, string>): void
}

const fromFile = (spoil: (file: string) => void): SecretSource => ({
  credential: { 'bearer-file': 'route-secret' },
  env: {},
  write: (folder) => writeFileSync(join(folder, 'route-secret'), oldSecret),
  spoil: (folder) => spoil(join(folder, 'route-secret')),
})

const sources: Readonly<Record<string, SecretSource>> = {
  "file of the route's client secret is missing": fromFile((file) => rmSync(file)),
  'file is empty': fromFile((file) => writeFileSync(file, '')),
  'environment variable unset, reference stays as the text ${NAME}': { credential: { bearer: '${env:CASES_ROUTE}' }, env: { CASES_ROUTE: oldSecret }, write: () => {}, spoil: (_folder, env) => void delete env['CASES_ROUTE'] },
  // Secrets come from the environment and from files. A pipe that nobody writes to is a source that never answers.
  'secret manager times out at reload': fromFile((file) => {
    rmSync(file)
    execFileSync('mkfifo', [file])
  }),
}

export const secretSource = (kind: string): SecretSource => (Object.hasOwn(sources, kind) ? (sources[kind] as SecretSource) : pending(`no secret gets lost like this here: ${kind}`))

/** Lost before a start, and lost before a reload of a replica that had it. */
export const loseSecret = async (seen: Observation, kind: string): Promise<void> => {
  const source = secretSource(kind)
  const env: Record<string, string> = { ...source.env }
  await startWorld({
    change: (profile) => put(profile.config, ['services', 'app', 'credential'], source.credential),
    files(folder) {
      source.write(folder)
      source.spoil(folder, env)
    },
    env: () => env,
  }).then(
    async (started) => {
      await started[Symbol.asyncDispose]()
      fail('at start: it started without the secret of a route')
    },
    (error: unknown) => {
      if (!(error instanceof NotLoaded)) throw error
    },
  )
  const results = await seen.world.reload(() => {}, (folder) => source.spoil(folder, seen.world.env))
  seen.load = { ok: results.every(({ applied }) => applied), problems: results.flatMap(({ problems }) => problems) }
  if (seen.load.ok) fail('at reload: it was taken over without the secret of a route')
}
