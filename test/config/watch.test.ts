import assert from 'node:assert/strict'
import { renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { watchConfig } from '../../src/config/watch.ts'
import { until } from '../support/until.ts'
import { type Folder, makeFolder } from './folder.ts'

const watching = (folder: Folder, file: string, more: Partial<Parameters<typeof watchConfig>[0]> = {}) => {
  const ending = new AbortController()
  const causes: string[] = []
  watchConfig({ file: join(folder.path, file), onChange: (cause) => void causes.push(cause), signal: ending.signal, debounceMs: 20, ...more })
  const times = (cause: string): number => causes.filter((one) => one === cause).length
  return { times, seen: (cause: string, count: number) => until(`${cause} ${count}`, () => times(cause) >= count), [Symbol.dispose]: () => ending.abort() }
}

test('each swap of a mounted volume is seen, the third like the first', async () => {
  using folder = makeFolder()
  const swap = (version: number): void => {
    folder.write(`mount/..v${version}/countersign.yaml`, `deployment: v${version}\n`)
    symlinkSync(`..v${version}`, join(folder.path, 'mount', '..data_tmp'))
    renameSync(join(folder.path, 'mount', '..data_tmp'), join(folder.path, 'mount', '..data'))
    if (version > 0) rmSync(join(folder.path, 'mount', `..v${version - 1}`), { recursive: true })
  }
  swap(0)
  symlinkSync('..data/countersign.yaml', join(folder.path, 'mount', 'countersign.yaml'))
  using watch = watching(folder, 'mount/countersign.yaml')
  await watch.seen('start', 1)
  for (const version of [1, 2, 3]) {
    swap(version)
    await watch.seen('files', version)
  }
  assert.equal(watch.times('files'), 3)
})

test('files that are replaced, removed, come back, or come anew', async () => {
  using folder = makeFolder()
  folder.write('countersign.yaml', 'a')
  using watch = watching(folder, 'countersign.yaml', { files: () => [join(folder.path, 'policies'), join(folder.path, 'policies', 'orders.yaml'), join(folder.path, 'secrets', 'token')] })
  await watch.seen('start', 1)
  folder.write('draft', 'b')
  renameSync(join(folder.path, 'draft'), join(folder.path, 'countersign.yaml'))
  await watch.seen('files', 1)
  rmSync(join(folder.path, 'countersign.yaml'))
  await watch.seen('files', 2)
  folder.write('countersign.yaml', 'c')
  await watch.seen('files', 3)
  folder.write('policies/orders.yaml', 'd')
  await watch.seen('files', 4)
  folder.write('policies/new.yaml', 'e')
  await watch.seen('files', 5)
})

test('the same text written again is no change; a poll sees what no event tells', async () => {
  using folder = makeFolder()
  folder.write('countersign.yaml', 'a')
  // Its folder does not exist yet, so nothing can be watched there.
  using watch = watching(folder, 'countersign.yaml', { files: () => [join(folder.path, 'later', 'deep', 'token')], pollMs: 30 })
  await watch.seen('start', 1)
  folder.write('countersign.yaml', 'a')
  folder.write('later/deep/token', 'x')
  await watch.seen('files', 1)
  assert.equal(watch.times('files'), 1)
})

test('SIGHUP calls each time, and not after the end', async () => {
  using folder = makeFolder()
  folder.write('countersign.yaml', 'a')
  const before = process.listenerCount('SIGHUP')
  {
    using watch = watching(folder, 'countersign.yaml')
    process.kill(process.pid, 'SIGHUP')
    await watch.seen('signal', 1)
    process.kill(process.pid, 'SIGHUP')
    await watch.seen('signal', 2)
  }
  assert.equal(process.listenerCount('SIGHUP'), before)
})

test('a callback that fails is called again', async () => {
  using folder = makeFolder()
  folder.write('countersign.yaml', 'a')
  let calls = 0
  using watch = watching(folder, 'countersign.yaml', { onChange: () => { calls++; throw new Error('no') } })
  await until('the first call', () => calls === 1)
  folder.write('countersign.yaml', 'b')
  await until('the second call', () => calls === 2)
  assert.equal(watch.times('files'), 0)
})
