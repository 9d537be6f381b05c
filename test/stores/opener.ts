/** A process of its own: opens the embedded store at each path that it is told, at the moment that it is told, and says how that went. */
import { openEmbeddedStore } from '../../src/stores/embedded/embedded-store.ts'

process.on('message', async ({ path, at }: { readonly path: string; readonly at: number }) => {
  while (Date.now() < at);
  try {
    await using store = openEmbeddedStore({ kind: 'embedded', path })
    await store.check()
    process.send?.('opened')
  } catch (error) {
    process.send?.(String(error))
  }
})
process.send?.('ready')
