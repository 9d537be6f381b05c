import { openEmbeddedStore } from '../../src/stores/embedded/embedded-store.ts'

/** A process of its own: opens holds one after another and says which ones it was told are written; or races for one. */
const [mode, path, name] = process.argv.slice(2) as [string, string, string]
const store = openEmbeddedStore({ kind: 'embedded', path })
const limits = { perCaller: 1e9, perService: 1e9 }

if (mode === 'write') {
  for (let i = 0; ; i++) {
    await Promise.all(Array.from({ length: 8 }, async (_, lane) => {
      const id = `${name}-${i}-${lane}`
      await store.open({ id, revision: 1, state: 'pending', openKey: id, callerKey: 'c', service: 's', sealed: 'x'.repeat(500), asked: 'y' }, limits)
      process.stdout.write(`${id}\n`)
    }))
  }
} else {
  process.stdout.write('ready\n')
  await new Promise((resolve) => process.stdin.once('data', resolve))
  const results = await Promise.all(Array.from({ length: 17 }, (_, i) => store.replace({ id: 'raced', revision: 2, state: 'running', callerKey: 'c', service: 's', sealed: `${name} ${i}` }, { revision: 1 })))
  process.stdout.write(`${results.filter((result) => result === 'replaced').length}\n`)
  process.stdin.destroy()
  await store[Symbol.asyncDispose]()
}
