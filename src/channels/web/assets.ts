import { hash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { Refusal } from '../../model/refusal.ts'
import type { Assets } from './pages/layout.ts'

interface Asset {
  readonly type: string
  readonly bytes: Buffer
}

/** What pages load beside themselves: read once at the start, named by what is in it, so that browsers keep it for good. */
export interface AssetFiles {
  readonly names: Assets
  send(response: ServerResponse, path: string): void
}

const types: Readonly<Record<string, string>> = { css: 'text/css; charset=utf-8', js: 'text/javascript; charset=utf-8', svg: 'image/svg+xml' }

export const loadAssets = (): AssetFiles => {
  const files = new Map<string, Asset>()
  const add = (name: string, extension: string, text: string): string => {
    const bytes = Buffer.from(text)
    const path = `/assets/${name}-${hash('sha256', bytes, 'hex').slice(0, 16)}.${extension}`
    files.set(path, { type: types[extension] ?? '', bytes })
    return path
  }
  const read = (...path: readonly string[]): string => readFileSync(join(import.meta.dirname, ...path), 'utf8')
  const names: Assets = { style: add('style', 'css', read('pages', 'style.css')), mark: add('mark', 'svg', read('pages', 'mark.svg')), scripts: [] }
  return {
    names: { ...names, scripts: islands(add, read) },
    send(response, path) {
      const asset = files.get(path)
      if (asset === undefined) throw new Refusal('not-found', 'There is nothing here.')
      response.writeHead(200, { 'content-type': asset.type, 'content-length': asset.bytes.length, 'cache-control': 'public, max-age=31536000, immutable' })
      response.end(asset.bytes)
    },
  }
}

/** The modules of the browser, without their types. Modules import each other by name; names get their hashes from the bottom up. */
const islands = (add: (name: string, extension: string, text: string) => string, read: (...path: readonly string[]) => string): readonly string[] => {
  const sources = new Map(readdirSync(join(import.meta.dirname, 'islands')).filter((file) => file.endsWith('.ts')).map((file) => [file.slice(0, -3), read('islands', file)]))
  const made = new Map<string, string>()
  const make = (name: string): string => {
    const known = made.get(name)
    if (known !== undefined) return known
    const text = quietly(() => stripTypeScriptTypes(sources.get(name) ?? '')).replaceAll(/(\bfrom ')\.\/([a-z-]+)\.ts(')/g, (_, before: string, other: string, after: string) => `${before}${make(other)}${after}`)
    const path = add(name, 'js', text)
    made.set(name, path)
    return path
  }
  return sources.has('console') ? [make('console')] : []
}

/** The function is new, and says so on the operator's screen; the version of node that runs this is pinned. */
const quietly = <T>(work: () => T): T => {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return work()
  } finally {
    process.emitWarning = emitWarning
  }
}
