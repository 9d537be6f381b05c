import { createHash } from 'node:crypto'
import { closeSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import type { ReceiptKey } from '../../audit/receipts/envelope.ts'
import type { Manifest } from '../../audit/receipts/manifest.ts'
import { terminalText } from '../../lib/terminal-text.ts'
import { exit, type Io } from '../io.ts'
import { toJson } from '../rendering.ts'

const changed = 10
const missing = 11
const inserted = 14

const hashOf = (path: string): string => {
  const hash = createHash('sha256')
  const chunk = Buffer.allocUnsafe(1 << 20)
  const fd = openSync(path, 'r')
  try {
    for (let read = 0; (read = readSync(fd, chunk, 0, chunk.length, null)) > 0; ) hash.update(chunk.subarray(0, read))
  } finally {
    closeSync(fd)
  }
  return hash.digest('hex')
}

/** Real files only: what a link leads to is not in the folder. */
const isFile = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isFile() === true

const filesIn = (folder: string, under = ''): readonly string[] =>
  readdirSync(join(folder, under), { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? filesIn(folder, `${under}${entry.name}/`) : [`${under}${entry.name}`]))

/** Whether the files beside a manifest are those that it was signed for, all of them and no others. */
export const manifestVerified = ({ files, predicate }: Manifest, by: readonly ReceiptKey[], folder: string, json: boolean, io: Io): number => {
  const gone = [...files.keys()].filter((name) => !isFile(join(folder, name)))
  const other = [...files].filter(([name, sha256]) => !gone.includes(name) && hashOf(join(folder, name)) !== sha256).map(([name]) => name)
  const more = filesIn(folder).filter((name) => !files.has(name) && name !== 'manifest.dsse.json')
  const good = gone.length + other.length + more.length === 0
  if (json) io.stdout.write(toJson({ verified: good, pack: predicate, missing: gone, changed: other, added: more }))
  else {
    io.stdout.write(`ok      signature  ${by.map(({ name }) => terminalText(name === '' ? 'a key that was given' : name)).join(', ')} signed the list of ${files.size} files\n`)
    for (const name of other) io.stdout.write(`NOT OK  changed    ${terminalText(name)} is not the file that was signed\n`)
    for (const name of gone) io.stdout.write(`NOT OK  missing    ${terminalText(name)} is not here\n`)
    for (const name of more) io.stdout.write(`NOT OK  added      ${terminalText(name)} is not one of the files that were signed\n`)
    if (good) io.stdout.write(`ok      files      all ${files.size} are here and unchanged, and there are no others\nEvidence of ${terminalText(predicate.deployment)} from ${predicate.from} to ${predicate.to}, made ${predicate.made} (${terminalText(predicate.recorded)}), seed ${terminalText(predicate.seed)}\n`)
  }
  return other.length > 0 ? changed : gone.length > 0 ? missing : more.length > 0 ? inserted : exit.ok
}
