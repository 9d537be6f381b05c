import { resolve } from 'node:path'
import { loadConfig } from '../config/load.ts'
import type { IdentityOptions } from '../identity/options.ts'
import { makeIdentity, type Explanation, type IdentityParts } from '../identity/make-identity.ts'
import { formatProblem } from '../lib/problem.ts'
import { terminalText } from '../lib/terminal-text.ts'
import type { Caller, Principal } from '../model/caller.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { exit, Failure, readInput, type Io } from './io.ts'
import { configFileOf } from './serve.ts'

type Write = (text: string) => unknown

interface Asked extends Pick<IdentityParts, 'fetch' | 'now'> {
  readonly audience?: string
}

/** Every step of the real verification, as it went, and never the token. Resolves to whether it would be accepted. */
export const testToken = async (options: IdentityOptions, token: string, write: Write, asked: Asked = {}): Promise<boolean> => {
  const { accepted, steps, caller } = await explain(options, token, asked)
  for (const { step, ok, found, expected } of steps) write(`${ok ? '✓' : '✗'} ${step.padEnd(12)} ${terminalText(found)}\n${ok ? '' : `  ${'expected'.padEnd(12)} ${terminalText(expected)}\n`}`)
  write(accepted && caller ? `accepted as ${caller.kind} ${terminalText(caller.subject)} of ${terminalText(caller.issuer)}\n` : 'not accepted\n')
  return accepted
}

/** Who policies would see behind this token. */
export const whoIs = async (options: IdentityOptions, token: string, write: Write, asked: Asked = {}): Promise<boolean> => {
  const { caller, steps } = await explain(options, token, asked)
  if (caller === undefined) write(`nobody: the token fails at ${steps.at(-1)?.step}; identity test-token says why\n`)
  else write(describe(caller))
  return caller !== undefined
}

const explain = async (options: IdentityOptions, token: string, { audience, ...parts }: Asked): Promise<Explanation> => {
  await using identity = makeIdentity(options, { ...parts, events: () => {} })
  return await identity.verifyExplained(token, audience) // before identity ends
}

const describe = (caller: Caller): string =>
  [
    ...lines('', caller),
    ...Object.entries(caller.claims).map(([name, value]) => `claim ${name}: ${JSON.stringify(value)}`),
    `logged in: ${new Date(caller.authenticatedAt).toISOString()}`,
    `until: ${new Date(caller.expiresAt).toISOString()}`,
    ...caller.onBehalfOf.flatMap((principal) => ['on behalf of', ...lines('  ', principal)]),
  ].map((line) => `${terminalText(line)}\n`).join('')

const lines = (indent: string, { kind, issuer, subject, groups, name, email, clientId, owner }: Principal): readonly string[] =>
  [
    `${kind}: ${subject}`,
    `issuer: ${issuer}`,
    `groups: ${groups === undefined ? 'unknown (allow rules do not match, hold and deny rules do)' : groups.join(', ') || 'none'}`,
    ...(name === undefined ? [] : [`name: ${name}`]),
    ...(email === undefined ? [] : [`e-mail: ${email}`]),
    ...(clientId === undefined ? [] : [`client: ${clientId}`]),
    ...(owner === undefined ? [] : [`owner: ${owner.subject} of ${owner.issuer}`]),
  ].map((line) => indent + line)

const options = {
  config: { type: 'string', short: 'c', value: 'FILE', help: 'the configuration (COUNTERSIGN_CONFIG, or countersign.yaml here)' },
  audience: { type: 'string', value: 'AUDIENCE', help: 'as a service that asks for this audience of its own' },
} as const satisfies Options

/** The token comes on standard input, where no shell history and no list of processes shows it. */
const run = (look: typeof testToken) => async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, options)
  const identity = await readIdentity(configFileOf(values.config, io), io)
  const token = (await readInput(io)).trim().replace(/^bearer +/i, '')
  if (token === '') throw new Failure('no token on standard input', exit.usage)
  const { audience } = values
  return (await look(identity, token, (text) => io.stdout.write(text), audience === undefined ? {} : { audience })) ? exit.ok : exit.authentication
}

const readIdentity = async (file: string, io: Io): Promise<IdentityOptions> => {
  const { config, problems } = await loadConfig(resolve(io.cwd, file), io.env)
  if (config === undefined) throw new Failure((problems ?? []).map(formatProblem).join('\n'), exit.invalid)
  return config.identity
}

export const identityCommands: readonly Command[] = [
  {
    path: ['identity', 'test-token'],
    summary: 'Explain, step by step, why a token is accepted or not',
    usage: '[-c FILE] [--audience AUDIENCE] < TOKEN',
    details: 'Runs the very verification of the proxy, keys and introspection included, and prints what it found at every step. The token itself is never printed.',
    options,
    examples: ['countersign identity test-token < token.txt', 'pbpaste | countersign identity test-token -c countersign.yaml'],
    run: run(testToken),
  },
  {
    path: ['identity', 'whoami'],
    summary: 'Show who policies see behind a token',
    usage: '[-c FILE] [--audience AUDIENCE] < TOKEN',
    options,
    examples: ['countersign identity whoami < token.txt'],
    run: run(whoIs),
  },
]
