import { basename } from 'node:path'
import { policiesOfVersion } from '../kept-policies.ts'
import type { PackFolder } from './pack-folder.ts'

/** Of more versions the others are named and not copied. */
const mostVersions = 200

export interface PolicyTexts {
  readonly versions: number
  /** Those whose texts are not kept here any more, or do not come to that version. */
  readonly missing: readonly string[]
}

/** The texts that were in force, from beside the journal into the pack, a folder for each version. */
export const writePolicyTexts = (folder: PackFolder, directory: string, versions: readonly string[]): PolicyTexts => {
  const missing: string[] = []
  for (const [at, version] of versions.entries()) {
    const found = at < mostVersions ? policiesOfVersion(directory, version) : []
    if (found.length === 0) missing.push(version)
    for (const [number, { policyFiles }] of found.entries()) for (const [place, { file, text }] of policyFiles.entries()) folder.write(`policies/${folderOf(version)}${number === 0 ? '' : `-${number + 1}`}/${place + 1}-${nameOf(file)}`, text)
  }
  return { versions: versions.length, missing }
}

export const folderOf = (version: string): string => version.replace(/^sha256:/, '').replaceAll(/[^A-Za-z0-9]/g, '_').slice(0, 32)

const nameOf = (file: string): string => basename(file).replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(0, 80)

export const policyTextsNote = ({ versions, missing }: PolicyTexts): string =>
  versions === 0 ? 'No version of the policies is named in this time.'
  : missing.length === 0 ? `Which versions were in force when, by the records of each replica. The texts of ${versions === 1 ? 'it' : `all ${versions}`} are in policies/, in a folder that is called like the beginning of the version.`
  : missing.length === versions ? 'Which versions were in force when, by the records of each replica. Their texts are not kept beside this log, or are not what they were, so they are not in this pack.'
  : `Which versions were in force when, by the records of each replica. The texts of ${versions - missing.length} of ${versions} are in policies/; those of the others are not kept beside this log, or are not what they were.`
