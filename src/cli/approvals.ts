import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { terminalText } from '../lib/terminal-text.ts'
import { PasskeyProblem } from '../lib/webauthn.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { exit, Failure, readInput, type Io } from './io.ts'
import { outputOption, quotedText, toJson } from './rendering.ts'
import { readVotes, verifyVote, type Found, type FoundVote, type Verified } from './signed-votes.ts'

const options = {
  console: { type: 'string', value: 'URL', help: 'the console that it must have been signed at' },
  deployment: { type: 'string', value: 'NAME', help: 'the deployment that it must have been signed for' },
  output: outputOption('table', 'json'),
} as const satisfies Options

type Judged = { readonly vote: FoundVote } & ({ readonly verified: Verified; readonly problem?: undefined } | { readonly problem: string })

const mostBytes = 256 * 1_024 * 1_024

const verify = async (args: readonly string[], io: Io): Promise<number> => {
  const { values, positionals } = parseOptions(args, options, { min: 1, max: 1 })
  const found = readVotes(await textOf(positionals[0] ?? '', io))
  const judged = found.votes.flatMap((vote) => judge(vote, found, values) ?? [])
  if (values.output === 'json') io.stdout.write(toJson(judged.map(dataOf)))
  else for (const one of judged) io.stdout.write(textFor(one))
  const unsigned = found.votes.filter(({ vote }) => vote.verdict === 'approve').length - judged.length
  if (unsigned > 0) io.stderr.write(`${unsigned} ${unsigned === 1 ? 'yes was' : 'yeses were'} given without a passkey: nothing was signed for ${unsigned === 1 ? 'it' : 'them'}.\n`)
  if (judged.length === 0) throw new Failure('there is no vote here that a passkey signed')
  return judged.every(({ problem }) => problem === undefined) ? exit.ok : exit.failure
}

const judge = (vote: FoundVote, { changes }: Found, expected: { readonly console?: string; readonly deployment?: string }): Judged | undefined => {
  const { evidence } = vote.vote
  if (evidence === undefined) return vote.vote.assurance === 'passkey' ? { vote, problem: 'it says that it was signed, and what was signed is not here' } : undefined
  try {
    const verified = verifyVote(vote, evidence, changes)
    for (const name of ['console', 'deployment'] as const) if (expected[name] !== undefined && expected[name] !== verified.yes[name]) return { vote, problem: `it was signed for another ${name}: ${verified.yes[name]}` }
    return { vote, verified }
  } catch (error) {
    if (error instanceof PasskeyProblem) return { vote, problem: error.message }
    throw error
  }
}

const textOf = async (file: string, io: Io): Promise<string> => {
  if (file === '-') return readInput(io)
  const path = resolve(io.cwd, file)
  try {
    if (statSync(path).size > mostBytes) throw new Failure(`${file} is longer than ${mostBytes / 1_048_576} MiB: give the part that matters`)
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Failure) throw error
    throw new Failure(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown'}`)
  }
}

const time = (at: number): string => (Number.isFinite(at) ? `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC` : 'at an unknown time')

const textFor = ({ vote, ...judged }: Judged): string => {
  const row = (name: string, text: string): string => `  ${name.padEnd(10)}${terminalText(text)}\n`
  const head = `${judged.problem === undefined ? 'YES' : 'NO '}  ${terminalText(`${vote.by.subject} on ${vote.hold}`)}, ${time(vote.at)}\n`
  if (judged.problem !== undefined) return `${head}${row('because', judged.problem)}`
  const { yes, reason, owner } = judged.verified
  const { reason: words = '', evidence } = vote.vote
  return [
    head,
    row('said', `approve, at ${yes.console} (${yes.deployment}), to be sent before ${time(yes.until)}`),
    row('voter', `${yes.voter.subject} at ${yes.voter.issuer}`),
    row('action', yes.action),
    ...(yes.shown === undefined ? [] : [row('shown', yes.shown)]),
    ...(yes.grant === undefined ? [] : [row('grant', JSON.stringify(yes.grant))]),
    ...(reason === 'none' ? [] : reason === 'signed' ? ['  reason\n', quotedText(words)] : [row('reason', `${yes.reason ?? ''}; the record does not keep its words whole`)]),
    row('passkey', `${evidence?.passkey ?? ''}${owner === undefined ? '; whose it is, this file does not say' : `, which they added as "${owner.name}", ${time(owner.at)}`}`),
  ].join('')
}

const dataOf = ({ vote: { hold, by, at, vote }, ...judged }: Judged): object => ({
  verified: judged.problem === undefined,
  hold,
  voter: { issuer: by.issuer, subject: by.subject },
  at: Number.isFinite(at) ? new Date(at).toISOString() : undefined,
  ...(judged.problem === undefined ? { signed: judged.verified.yes, reason: judged.verified.reason, passkey: { id: vote.evidence?.passkey, added: judged.verified.owner && { name: judged.verified.owner.name, at: new Date(judged.verified.owner.at).toISOString() } } } : { problem: judged.problem }),
})

export const approvalCommands: readonly Command[] = [
  {
    path: ['approvals', 'verify'],
    summary: 'Check what passkeys signed, from a file and without a server',
    usage: 'FILE|-',
    details: 'FILE is a hold (holds show -o json) or records of the journal (audit tail -o json, or its own files). Of records, those that tell of passkeys are used as well: then it is known who had added which.\nExit code 0: every vote that claims a passkey is what was signed, and there is at least one.',
    options,
    examples: ['countersign holds show CS-7F3K -o json > vote.json && countersign approvals verify vote.json --console https://approvals.example.org', 'countersign audit tail -n 99999 -o json -d /var/lib/countersign/journal > records.jsonl && countersign approvals verify records.jsonl'],
    run: verify,
  },
]
