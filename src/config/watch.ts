import { hash } from 'node:crypto'
import { type FSWatcher, readdirSync, readFileSync, realpathSync, statSync, watch } from 'node:fs'
import { dirname, resolve } from 'node:path'

export interface WatchOptions {
  readonly file: string
  /** Every file and folder that the configuration was last read from; asked again after each change. */
  readonly files?: () => readonly string[]
  /** Called one at a time. `start`: once at the beginning, because something may have changed since it was read. */
  readonly onChange: (cause: 'start' | 'signal' | 'files') => unknown
  readonly signal: AbortSignal
  /** A writer is done when nothing has happened for so long. */
  readonly debounceMs?: number
  /** Belt and braces, for file systems that tell nothing. */
  readonly pollMs?: number
}

/** Somebody who writes all the time does not keep a change from being seen. */
const MOST_DEBOUNCES = 20
const MAX_BYTES = 4_194_304

/**
 * Calls back when what the configuration is made of has changed, and on SIGHUP, until the signal fires.
 * Folders are watched, not files: an editor replaces a file, and a mounted volume replaces the link `..data` that
 * the files are behind, and a watcher of the file itself would follow what was replaced.
 */
export const watchConfig = ({ file, files = () => [], onChange, signal, debounceMs = 250, pollMs = 30_000 }: WatchOptions): void => {
  if (signal.aborted) return
  const involved = (): readonly string[] => [...new Set([resolve(file), ...files()])]
  let watchers: readonly FSWatcher[] = []
  let seen = snapshot(involved())
  let timer: NodeJS.Timeout | undefined
  let postponed = 0
  let running: Promise<void> = Promise.resolve()

  const call = (cause: 'start' | 'signal' | 'files'): void => {
    running = running.then(async () => {
      if (signal.aborted) return
      try {
        await onChange(cause)
      } catch {
        // Whoever is called tells its own problems; the next change is seen all the same.
      }
      // Other files may be involved now, and they count as seen only as they were before this call.
      const wanted = involved()
      for (const path of wanted) if (!seen.has(path)) seen.set(path, fingerprint(path))
      for (const path of seen.keys()) if (!wanted.includes(path)) seen.delete(path)
      arm()
    })
  }
  const look = (): void => {
    timer = undefined
    postponed = 0
    if (signal.aborted) return
    const now = snapshot([...seen.keys()])
    const changed = [...now].some(([path, print]) => seen.get(path) !== print)
    seen = now
    if (changed) call('files')
  }
  const stir = (): void => {
    if (timer !== undefined && ++postponed > MOST_DEBOUNCES) return
    clearTimeout(timer)
    timer = setTimeout(look, debounceMs)
  }
  const arm = (): void => {
    if (signal.aborted) return
    const before = watchers
    watchers = foldersOf([...seen.keys()]).flatMap((folder) => open(folder, stir))
    for (const watcher of before) watcher.close()
  }
  const onSignal = (): void => call('signal')
  const poll = setInterval(() => {
    arm()
    look()
  }, pollMs)
  poll.unref()
  process.on('SIGHUP', onSignal)
  signal.addEventListener('abort', () => {
    process.off('SIGHUP', onSignal)
    clearInterval(poll)
    clearTimeout(timer)
    for (const watcher of watchers) watcher.close()
  })
  arm()
  call('start')
}

const open = (folder: string, stir: () => void): readonly FSWatcher[] => {
  try {
    const watcher = watch(folder, { persistent: false }, stir)
    watcher.on('error', () => watcher.close()) // the folder went away; the poll looks again
    return [watcher]
  } catch {
    return []
  }
}

/** Where changes of the paths show: their own folders, those that they are links into, and folders themselves. */
const foldersOf = (paths: readonly string[]): readonly string[] => {
  const folders = new Set<string>()
  for (const path of paths) {
    folders.add(dirname(path))
    try {
      const real = realpathSync(path)
      folders.add(dirname(real))
      if (statSync(real).isDirectory()) folders.add(path)
    } catch {
      // Not there now: its folder tells when it comes.
    }
  }
  return [...folders]
}

const snapshot = (paths: readonly string[]): Map<string, string> => new Map(paths.map((path) => [path, fingerprint(path)]))

/** What a path holds, not when it was written: a link that leads to the same text elsewhere has not changed anything. */
const fingerprint = (path: string): string => {
  try {
    const about = statSync(path)
    if (about.isDirectory()) return `folder ${readdirSync(path).filter((name) => !name.startsWith('.')).toSorted().join('\n')}`
    if (!about.isFile()) return 'other'
    return about.size > MAX_BYTES ? `${about.size} ${about.mtimeMs} ${about.ino}` : hash('sha256', readFileSync(path))
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unreadable'
  }
}
