import { registerHooks } from 'node:module'

/*
 * Loaded before the program (`node --import`) by crash tests only: the same program, wired by the same main.ts, but each port that an
 * action passes on its way is wrapped (stopping-ports.ts), so that the process can die before, in, or after any one call.
 * The program itself knows nothing of all this.
 */
const src = new URL('../../src/', import.meta.url).href
const instead = new URL('./stopping-ports.ts', import.meta.url).href
const wrapped = new Set(['audit/file-journal.ts', 'approval/hold-life.ts', 'credentials/static-vault.ts', 'stores/embedded/embedded-store.ts', 'stores/redis/redis-store.ts', 'protocols/http/upstream.ts'].map((file) => `${src}${file}`))
const users = new Set(['main.ts', 'replica/stores.ts', 'protocols/http/routes.ts'].map((file) => `${src}${file}`))

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context)
    return wrapped.has(found.url) && users.has(context.parentURL ?? '') ? { ...found, url: instead } : found
  },
})
