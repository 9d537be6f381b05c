import type { Config } from '../config/config.ts'
import { Failure } from './io.ts'

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use by another program',
  EACCES: 'may not be opened by this user',
  EADDRNOTAVAIL: 'is no address of this machine',
}

/** What to say when a listener of the configuration could not be opened: which one, and why. Any other error is given back as it is. */
export const addressFailure = (error: unknown, { effective: { listeners } }: Pick<Config, 'effective'>): unknown => {
  if (!(error instanceof Error)) return error
  const { code = '', syscall, address, port } = error as NodeJS.ErrnoException & { readonly address?: string; readonly port?: number }
  const reason = reasons[code]
  if (reason === undefined || (syscall !== 'listen' && syscall !== 'bind') || port === undefined) return error
  const where = `${address?.includes(':') ? `[${address}]` : (address ?? '')}:${port}`
  const all = Object.entries(listeners).flatMap(([name, listener]) => (listener !== undefined && 'address' in listener && listener.address.endsWith(`:${port}`) ? [[name, listener.address] as const] : []))
  const [name] = all.find(([, given]) => given === where) ?? all[0] ?? []
  return new Failure(`${name === undefined ? '' : `listeners.${name}.address: `}${where} ${reason}`)
}
