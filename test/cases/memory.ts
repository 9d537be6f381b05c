import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

/** Frees what nobody holds any more, so that memory can be compared. */
export const collect = (): void => gc()
