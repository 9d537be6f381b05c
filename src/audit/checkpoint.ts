import { BadNote, openNote, signNote, splitNote, type NoteSigner, type NoteVerifier } from './signed-note.ts'

/** What a log was at one moment: so many records, and the root over all of them. */
export interface Checkpoint {
  /** `{deployment}/{replica}/{epoch}`: each start of a replica is a log of its own. */
  readonly origin: string
  readonly size: number
  readonly root: Buffer
}

export const signCheckpoint = ({ origin, size, root }: Checkpoint, signer: NoteSigner): string => signNote(`${origin}\n${size}\n${root.toString('base64')}\n`, signer)

/** What the text of a note says, whoever signed it. Throws `BadNote` for what is not a checkpoint. */
const checkpointIn = (text: string): Checkpoint => {
  const [, origin = '', size = '', root = ''] = /^([^\n]+)\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\n$/.exec(text) ?? []
  if (origin === '') throw new BadNote('the note is not a checkpoint')
  return { origin, size: Number(size), root: Buffer.from(root, 'base64') }
}

/** What it claims, before anybody has believed it. */
export const claimedCheckpoint = (note: string): Checkpoint => checkpointIn(splitNote(note).text)

/** Throws `BadNote` for anything that none of these keys vouches for. */
export const openCheckpoint = (note: string, known: readonly NoteVerifier[]): Checkpoint => {
  const { text, by } = openNote(note, known)
  const checkpoint = checkpointIn(text)
  if (!by.some(({ name }) => checkpoint.origin.startsWith(`${name}/`))) throw new BadNote(`the key of ${by.map(({ name }) => name).join(', ')} does not speak for ${checkpoint.origin}`)
  return checkpoint
}
