import { hash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, unlinkSync } from 'node:fs'
import { realDisk, replaceFile } from './disk.ts'

/*
 * The policies that were in force, beside the journals that name them by their version: {directory}/.policies/{version}-{content}.json.
 * A file says in its name what it holds, is written once, and belongs to the program's user alone. No replica is called like this folder.
 */

const folderOf = (directory: string): string => `${directory}/.policies`
const versionPart = (version: string): string => version.replace(/^sha256:/, '')
const named = /^[0-9a-f]{64}-[0-9a-f]{16}\.json$/

/** More than this many: the oldest go. */
const mostKept = 1_000

/** On the disk when this returns: a decision is made by policies that can be read again. Throws where it cannot be. */
export const keepPolicies = (directory: string, version: string, content: unknown): void => {
  const text = JSON.stringify(content)
  const folder = folderOf(directory)
  const name = `${versionPart(version)}-${hash('sha256', text).slice(0, 16)}.json`
  if (!named.test(name)) throw new Error('policies without a version cannot be kept')
  if (existsSync(`${folder}/${name}`)) return
  realDisk.makeDirectory(folder)
  replaceFile(realDisk, folder, name, text)
  forgetOldest(folder)
}

const forgetOldest = (folder: string): void => {
  const kept = readdirSync(folder).filter((name) => named.test(name))
  if (kept.length <= mostKept) return
  const byAge = kept.map((name) => ({ name, at: statSync(`${folder}/${name}`).mtimeMs })).toSorted((a, b) => a.at - b.at)
  for (const { name } of byAge.slice(0, kept.length - mostKept)) unlinkSync(`${folder}/${name}`)
}

/** What was kept of that version: more than one where names of issuers or groups meant something else at another time. A file that is not what its name says is left out; that it comes to the version, whoever reads it checks. */
export const keptPolicies = (directory: string, version: string): readonly unknown[] => {
  const folder = folderOf(directory)
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter((name) => named.test(name) && name.startsWith(`${versionPart(version)}-`))
    .flatMap((name) => {
      const text = readFileSync(`${folder}/${name}`, 'utf8')
      return name.endsWith(`-${hash('sha256', text).slice(0, 16)}.json`) ? parsed(text) : []
    })
}

const parsed = (text: string): readonly unknown[] => {
  try {
    return [JSON.parse(text) as unknown]
  } catch {
    return []
  }
}
