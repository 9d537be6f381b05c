import assert from 'node:assert/strict'
import { createHash, createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { test } from 'node:test'
import { signCheckpoint, openCheckpoint } from '../../src/audit/checkpoint.ts'
import { cosign, cosignaturesOf } from '../../src/audit/cosignature.ts'
import { BadNote, noteSigner, noteVerifier, openNote, witnessSigner } from '../../src/audit/signed-note.ts'

const key = () => generateKeyPairSync('ed25519').privateKey
const log = noteSigner('prod', key())
const witness = witnessSigner('w.example', key())
const note = signCheckpoint({ origin: 'prod/r1/1', size: 7, root: Buffer.alloc(32, 7) }, log)
const text = note.slice(0, note.indexOf('\n\n') + 1)

test('a cosignature is what C2SP says, to somebody who shares no code with us', () => {
  const line = cosign(text, witness, 1_700_000_000)
  const [, name, encoded = ''] = /^\u2014 (\S+) (\S+)\n$/.exec(line) ?? []
  const bytes = Buffer.from(encoded, 'base64')
  const [, id = '', vkey = ''] = witness.verifier.split('+', 2).concat(witness.verifier.split('+').slice(2).join('+'))
  const raw = Buffer.from(vkey, 'base64')
  assert.deepEqual([name, raw.length, raw[0]], ['w.example', 33, 4], 'the key says that it is one of a witness')
  assert.equal(createHash('sha256').update(Buffer.concat([Buffer.from('w.example\n'), raw])).digest('hex').slice(0, 8), id)
  assert.equal(bytes.subarray(0, 4).toString('hex'), id)
  assert.equal(bytes.readBigUInt64BE(4), 1_700_000_000n)
  const spki = createPublicKey({ key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw.subarray(1)]), format: 'der', type: 'spki' })
  assert.ok(verify(null, Buffer.from(`cosignature/v1\ntime 1700000000\n${text}`), spki, bytes.subarray(12)))
})

test('a note tells who of the known witnesses has seen it, and one of theirs that is wrong spoils it', () => {
  const known = [noteVerifier(witness.verifier)]
  const seen = `${note}${cosign(text, witness, 1_700_000_000)}`
  assert.deepEqual(cosignaturesOf(seen, known), [{ witness: 'w.example', time: 1_700_000_000 }])
  assert.deepEqual(openCheckpoint(seen, [log]).size, 7, 'the log has signed it all the same')
  assert.deepEqual(cosignaturesOf(seen, [noteVerifier(witnessSigner('w.example', key()).verifier)]), [])
  assert.deepEqual(cosignaturesOf(note, known), [])
  for (const wrong of [`${note}${cosign(text.replace('7', '8'), witness, 1_700_000_000)}`, `${note}${cosign(text, witness, 0)}`]) assert.throws(() => cosignaturesOf(wrong, known), BadNote)
  assert.throws(() => openNote(`${text}\n${cosign(text, witness, 1_700_000_000)}`, known), /nobody known/, 'a witness does not vouch for the text itself')
})
