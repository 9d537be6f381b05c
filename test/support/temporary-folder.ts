import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder that goes when it is disposed of, or with this process. */
export interface TemporaryFolder extends Disposable {
  readonly path: string
}

const living = new Set<string>()

const remove = (path: string): void => {
  living.delete(path)
  rmSync(path, { recursive: true, force: true, maxRetries: 5 })
}

process.once('exit', () => living.forEach(remove))

export const temporaryFolder = (name: string): TemporaryFolder => {
  const path = mkdtempSync(join(tmpdir(), `countersign-${name}-`))
  living.add(path)
  return { path, [Symbol.dispose]: () => remove(path) }
}

/** Ctrl-C is an end like any other: whoever waits for the end of the process is told. */
export const endOnSignals = (): void => {
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
}
