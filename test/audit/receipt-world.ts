import { generateKeyPairSync } from 'node:crypto'
import { eventText } from '../../src/audit/event-text.ts'
import { casesIn, receiptOf, signReceipt } from '../../src/audit/receipts/making.ts'
import { noteSigner } from '../../src/audit/signed-note.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import { story as untimed } from '../channels/web/audit-log.ts'

export interface Envelope {
  readonly payload: string
  readonly payloadType: string
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[]
}

type Path = readonly (string | number)[]

/** Where texts, numbers and truths stand in a value. */
export const leavesOf = (value: unknown, path: Path = []): readonly Path[] =>
  typeof value === 'object' && value !== null ? (Array.isArray(value) ? [...value.entries()] : Object.entries(value)).flatMap(([key, member]) => leavesOf(member, [...path, key])) : [path]

const other = (value: unknown): unknown => (typeof value === 'string' ? (value === '' ? 'x' : `${value.startsWith('A') ? 'B' : 'A'}${value.slice(1)}`) : typeof value === 'number' ? value + 1 : !value)

/** The same with the first character of that one changed. */
export const withLeaf = (value: unknown, [key, ...rest]: Path): unknown => {
  if (key === undefined) return other(value)
  if (Array.isArray(value)) return value.map((member, at) => (at === key ? withLeaf(member, rest) : member))
  return { ...(value as object), [key]: withLeaf((value as Record<string, unknown>)[key], rest) }
}

/** The story with its vote in its place. */
export const storyAt = (votedAt: number): readonly AuditEvent[] =>
  untimed.map((event) => (event.type === 'voted' ? { ...event, vote: { ...event.vote, at: votedAt } } : event.type === 'released' ? { ...event, votes: event.votes.map((vote) => ({ ...vote, at: votedAt })) } : event))

const begin = Date.parse('2026-11-21T18:00:00Z')
export const story = storyAt(begin + 2_000)

export const signer = noteSigner('prod#receipts', generateKeyPairSync('ed25519').privateKey)
export const stranger = noteSigner('prod#receipts', generateKeyPairSync('ed25519').privateKey)

/** Lines of a log, without its chain: receipts look at the lines alone. */
export const linesOf = (events: readonly AuditEvent[], from = begin): readonly string[] =>
  events.map((event, at) => `{${eventText(event, `"v":1,"id":"r1/1/${at}","seq":${at},"prev":"${'A'.repeat(43)}=","time":"${new Date(from + at * 1_000).toISOString()}",`)}`)

export const receiptOfStory = (events: readonly AuditEvent[] = story, by = [signer], partial = false): { readonly text: string; readonly envelope: Envelope; readonly lines: readonly string[] } => {
  const lines = linesOf(events)
  const [found] = casesIn(lines.map((text, at) => ({ id: `r1/1/${at}`, text })))
  const receipt = found && receiptOf(found, 'prod', Date.parse('2026-11-21T18:05:00Z'), partial)
  if (receipt === undefined) throw new Error('no receipt of that')
  const text = signReceipt(receipt, by)
  return { text, envelope: JSON.parse(text) as Envelope, lines }
}
