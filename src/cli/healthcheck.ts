import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parse } from 'yaml'
import { parseOptions, type Command, type Options } from './command.ts'
import { exit, Failure, type Io } from './io.ts'
import { toJson } from './rendering.ts'

const probes = { live: '/healthz', ready: '/readyz', started: '/startupz' } as const

const options = {
  url: { type: 'string', value: 'URL', help: 'the admin listener (COUNTERSIGN_ADMIN_URL, or http://127.0.0.1:9901)' },
  probe: { type: 'string', value: 'PROBE', help: 'what to ask', choices: Object.keys(probes) },
  config: { type: 'string', short: 'c', value: 'FILE', help: 'take the address of the admin listener from this configuration' },
} as const satisfies Options

/** Reads the one value only: a file that is being edited, or whose secrets are out of reach here, says nothing about a server that runs. */
const configuredUrl = async (file: string | undefined, io: Io): Promise<string | undefined> => {
  if (file === undefined) return undefined
  try {
    const value = parse(await readFile(resolve(io.cwd, file), 'utf8')) as { readonly listeners?: { readonly admin?: { readonly address?: unknown } } } | null
    const address = value?.listeners?.admin?.address
    return typeof address === 'string' ? `http://${address.replace(/^(?:0\.0\.0\.0|\[::\])?:/, '127.0.0.1:')}` : undefined
  } catch {
    return undefined
  }
}

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, options)
  const base = values.url ?? io.env['COUNTERSIGN_ADMIN_URL'] ?? (await configuredUrl(values.config, io)) ?? 'http://127.0.0.1:9901'
  if (!URL.canParse(base)) throw new Failure(`${base} is not an address`, exit.usage)
  const url = new URL(probes[(values.probe as keyof typeof probes | undefined) ?? 'ready'], base)
  try {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.any([io.signal, AbortSignal.timeout(3_000)]) })
    const body: unknown = await response.json()
    io.stdout.write(toJson(body))
    return response.ok ? exit.ok : exit.failure
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error)
    throw new Failure(`${url.href} does not answer: ${cause}`)
  }
}

export const healthcheckCommand: Command = {
  path: ['healthcheck'],
  summary: 'Ask a running server how it is; for containers without curl',
  usage: '[--probe live|ready|started] [--url URL]',
  options,
  examples: ['countersign healthcheck', 'countersign healthcheck --probe live --url http://127.0.0.1:9901'],
  run,
}
