import { resolve } from 'node:path'

/** Tests start many processes; each is there in half the time when it need not compile what the one before compiled. */
export const compiled = resolve(import.meta.dirname, '..', '..', 'node_modules', '.cache', 'countersign-tests')
