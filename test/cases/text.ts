import { brotliCompressSync, gzipSync } from 'node:zlib'
import { isTree } from './loader.ts'
import { pending } from './outcome.ts'
import { bearerOf, opaqueOf, userOf } from './principals.ts'
import { sessionCookie } from '../../src/protocols/http/codec/headers.ts'
import type { World } from './world.ts'

/* Placeholders and encoders of the cases. */

export interface TextWorld {
  readonly world: World
  /** Run number of a parallel step. */
  readonly number?: number
  hold(ref: string): { readonly id: string; readonly digest: string }
}

const placeholder = /\{\{([^{}]*)\}\}/g

export const expand = (text: string, { world, number, hold }: TextWorld): string =>
  text.replace(placeholder, (whole, inside: string) => {
    const [kind = '', ...rest] = inside.split(':')
    const argument = rest.join(':')
    const time = /^now([+-])(\d+)$/.exec(inside)
    if (time) return String(Math.floor(world.now() / 1_000) + (time[1] === '-' ? -1 : 1) * Number(time[2]))
    switch (kind) {
      case 'repeat': {
        const at = argument.lastIndexOf(':')
        return argument.slice(0, at).repeat(Number(argument.slice(at + 1)))
      }
      case 'bearer':
        return bearerOf(argument, world.directory, world.now())
      case 'state':
        return world.browsers?.state(argument) ?? pending('nobody logs in here')
      case 'cookie':
        if (world.browsers !== undefined) return world.browsers.cookie(argument)
        return `${sessionCookie}=${bearerOf(argument, world.directory, world.now())}`
      case 'user':
        return userOf(argument)
      case 'approval':
        return hold(argument).id
      case 'digest':
        return hold(argument.split('@')[0] ?? '').digest
      case 'i':
        return String(number ?? 0)
      case 'csrf':
        return world.browsers?.csrf(argument) ?? 'csrf'
      case 'token':
        return changedToken(argument)
      default:
        return pending(`no placeholder ${whole}`)
    }
  })

const changedToken = (argument: string): string => {
  const [name = '', change] = argument.split('|')
  const token = opaqueOf(name)
  if (change === undefined) return token
  if (change === 'drop-last') return token.slice(0, -1)
  if (change === 'first-half') return token.slice(0, token.length / 2)
  if (change === 'swap-case') return token.replace(/[a-zA-Z]/g, (letter) => (letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase()))
  return pending(`no change ${change} of a token`)
}

/** Text or an encoder over one. */
export const bytesOf = (body: unknown, world: TextWorld): Buffer => {
  if (typeof body === 'string') return Buffer.from(expand(body, world), 'latin1')
  if (!isTree(body)) return pending('that body')
  const [[encoder, inner] = ['', '']] = Object.entries(body)
  const bytes = bytesOf(inner, world)
  if (encoder === 'gzip') return gzipSync(bytes)
  if (encoder === 'br') return brotliCompressSync(bytes)
  if (encoder === 'utf16le') return Buffer.from(bytes.toString('latin1'), 'utf16le')
  if (encoder === 'chunked') {
    const half = Math.ceil(bytes.length / 2)
    const parts = [bytes.subarray(0, half), bytes.subarray(half)].filter((part) => part.length > 0)
    return Buffer.concat([...parts.flatMap((part) => [Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]), Buffer.from('0\r\n\r\n')])
  }
  return pending(`no encoder ${encoder}`)
}
