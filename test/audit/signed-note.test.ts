import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { openCheckpoint, signCheckpoint } from '../../src/audit/checkpoint.ts'
import { BadNote, noteSigner, noteVerifier, openNote, signNote } from '../../src/audit/signed-note.ts'

const signer = (name: string) => noteSigner(name, generateKeyPairSync('ed25519').privateKey)

test('a note that somebody else made opens', () => {
  // The example of Go's implementation.
  const key = noteVerifier('PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW')
  const text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
  const note = `${text}\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`
  assert.equal(openNote(note, [key]).text, text)
  assert.throws(() => openNote(note.replace('answer', 'enswer'), [key]), BadNote)
})

test('ours open with the key as it is printed, and with no other', () => {
  const [ours, theirs] = [signer('prod'), signer('prod')]
  const note = signNote('a\n\nb\n', ours)
  assert.equal(openNote(note, [noteVerifier(ours.verifier)]).text, 'a\n\nb\n')
  assert.throws(() => openNote(note, [theirs]), /nobody known/)
  const both = `${note}${signNote('a\n\nb\n', theirs).split('\n\n').at(-1)!}`
  assert.deepEqual(openNote(both, [ours, theirs]).by.length, 2)
  assert.equal(openNote(both, [theirs]).by.length, 1, 'signatures of strangers mean nothing')
  const broken = both.replace(/(\u2014 prod )(\S{20})/, (_, lead: string, start: string) => `${lead}${start.slice(0, -1)}${start.endsWith('A') ? 'B' : 'A'}`)
  assert.throws(() => openNote(broken, [ours, theirs]), /not of this text/, 'one bad signature of somebody known spoils the note')
})

test('what is no note, no key or no name is refused', () => {
  const ours = signer('prod')
  const note = signNote('text\n', ours)
  for (const bad of ['', 'text\n', note.slice(0, -1), `\0${note}`, note.replace('\u2014 ', '- '), `${note}\n`, note.replace('\n\n', '\n'), `text\n\n${'\u2014 x AAAAAAAA\n'.repeat(65)}`]) assert.throws(() => openNote(bad, [ours]), BadNote, JSON.stringify(bad))
  for (const bad of ['', 'prod', `${ours.verifier}x!`, ours.verifier.replace(/^prod/, 'prot'), ours.verifier.replace(/\+[0-9a-f]{8}\+/, '+00000000+'), 'a b+12345678+AAAA']) assert.throws(() => noteVerifier(bad), BadNote, bad)
  for (const name of ['', 'a b', 'a+b', 'a\nb']) assert.throws(() => signer(name), BadNote, name)
  assert.throws(() => noteSigner('prod', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey), /not Ed25519/)
})

test('a checkpoint is of one log, and its key speaks for that', () => {
  const prod = signer('prod')
  const root = Buffer.alloc(32, 7)
  const note = signCheckpoint({ origin: 'prod/proxy-0/12', size: 4711, root }, prod)
  assert.deepEqual(openCheckpoint(note, [prod]), { origin: 'prod/proxy-0/12', size: 4711, root })
  assert.throws(() => openCheckpoint(signCheckpoint({ origin: 'other/proxy-0/12', size: 1, root }, prod), [prod]), /does not speak for/)
  assert.throws(() => openCheckpoint(signCheckpoint({ origin: 'production/proxy-0/12', size: 1, root }, prod), [prod]), /does not speak for/)
  for (const text of ['prod/a/1\n01\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n', 'prod/a/1\n1\nBwc=\n', 'prod/a/1\n1\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\nmore\n']) assert.throws(() => openCheckpoint(signNote(text, prod), [prod]), /not a checkpoint/, text)
})
