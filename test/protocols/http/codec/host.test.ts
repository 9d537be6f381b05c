import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Refusal } from '../../../../src/model/refusal.ts'
import { canonicalHost } from '../../../../src/protocols/http/codec/host.ts'

describe('host', () => {
  test('one spelling for each', () => {
    for (const spelling of ['app.test', 'APP.TEST', 'app.test.', 'App.test:443', 'app.test.:8443']) assert.equal(canonicalHost(spelling), 'app.test')
    assert.equal(canonicalHost('my_service:8080'), 'my_service')
    assert.equal(canonicalHost('127.0.0.1:80'), '127.0.0.1')
    assert.equal(canonicalHost('[2001:DB8:0:0::1]:80'), '[2001:db8::1]')
    assert.equal(canonicalHost('[::FFFF:127.0.0.1]'), '127.0.0.1')
    assert.equal(canonicalHost('xn--bcher-kva.example'), 'xn--bcher-kva.example')
  })

  test('nothing else is a host', () => {
    for (const value of ['', '.', 'a..b', '-a', 'a-', 'a b', 'a@b', 'user:pw@h', 'h:', 'h:0', 'h:99999', 'h:8a', 'h:80:80', 'h/', 'h\\x', 'h?x', 'h%41', 'h,i', '[::1', '[::1]x', '[127.0.0.1]', '[fe80::1%25eth0]', '::1', '0x7f.1', '127.1', '017700000001', '2130706433', '1.2.3.256', '\u212a.test', '\u00e9.test', `${'a'.repeat(64)}.test`, `${'a.'.repeat(150)}b`])
      assert.throws(() => canonicalHost(value), Refusal, JSON.stringify(value))
  })
})
