import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Refusal } from '../../../../src/model/refusal.ts'
import { parseForm } from '../../../../src/protocols/http/codec/form.ts'
import { parseFields } from '../../../../src/protocols/http/codec/query.ts'

const read = (text: string) => {
  const { values, ambiguities } = parseFields(text)
  return [{ ...values }, [...ambiguities].toSorted()]
}

describe('query and form fields', () => {
  test('all values of a key, decoded once', () => {
    assert.deepEqual(read('role=user&q=a+b%2Bc%2541'), [{ role: ['user'], q: ['a b+c%41'] }, []])
    assert.deepEqual(read(''), [{}, []])
    assert.deepEqual(read('&&a=1&'), [{ a: ['1'] }, []])
    assert.deepEqual(read('a=b=c'), [{ a: ['b=c'] }, []])
  })

  test('every other reading counts as well and is named', () => {
    assert.deepEqual(read('role=user&role=admin'), [{ role: ['user', 'admin'] }, ['repeated']])
    assert.deepEqual(read('role=user&%72ole=admin'), [{ role: ['user', 'admin'] }, ['repeated', 'respelled']])
    assert.deepEqual(read('role=user&role[]=admin'), [{ role: ['user', 'admin'], 'role[]': ['admin'] }, ['bracketed', 'repeated']])
    assert.deepEqual(read('role=user;role=admin'), [{ role: ['user;role=admin', 'admin'] }, ['repeated', 'semicolon']])
    assert.deepEqual(read('a=1;role=admin'), [{ a: ['1;role=admin'], role: ['admin'] }, ['semicolon']])
    assert.deepEqual(read('role'), [{ role: [''] }, ['bare']])
    assert.deepEqual(read('role=a&Role=b'), [{ role: ['a'], Role: ['b'] }, ['cased']])
  })

  test('no key is special', () => {
    const { values } = parseFields('__proto__=1&constructor=2&toString=3')
    assert.deepEqual(Object.keys(values).toSorted(), ['__proto__', 'constructor', 'toString'])
    assert.equal(Object.getPrototypeOf(values), null)
    assert.equal('valueOf' in values, false)
  })

  test('limits and broken escapes', () => {
    for (const text of ['a=%', 'a=%ff', '%zz=1', 'a=1;b=%c0']) assert.throws(() => parseFields(text), Refusal)
    assert.throws(() => parseFields('a&'.repeat(1001)), Refusal)
    assert.throws(() => parseForm(Buffer.from('a=\n')), Refusal)
    assert.throws(() => parseForm(Buffer.from('a=\u00e9')), Refusal)
    assert.deepEqual({ ...parseForm(Buffer.from('a=%C3%A9')).values }, { a: ['\u00e9'] })
  })

  test('finds at least what the platform finds', () => {
    const part = fc.constantFrom('a', 'b', '=', '&', '+', '%41', '%26', '%3D', '[', ']', ';', '__proto__')
    fc.assert(
      fc.property(fc.array(part, { maxLength: 14 }), (parts) => {
        const text = parts.join('')
        const { values, ambiguities } = parseFields(text)
        for (const [key, value] of new URLSearchParams(text)) assert.ok(values[key]?.includes(value), `${text}: ${key}=${value}`)
        if (ambiguities.length === 0) assert.deepEqual(Object.entries(values).flatMap(([key, all]) => all.map((value) => [key, value])).toSorted(), [...new URLSearchParams(text)].toSorted())
      }),
      { numRuns: 1000 },
    )
  })
})
