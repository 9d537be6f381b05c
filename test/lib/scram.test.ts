import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../../src/lib/secret.ts'
import { makeScram, type ScramParts } from '../../src/lib/scram.ts'

const parts: ScramParts = { password: new Secret('pencil'), plus: false, tls: false, leastIterations: 4_096, nonce: 'rOprNGfwEbeRWgbNEkqO' }
const binding = Buffer.from('hash of a certificate')
const challenge = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'

test('binds to the connection where both can, and says so where only we can', () => {
  assert.deepEqual([makeScram({ ...parts, tls: true, plus: true, binding })].map(({ mechanism, first }) => [mechanism, first]), [['SCRAM-SHA-256-PLUS', `p=tls-server-end-point,,n=,r=${parts.nonce}`]])
  assert.deepEqual([makeScram({ ...parts, tls: true, binding })].map(({ mechanism, first }) => [mechanism, first]), [['SCRAM-SHA-256', `y,,n=,r=${parts.nonce}`]])
  assert.deepEqual([makeScram(parts), makeScram({ ...parts, tls: true, plus: true })].map(({ mechanism, first }) => [mechanism, first]), [['SCRAM-SHA-256', `n,,n=,r=${parts.nonce}`], ['SCRAM-SHA-256', `n,,n=,r=${parts.nonce}`]])
})

test('the binding is a part of what is proved', async () => {
  const proof = await makeScram({ ...parts, tls: true, plus: true, binding }).prove(challenge)
  const [, bound = ''] = /^c=([^,]+),/.exec(proof) ?? []
  assert.equal(Buffer.from(bound, 'base64').toString(), `p=tls-server-end-point,,${binding.toString()}`)
})

test('the same words give the same proof, whatever is kept from before', async () => {
  const [one, two] = [makeScram(parts), makeScram({ ...parts, password: new Secret('pencil') })]
  const proof = await one.prove(challenge)
  assert.match(proof, /^c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj\)hNlF\$k0,p=[A-Za-z0-9+/]{43}=$/)
  assert.equal(await two.prove(challenge), proof)
  assert.notEqual(await makeScram({ ...parts, password: new Secret('pen') }).prove(challenge), proof)
})

for (const wrong of ['', 'r=', 'e=other-error', challenge.replace(',i=', ',i=0'), challenge.replace('4096', '-1'), `${challenge},x=1`, `m=x,${challenge}`, challenge.replace('W22Z', 'W22 '), challenge.replace('4096', '1000001'), challenge.replace('4096', '4095')])
  test(`no proof for the challenge "${wrong}"`, () => assert.rejects(makeScram(parts).prove(wrong), Error))

test('no signature is right before there was a proof, and only the right one after it', async () => {
  const scram = makeScram(parts)
  assert.throws(() => scram.verify('v='))
  assert.throws(() => scram.verify(`v=${Buffer.alloc(32).toString('base64')}`))
  await scram.prove(challenge)
  for (const wrong of ['', 'v=', 'v=AAAA', `v=${Buffer.alloc(32).toString('base64')}`, 'e=invalid-proof']) assert.throws(() => scram.verify(wrong))
})

test('the published example with a user name (RFC 7677), and the longer hash', async () => {
  const scram = makeScram({ ...parts, user: 'user' })
  assert.equal(scram.first, `n,,n=user,r=${parts.nonce}`)
  assert.equal(await scram.prove(challenge), 'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=')
  scram.verify('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')
  assert.equal(makeScram({ ...parts, user: 'a=b,c' }).first, `n,,n=a=3Db=2Cc,r=${parts.nonce}`)
  const longer = makeScram({ ...parts, hash: 'sha512' })
  assert.equal(longer.mechanism, 'SCRAM-SHA-512')
  const [, proof = ''] = /,p=(.*)$/.exec(await longer.prove(challenge)) ?? []
  assert.equal(Buffer.from(proof, 'base64').length, 64)
})
