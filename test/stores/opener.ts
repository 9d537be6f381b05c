/** Opens the embedded store at each path that it is told, at the moment that it is told, and says how that went. */
import { parentPort } from 'node:worker_threads'
import { openEmbeddedStore } from '../../src/stores/embedded/embedded-store.ts'

parentPort!.on('message', async ({ path, at }: { readonly path: string; readonly at: number }) => {
  while (Date.now() < at);
  try {
    await using store = openEmbeddedStore({ kind: 'embedded', path })
    await store.check()
    parentPort!.postMessage('opened')
  } catch (error) {
    parentPort!.postMessage(String(error))
  }
})
