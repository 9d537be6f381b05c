import { readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { BadReceipt, longestEnvelope, type ReceiptKey } from '../audit/receipts/envelope.ts'
import { checkReceipt, checkRecords, type Check } from '../audit/receipts/check.ts'
import { openManifest } from '../audit/receipts/manifest.ts'
import { casesIn, receiptOf, signReceipt } from '../audit/receipts/making.ts'
import { isShortReceipt, openShortReceipt } from '../audit/receipts/short-receipt.ts'
import { readReceipt, type Approver, type Receipt } from '../audit/receipts/statement.ts'
import { receiptSigners } from '../config/deployment-keys.ts'
import { terminalText } from '../lib/terminal-text.ts'
import { PasskeyProblem } from '../lib/webauthn.ts'
import { connect, serverOptions } from './api-client.ts'
import { caseIn, walsOf } from './audit-places.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { exit, Failure, readInput, type Io } from './io.ts'
import { counted, outputOption, toJson } from './rendering.ts'
import { manifestVerified } from './evidence/manifest-check.ts'
import { verifyVote } from './signed-votes.ts'
import { keyedConfig, keyOption, placeOptions, readText, receiptKeysOf } from './verification-places.ts'

/** Scripts tell by the exit code what is wrong, by the numbers of `audit verify` where it is the same. */
const codes: Readonly<Record<BadReceipt['kind'], number>> = { unreadable: 15, forged: 18, unsigned: 20, contradictory: 21 }
const otherRecords = 10

const showOptions = { ...serverOptions, directory: placeOptions.directory, config: placeOptions.config, output: outputOption('json', 'table') } as const satisfies Options

/** From a server, for who may see it; or from the files of this machine, for who may read those and the key. */
const show = async (args: readonly string[], io: Io): Promise<number> => {
  const { values, positionals } = parseOptions(args, showOptions, { min: 1, max: 1 })
  const name = positionals[0] ?? ''
  if (!/^[A-Za-z0-9_-]{1,150}$/.test(name)) throw new Failure('an action is called by its code, its hold or its try', exit.usage)
  const envelope = values.directory === undefined ? `${JSON.stringify(await (await connect(values, io)).get(`/api/receipts/${name}`))}\n` : await made(name, values.directory, values.config, io)
  io.stdout.write(values.output === 'table' ? receiptWords(readReceipt(Buffer.from((JSON.parse(envelope) as { payload: string }).payload, 'base64'))) : envelope)
  return exit.ok
}

const made = async (name: string, directory: string, configFile: string | undefined, io: Io): Promise<string> => {
  const config = await keyedConfig(configFile, io)
  const found = casesIn(caseIn(walsOf(directory, io), name)).at(-1)
  const receipt = found && receiptOf(found, config.deployment, Date.now())
  if (receipt === undefined) throw new Failure('nothing is recorded of such an action here')
  return signReceipt(receipt, receiptSigners(config).slice(0, 1))
}

const who = ({ issuer, subject }: { readonly issuer: string; readonly subject: string }): string => `${subject} at ${issuer}`

const row = (name: string, text: string): string => `${name.padEnd(12)}${terminalText(text)}\n`

const voteText = (vote: Approver): string =>
  `${vote.verdict === 'approve' ? 'yes' : 'no'} of ${who(vote)}, by ${vote.channel} (${vote.assurance}), ${vote.at}${vote.releasedAlone ? ', released alone' : ''}${vote.dropped ? ', did not count in the end' : ''}${vote.reason === undefined ? '' : `: ${vote.reason}`}`

const receiptWords = ({ digest, predicate: { deployment, case: named, action, decision, requester, approvers, times, effect, log } }: Receipt): string =>
  [
    row('Case', [named.code, named.hold, ...(named.hold === undefined ? named.attempts : [])].filter((one) => one !== undefined).join('  ')),
    row('Action', `${action.verb} on ${action.service}${action.tags.length === 0 ? '' : ` [${action.tags.join(', ')}]`}, ${digest}`),
    row('Decision', `${decision.result}${decision.refusal === undefined ? '' : ` (${decision.refusal})`}; policies ${decision.policyVersion}`),
    ...decision.rules.map(({ policy, rule, then }) => row('Rule', `${policy}/${rule}: ${then}`)),
    row('Asked by', `${who(requester)}${requester.onBehalfOf.map((one) => `, for ${who(one)}`).join('')}`),
    ...approvers.map((vote) => row('Vote', voteText(vote))),
    ...Object.entries(times).flatMap(([name, at]) => (at === undefined ? [] : [row(name.charAt(0).toUpperCase() + name.slice(1), at)])),
    row('Effect', `${effect.observed}${effect.status === undefined ? '' : `, ${effect.status}`}${effect.rows === undefined ? '' : `, ${counted(effect.rows, 'row')}`}; permitted ${effect.permitted}${effect.agrees ? '' : ': THEY DO NOT AGREE'}`),
    row('Log', `${log.length} records of ${[...new Set(log.map(({ origin }) => origin))].join(', ')} (${deployment})`),
  ].join('')

const verifyOptions = {
  ...keyOption,
  config: placeOptions.config,
  records: { type: 'string', value: 'FILE', help: 'lines of the log: the records that the receipt was made from must be these' },
  output: outputOption('table', 'json'),
} as const satisfies Options

const bytesOf = async (file: string, io: Io): Promise<Buffer> => {
  if (file === '-') return Buffer.from(await readInput(io))
  try {
    if (statSync(resolve(io.cwd, file)).size > longestEnvelope) throw new Failure(`${file} is longer than any receipt`, codes.unreadable)
    return readFileSync(resolve(io.cwd, file))
  } catch (error) {
    if (error instanceof Failure) throw error
    throw new Failure(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** What passkeys signed for the votes is checked once more, by the people's own keys. */
const passkeyChecks = ({ digest, predicate: { approvers, case: { hold = '' } } }: Receipt): readonly Check[] =>
  approvers.flatMap((vote): readonly Check[] => {
    if (vote.evidence === undefined) return vote.assurance === 'passkey' ? [{ name: 'passkey', result: 'note', text: `${vote.subject} signed with a passkey; what they signed is in the record of another replica` }] : []
    try {
      const { issuer, subject, verdict, reason, shown, grant, at, assurance } = vote
      verifyVote({ hold, by: { issuer, subject }, at: Date.parse(at), recorded: true, vote: { verdict, by: { issuer, subject }, assurance, digest, at, ...(reason === undefined ? {} : { reason }), ...(shown === undefined ? {} : { shown }), ...(grant === undefined ? {} : { grant }) } }, vote.evidence, [])
      return [{ name: 'passkey', result: 'ok', text: `${subject} signed this very yes with the passkey ${vote.evidence.passkey.slice(0, 16)}…` }]
    } catch (error) {
      if (!(error instanceof PasskeyProblem)) throw error
      return [{ name: 'passkey', result: 'wrong', text: `${vote.subject}: ${error.message}` }]
    }
  })

const verify = async (args: readonly string[], io: Io): Promise<number> => {
  const { values, positionals } = parseOptions(args, verifyOptions, { min: 1, max: 1 })
  const keys = await receiptKeysOf(values.key, values.config, io)
  const bytes = await bytesOf(positionals[0] ?? '', io)
  try {
    if (isShortReceipt(bytes.toString().trim())) return shortVerified(bytes.toString().trim(), keys, values.output === 'json', io)
    const manifest = openManifest(bytes, keys)
    if (manifest !== undefined) return manifestVerified(manifest.manifest, manifest.by, resolve(io.cwd, dirname(positionals[0] ?? '')), values.output === 'json', io)
    const { receipt, checks } = checkReceipt(bytes, keys)
    const lines = values.records === undefined ? undefined : readText(values.records, io).split('\n')
    const records: Check = lines === undefined ? { name: 'records', result: 'note', text: `it names ${receipt.predicate.log.length} records of the log, which were not given: --records FILE compares them, audit verify checks the log` } : checkRecords(receipt, lines)
    const all = [...checks, ...passkeyChecks(receipt), records]
    const bad = all.find(({ result }) => result === 'wrong')
    if (values.output === 'json') io.stdout.write(toJson({ verified: bad === undefined, checks: all, receipt }))
    else {
      for (const { name, result, text } of all) io.stdout.write(`${result === 'ok' ? 'ok      ' : result === 'note' ? 'note    ' : 'NOT OK  '}${name.padEnd(10)} ${terminalText(text)}\n`)
      if (bad === undefined) io.stdout.write(`\n${receiptWords(receipt)}`)
    }
    return bad === undefined ? exit.ok : bad.name === 'records' ? otherRecords : codes.contradictory
  } catch (error) {
    if (!(error instanceof BadReceipt)) throw error
    if (values.output === 'json') io.stdout.write(toJson({ verified: false, kind: error.kind, problem: error.message }))
    else io.stdout.write(`NOT OK  ${error.kind}: ${terminalText(error.message)}\n`)
    return codes[error.kind]
  }
}

const shortVerified = (token: string, keys: readonly ReceiptKey[], json: boolean, io: Io): number => {
  const { receipt, by } = openShortReceipt(token, keys)
  if (by.name !== '' && by.name !== `${receipt.iss}#receipts`) throw new BadReceipt('forged', `the key of ${by.name} does not speak for ${receipt.iss}`)
  if (json) io.stdout.write(toJson({ verified: true, receipt }))
  else {
    io.stdout.write(`ok      signature  ${terminalText(by.name === '' ? 'a key that was given' : by.name)} signed it\n`)
    io.stdout.write(`ok      ${receipt.decision}  ${receipt.sub}, ${receipt.approvers === 0 ? 'nobody was asked' : `${receipt.approvers} said yes`}, ${new Date(receipt.iat * 1_000).toISOString()}\n`)
    io.stdout.write(`note    the whole of it: countersign receipt show ${terminalText(receipt.attempt)}\n`)
  }
  return exit.ok
}

export const receiptCommands: readonly Command[] = [
  {
    path: ['receipt', 'show'],
    summary: 'Print the signed receipt of one action',
    usage: 'CODE|HOLD|ATTEMPT [--server URL] [--directory DIR --config FILE]',
    details: 'A server gives it to whoever asked for the action and to readers of the audit log. With --directory it is made from the journal of this machine, with the key of the configuration. Of several actions with one code it is the latest.',
    options: showOptions,
    examples: ['countersign receipt show CS-7F3K > CS-7F3K.receipt.json', 'countersign receipt show CS-7F3K -o table', 'countersign receipt show hold_9f2c --directory /var/lib/countersign/journal --config countersign.yaml'],
    run: show,
  },
  {
    path: ['receipt', 'verify'],
    summary: 'Check a receipt, without a server',
    usage: 'FILE|- --key KEY|FILE [--records FILE]',
    details:
      'FILE is a receipt of `receipt show`, the value of a Countersign-Receipt header, or the manifest of an evidence pack, whose files beside it are then compared. Keys come from whoever checks: those that `audit key` prints, or the key set of the console.\nExit codes: 0 it is what was signed, 10 records or files are not those that it was made of, 11 files are missing, 14 files were added, 15 unreadable, 18 forged, 20 signed by nobody known, 21 it contradicts itself.',
    options: verifyOptions,
    examples: ['countersign receipt verify CS-7F3K.receipt.json --key auditor.keys', 'countersign audit show CS-7F3K -o json -d journal/ > records.ndjson && countersign receipt verify CS-7F3K.receipt.json --key auditor.keys --records records.ndjson'],
    run: verify,
  },
]
