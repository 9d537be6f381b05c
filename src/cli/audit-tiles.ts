import { join, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { DamagedLog, SignedPartCheck, type SignedPart } from '../audit/signed-part.ts'
import { linesOf, listSegments, type RawLine } from '../audit/segment.ts'
import { tilesOf } from '../audit/tiles.ts'
import { terminalText } from '../lib/terminal-text.ts'
import { walsOf } from './audit-places.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { findingCodes, nothingSigned } from './finding-codes.ts'
import { exit, Failure, type Io } from './io.ts'
import { openTileFolder } from './tile-folder.ts'

const options = {
  directory: { type: 'string', short: 'd', value: 'DIR', help: 'where the journal lives; COUNTERSIGN_AUDIT_DIRECTORY' },
  out: { type: 'string', value: 'FOLDER', help: 'where the tiles go; what is there is checked and continued' },
  log: { type: 'string', value: 'REPLICA/EPOCH', multiple: true, help: 'this start of a replica and no other' },
} as const satisfies Options

interface Log {
  readonly name: string
  readonly lines: () => Generator<RawLine>
}

const logsIn = (wals: readonly string[]): readonly Log[] =>
  wals.flatMap((wal) =>
    [...Map.groupBy(listSegments(wal), ({ epoch }) => epoch)].map(([epoch, segments]) => ({
      name: `${wal.split('/').at(-2) ?? ''}/${epoch}`,
      *lines() {
        for (const { name } of segments) yield* linesOf(`${wal}/${name}`)
      },
    })),
  )

/** An origin becomes a folder: the log says it, so it must not lead elsewhere. */
const folderOf = (out: string, origin: string): string => {
  if (!origin.split('/').every((part) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/.test(part))) throw new DamagedLog('forged', `${origin} is no name of a log`)
  return join(out, origin)
}

/** Other things of the process have their turn after so many. */
const turn = 4_096

const signedPartOf = async ({ name, lines }: Log, out: string, io: Io): Promise<SignedPart | undefined> => {
  const check = new SignedPartCheck(name, (origin) => openTileFolder(folderOf(out, origin)).published())
  let taken = 0
  for (const line of lines()) {
    check.take(line)
    if (++taken % turn !== 0) continue
    await setImmediate()
    if (io.signal.aborted) return undefined
  }
  return check.end()
}

function* firstTexts(lines: Iterable<RawLine>, size: number): Generator<string> {
  let at = 0
  for (const { text } of lines) {
    if (at++ === size) return
    yield text
  }
}

/** How many files were written and how many were there; nothing where it was interrupted. The checkpoint comes last. */
const writeTiles = async ({ lines }: Log, { origin, size, note }: SignedPart, out: string, io: Io): Promise<{ readonly written: number; readonly there: number } | undefined> => {
  const folder = openTileFolder(folderOf(out, origin))
  let [written, there] = [0, 0]
  for (const tile of tilesOf(firstTexts(lines(), size))) {
    if (folder.put(tile)) written++
    else there++
    await setImmediate()
    if (io.signal.aborted) return undefined
  }
  folder.publish(note)
  return { written, there }
}

/** What is wrong with one log is said, and the others are made. */
const run = async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, options)
  if (values.out === undefined) throw new Failure('say where the tiles go: --out FOLDER', exit.usage)
  const out = resolve(io.cwd, values.out)
  const all = logsIn(walsOf(values.directory, io))
  for (const name of values.log ?? []) if (!all.some((log) => log.name === name)) throw new Failure(`no log of ${name} is here: a log is called REPLICA/EPOCH`)
  let code: number | undefined
  let made = 0
  for (const log of all.filter(({ name }) => values.log?.includes(name) ?? true)) {
    try {
      const signed = await signedPartOf(log, out, io)
      const counts = signed && (await writeTiles(log, signed, out, io))
      if (io.signal.aborted) return exit.interrupted
      if (signed === undefined || counts === undefined) {
        io.stdout.write(`empty   ${terminalText(log.name)}: nothing is signed yet\n`)
        continue
      }
      made++
      io.stdout.write(`ok      ${terminalText(signed.origin)}: ${signed.size} records; ${counts.written} files written, ${counts.there} were there\n`)
    } catch (error) {
      if (!(error instanceof DamagedLog)) throw error
      code ??= findingCodes[error.kind]
      io.stdout.write(`NOT OK  ${terminalText(log.name)}: ${error.kind}: ${terminalText(error.message)}\n`)
    }
  }
  return code ?? (made === 0 ? nothingSigned : exit.ok)
}

export const auditTilesCommand: Command = {
  path: ['audit', 'tiles'],
  summary: 'Write the signed part of each log as static files that anybody can check',
  usage: '--out FOLDER [--directory DIR] [--log REPLICA/EPOCH]',
  details:
    'A folder for each start of a replica, called like the origin of its checkpoints: the newest checkpoint, tiles of hashes and bundles of records, as C2SP tlog-tiles says. Any web server or bucket serves them. They are made from the log and may be deleted at any time; what is there already is compared and continued, and what would differ is not written over. Records behind the last signature are not in them.\nWhose signatures they are is for whoever reads them: `audit verify --key`.\nExit codes are those of `audit verify`: 0 all was written, 10 changed, 11 missing, 12 moved, 15 unreadable, 16 forked, 17 truncated, 18 forged, 20 nothing is signed. What is wrong with one log does not keep the others from being written.',
  options,
  examples: ['countersign audit tiles --directory /var/lib/countersign/journal --out /srv/tiles', 'countersign audit tiles --directory /var/lib/countersign/journal --out /srv/tiles --log proxy-0/12'],
  run,
}
