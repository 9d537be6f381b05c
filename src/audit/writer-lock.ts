import { randomUUID } from 'node:crypto'
import { closeSync, linkSync, openSync, readFileSync, readlinkSync, renameSync, rmSync, statSync, utimesSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Who writes into a directory: enough to tell, on the same machine, whether that very process still lives. */
interface Owner {
  readonly token: string
  readonly pid: number
  /** Changes with every start of the machine. */
  readonly boot: string
  /** When the process began, in ticks of the machine: process ids come back, this pair does not. */
  readonly started: string
  /** The namespace in which the process id means something: each container has its own. */
  readonly namespace: string
}

export interface WriterLock extends Disposable {
  /** The owner before us did not let go: it was killed, or the machine stopped. */
  readonly found: 'nothing' | 'same-boot' | 'other-boot'
}

/** Another process writes there. */
export class DirectoryTaken extends Error {
  override readonly name = 'DirectoryTaken'
}

const beatMs = 2_000
const leaseMs = 10_000

/**
 * One writer a directory. A lock left behind by a process that is certainly dead is taken over at once. Where death cannot be seen
 * (another container, another machine) it is taken over once its file has not been touched for ten seconds.
 * Throws `DirectoryTaken` when a living writer holds it. `lost` is called if somebody else took it from us.
 */
export const lockWriter = async (path: string, lost: (cause: Error) => void): Promise<WriterLock> => {
  const own: Owner = { token: randomUUID(), pid: process.pid, boot: bootId(), started: startOf(process.pid) ?? '', namespace: namespaceOf() }
  let found: WriterLock['found'] = 'nothing'
  for (let wait = 0; !create(path, own); ) {
    const owner = readOwner(path)
    if (owner === 'gone') continue
    const state = owner === 'unreadable' ? 'unknown' : stateOf(owner, own)
    if (state === 'alive') throw new DirectoryTaken(`${path}: process ${owner !== 'unreadable' ? owner.pid : '?'} writes here already; one replica name and directory is for one process`)
    if (state === 'unknown' && ageOf(path) < leaseMs) {
      if ((wait += 500) > leaseMs + beatMs) throw new DirectoryTaken(`${path}: a process in another container or machine writes here already`)
      await sleep(500)
      continue
    }
    found = owner !== 'unreadable' && owner.boot === own.boot ? 'same-boot' : 'other-boot'
    setAside(path, own.token, owner)
  }
  const ours = (): boolean => {
    const owner = readOwner(path)
    return typeof owner === 'object' && owner.token === own.token
  }
  const beat = setInterval(() => {
    try {
      if (!ours()) throw new Error(`${path} was taken by another process`)
      const now = new Date()
      utimesSync(path, now, now)
    } catch (cause) {
      clearInterval(beat)
      lost(cause as Error)
    }
  }, beatMs).unref()
  return {
    found,
    [Symbol.dispose]: () => {
      clearInterval(beat)
      if (ours()) rmSync(path, { force: true })
    },
  }
}

/**
 * Takes the judged lock out of the way. Renaming is one step: of several who judged the same dead owner one gets its file,
 * and who got the file of somebody else, who was faster, puts it back.
 */
const setAside = (path: string, token: string, judged: Owner | 'unreadable'): void => {
  const aside = `${path}.${token}`
  try {
    renameSync(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  const got = readOwner(aside)
  const same = typeof got === 'object' ? typeof judged === 'object' && got.token === judged.token : judged === 'unreadable'
  if (!same) optional(() => linkSync(aside, path))
  rmSync(aside, { force: true })
}

const create = (path: string, owner: Owner): boolean => {
  let fd: number
  try {
    fd = openSync(path, 'wx', 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
  try {
    writeSync(fd, JSON.stringify(owner))
  } finally {
    closeSync(fd)
  }
  return true
}

const readOwner = (path: string): Owner | 'gone' | 'unreadable' => {
  try {
    const owner = JSON.parse(readFileSync(path, 'utf8')) as Partial<Owner> | null
    return owner !== null && typeof owner.token === 'string' && Number.isInteger(owner.pid) ? (owner as Owner) : 'unreadable'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'gone' : 'unreadable'
  }
}

const stateOf = (owner: Owner, own: Owner): 'alive' | 'dead' | 'unknown' => {
  if (owner.boot !== own.boot || owner.namespace !== own.namespace) return 'unknown'
  const started = startOf(owner.pid)
  if (own.started !== '') return started !== undefined && started === owner.started ? 'alive' : 'dead'
  return isAlive(owner.pid) ? 'alive' : 'dead'
}

const ageOf = (path: string): number => {
  try {
    return Date.now() - statSync(path).mtimeMs
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

const bootId = (): string => optional(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()) ?? ''
const namespaceOf = (): string => optional(() => readlinkSync('/proc/self/ns/pid')) ?? ''

/** Field 22 of /proc/pid/stat. The second field is the program's name in parentheses and may contain anything, so counting begins behind the last one. */
const startOf = (pid: number): string | undefined =>
  optional(() => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  })

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

const optional = <T>(read: () => T): T | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}
