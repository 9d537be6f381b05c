import { hash } from 'node:crypto'

/** RFC 6962 leaf: SHA-256 over a zero byte and the leaf's own bytes, base64. `text` must be ASCII, so that characters are bytes. */
export const leafHash = (text: string): string => hashLeaf(`\0${text}`)

/** Of a text that has the zero byte in front already. */
export const hashLeaf = (leaf: string): string => hash('sha256', leaf, 'base64')

/** What stands before the first leaf: the hash of nothing. */
export const emptyHash: string = hash('sha256', '', 'base64')
