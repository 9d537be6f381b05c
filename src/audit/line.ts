import type { AuditEvent } from '../model/audit-event.ts'

/*
 * One line of the journal, fixed order at its head so that a reader needs no parser to find its way:
 *
 *   {"v":1,"id":"replica/epoch/seq","seq":n,"prev":"<leaf hash of the line before>","time":"…Z","type":"…"[,"attempt":"…"],…}\n
 *
 * seq counts from 0 in each epoch (one start of the program). prev runs on through epochs; the first line of a directory carries the hash of nothing.
 */

/** The line's head up to its type, parsed without looking at the rest. */
export interface LineHead {
  readonly id: string
  readonly seq: number
  readonly prev: string
  readonly time: string
  readonly type: AuditEvent['type']
  readonly attempt?: string
}

const head = /^\{"v":1,"id":"([A-Za-z0-9._-]{1,64}\/\d{1,15}\/\d{1,15})","seq":(\d{1,15}),"prev":"([A-Za-z0-9+/]{43}=)","time":"([0-9TZ:.+-]{20,30})","type":"([a-z-]{1,32})"(?:,"attempt":"([^"\\]{0,128})")?/

export const lineHead = (text: string): LineHead | undefined => {
  const match = head.exec(text)
  if (match === null) return undefined
  const [, id = '', seq, prev = '', time = '', type = '', attempt] = match
  return { id, seq: Number(seq), prev, time, type: type as LineHead['type'], ...(attempt === undefined ? {} : { attempt }) }
}

/** The line as data; `undefined` where it is not a whole line of ours. */
export const parseLine = (text: string): (LineHead & Readonly<Record<string, unknown>>) | undefined => {
  const start = lineHead(text)
  if (start === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as LineHead & Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

export const replicaName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
