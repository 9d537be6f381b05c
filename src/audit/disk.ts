import { closeSync, fdatasync, fstatSync, fsyncSync, mkdirSync, openSync, renameSync, statfsSync, truncateSync, writeSync } from 'node:fs'

/**
 * Everything by which the journal changes the disk, so that tests can let each step fail.
 * Every method throws (or hands `done` an error) as the system call would. `write` answers how many bytes were taken.
 */
export interface Disk {
  makeDirectory(path: string): void
  /** `ax` creates a file that must not exist yet; `a` continues one; `w` replaces one; `r` opens a directory or file to sync it. */
  open(path: string, flags: 'ax' | 'a' | 'w' | 'r'): number
  write(fd: number, bytes: Uint8Array, length: number): number
  /** `fdatasync` off the main thread. */
  sync(fd: number, done: (error: Error | null) => void): void
  /** `fsync`, waiting: for directories and for files that are about to be closed. */
  syncNow(fd: number): void
  truncate(path: string, size: number): void
  rename(from: string, to: string): void
  close(fd: number): void
  /** Links is 0 when somebody deleted the open file. */
  stat(fd: number): { readonly size: number; readonly links: number }
  /** Bytes that we could still write, and those that are taken. */
  space(directory: string): { readonly free: number; readonly used: number }
}

export const realDisk: Disk = {
  makeDirectory: (path) => void mkdirSync(path, { recursive: true, mode: 0o700 }),
  open: (path, flags) => openSync(path, flags, 0o600),
  write: (fd, bytes, length) => writeSync(fd, bytes, 0, length),
  sync: fdatasync,
  syncNow: fsyncSync,
  truncate: truncateSync,
  rename: renameSync,
  close: closeSync,
  stat: (fd) => {
    const { size, nlink } = fstatSync(fd)
    return { size, links: nlink }
  },
  space: (directory) => {
    const { bavail, bfree, blocks, bsize } = statfsSync(directory)
    return { free: bavail * bsize, used: (blocks - bfree) * bsize }
  },
}

/** Makes created and renamed entries of the directory survive a power cut. */
export const syncDirectory = (disk: Disk, directory: string): void => {
  const fd = disk.open(directory, 'r')
  try {
    disk.syncNow(fd)
  } finally {
    disk.close(fd)
  }
}

/** Replaces a small file: readers see the old or the new content, whole, whenever the machine stops. */
export const replaceFile = (disk: Disk, directory: string, name: string, content: string | Buffer): void => {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  const temporary = `${directory}/.${name}.new`
  const fd = disk.open(temporary, 'w')
  try {
    if (disk.write(fd, bytes, bytes.length) !== bytes.length) throw new Error(`${temporary}: written in part`)
    disk.syncNow(fd)
  } finally {
    disk.close(fd)
  }
  disk.rename(temporary, `${directory}/${name}`)
  syncDirectory(disk, directory)
}
