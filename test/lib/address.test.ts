import assert from 'node:assert/strict'
import { isIP, SocketAddress } from 'node:net'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type AddressRange, clientAddress, formatAddress, inRange, parseAddress, parseRange } from '../../src/lib/address.ts'
import { Refusal } from '../../src/model/refusal.ts'

const range = (text: string): AddressRange => {
  const parsed = parseRange(text)
  assert.ok(parsed, text)
  return parsed
}
const within = (cidr: string, address: string): boolean => {
  const parsed = parseAddress(address)
  return parsed !== undefined && inRange(range(cidr), parsed)
}

describe('addresses', () => {
  test('only plain spellings', () => {
    for (const text of ['', '1', '1.2.3', '010.0.0.1', '10.0.0.01', '0x0a.0.0.1', '0x0a000001', '10.1', '167772161', '1.2.3.256', '1.2.3.4.5', '1.2.3.-4', ' 1.2.3.4', '10.0.0.1%eth0', 'fe80::1%eth0', ':', ':::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7::8', '12345::', 'g::', '::1.2.3', '::1.2.3.4:5', '1.2.3.4::', '[::1]', '\u0661.2.3.4'])
      assert.equal(parseAddress(text), undefined, text)
  })

  test('IPv4 inside IPv6 is IPv4', () => {
    assert.deepEqual(parseAddress('::ffff:10.0.0.1'), parseAddress('10.0.0.1'))
    assert.deepEqual(parseAddress('::FFFF:a00:1'), parseAddress('10.0.0.1'))
    assert.notDeepEqual(parseAddress('::10.0.0.1'), parseAddress('10.0.0.1'))
  })

  test('ranges', () => {
    assert.equal(within('10.0.0.0/8', '10.255.0.1'), true)
    assert.equal(within('10.0.0.0/8', '::ffff:10.1.1.1'), true)
    assert.equal(within('10.0.0.0/8', '11.0.0.1'), false)
    assert.equal(within('127.0.0.1/32', '127.0.0.2'), false)
    assert.equal(within('127.0.0.1', '127.0.0.1'), true)
    assert.equal(within('0.0.0.0/0', '::1'), false)
    assert.equal(within('fd00::/8', 'fdff::1'), true)
    assert.equal(within('2001:db8::/33', '2001:db8:8000::'), false)
    for (const text of ['10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/08', '10.0.0.0/', '10.0.0.1/8', '::/129', 'fd00::1/8', '10.0.0.0/8/8', 'x/8']) assert.equal(parseRange(text), undefined, text)
  })

  test('agrees with the platform on everything it accepts', () => {
    const group = fc.constantFrom('0', '1', '00', 'ffff', 'a', '10', '255', '256', '', '12345', '1.2.3.4')
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.array(group, { maxLength: 9 }).map((parts) => parts.join(':')), fc.array(group, { maxLength: 5 }).map((parts) => parts.join('.'))), (text) => {
        const parsed = parseAddress(text)
        assert.equal(parsed !== undefined, isIP(text) !== 0, text)
        if (parsed === undefined) return
        assert.deepEqual(parseAddress(formatAddress(parsed)), parsed)
        if (isIP(text) === 6 && isIP(formatAddress(parsed)) === 6 && !formatAddress(parsed).startsWith('::')) assert.equal(formatAddress(parsed), new SocketAddress({ address: text, family: 'ipv6' }).address)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('client address', () => {
  const trusted = [range('127.0.0.1/32'), range('10.9.0.0/16')]

  test('the header of a peer that we do not trust counts for nothing', () => {
    assert.equal(clientAddress('127.0.0.1', ['10.0.0.1'], []), '127.0.0.1')
    assert.equal(clientAddress('203.0.113.9', ['10.0.0.1', 'junk'], trusted), '203.0.113.9')
  })

  test('the right-most hop that we do not trust', () => {
    assert.equal(clientAddress('::ffff:127.0.0.1', ['10.0.0.1, 203.0.113.9'], trusted), '203.0.113.9')
    assert.equal(clientAddress('127.0.0.1', ['10.0.0.1', '203.0.113.9'], trusted), '203.0.113.9')
    assert.equal(clientAddress('127.0.0.1', ['junk, 203.0.113.9, 10.9.1.1,'], trusted), '203.0.113.9')
    assert.equal(clientAddress('127.0.0.1', ['::ffff:10.0.0.1'], trusted), '10.0.0.1')
    assert.equal(clientAddress('127.0.0.1', ['203.0.113.9:4711'], trusted), '203.0.113.9')
    assert.equal(clientAddress('127.0.0.1', ['[2001:db8::1]:4711'], trusted), '2001:db8::1')
    assert.equal(clientAddress('127.0.0.1', ['10.9.0.1, 10.9.0.2'], trusted), '10.9.0.1')
    assert.equal(clientAddress('fe80::1%eth0', [], trusted), 'fe80::1')
  })

  test('a trusted hop that names something else than an address', () => {
    for (const hop of ['010.0.0.1', '0x0a000001', '10.1', '10.0.0.1%eth0', 'unknown', '_hidden']) assert.throws(() => clientAddress('127.0.0.1', [hop], trusted), Refusal, hop)
  })
})
