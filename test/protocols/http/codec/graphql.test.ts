import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { Refusal, type RefusalCode } from '../../../../src/model/refusal.ts'
import { readGraphql } from '../../../../src/protocols/http/codec/graphql.ts'
import { parseJsonText } from '../../../../src/protocols/http/codec/json.ts'
import { parseFields } from '../../../../src/protocols/http/codec/query.ts'

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const post = (text: string, query = '') => readGraphql({ method: 'POST', essence: 'application/json', query: parseFields(query), body: Buffer.from(text), json: parseJsonText(text), sha256 })
const document = (query: string, more: object = {}) => post(JSON.stringify({ query, ...more }))
const get = (query: string) => readGraphql({ method: 'GET', essence: undefined, query: parseFields(query), body: undefined, json: undefined, sha256 })
const refuses = (run: () => unknown, code: RefusalCode = 'malformed'): void => assert.throws(run, (error) => error instanceof Refusal && error.code === code)

describe('GraphQL', () => {
  test('the kind of the operation that will run', () => {
    assert.equal(document('query { me { id } # mutation\n}').kind, 'query')
    assert.equal(document('{ me { id } }').kind, 'query')
    assert.equal(document('# query\nmutation{ a:deleteUser(id:1){id} b:deleteUser(id:2){id} }').kind, 'mutation')
    assert.equal(document('mutation($x:Boolean!){deleteUser(id:1)@include(if:$x){id}}', { variables: { x: false } }).kind, 'mutation')
    assert.equal(document('subscription { orders { id } }').kind, 'subscription')
    const two = document('query A{me{id}} mutation B{deleteUser(id:1){id}}', { operationName: 'B' })
    assert.deepEqual([two.kind, two.operation, two.kinds, two.fields], ['mutation', 'B', ['mutation', 'query'], ['deleteUser']])
    assert.equal(readGraphql({ method: 'POST', essence: 'application/graphql', query: parseFields(''), body: Buffer.from('mutation{deleteUser(id:1){id}}'), json: undefined, sha256 }).kind, 'mutation')
  })

  test('root fields under their own names, through fragments and directives', () => {
    assert.deepEqual(document('query { harmless: secrets { id } ...F ... on Query @skip(if: true) { orders { id } } } fragment F on Query { users { id } ...G } fragment G on Query { keys { id } ...F }').fields, ['keys', 'orders', 'secrets', 'users'])
    refuses(() => document('{ ...Missing }'))
  })

  test('what could run two ways', () => {
    refuses(() => document('query A{a} query B{b}'))
    refuses(() => document('query A{a} mutation A{b}', { operationName: 'A' }))
    refuses(() => document('query A{a}', { operationName: 'B' }))
    refuses(() => document('fragment F on Query { a }'))
    refuses(() => post('[{"query":"{me{id}}"},{"query":"mutation{deleteUser(id:1){id}}"}]'))
    refuses(() => post('{"query":"{a}"}', 'query=mutation{b}'))
    refuses(() => post('{"query":"{a}"}', 'operationName=A'))
    refuses(() => get('query={a}&query=mutation{b}'))
    refuses(() => get('query={a}&%71uery={b}'))
    refuses(() => get('query={a}&Query={b}'))
    refuses(() => readGraphql({ method: 'POST', essence: 'application/json', query: parseFields(''), body: Buffer.from('{}'), json: { query: '{a}', Query: 'mutation{b}' }, sha256 }))
  })

  test('over GET, queries only', () => {
    assert.deepEqual(get(`query=${encodeURIComponent('query A($id: ID) { me { id } }')}&variables=${encodeURIComponent('{"id":1}')}`).fields, ['me'])
    refuses(() => get('query=mutation%7BdeleteUser(id:1)%7Bid%7D%7D'))
    refuses(() => get('query=subscription%7Ba%7D'))
    refuses(() => readGraphql({ method: 'GET', essence: 'application/json', query: parseFields('query={a}'), body: Buffer.from('{}'), json: null, sha256 }))
  })

  test('a document at the server is unknown here', () => {
    const persisted = (hash: string, query?: string) => post(JSON.stringify({ ...(query === undefined ? {} : { query }), extensions: { persistedQuery: { version: 1, sha256Hash: hash } } }))
    assert.deepEqual(persisted('00'), { kind: 'unknown', operation: '', kinds: [], fields: [], persisted: '00', variables: null })
    assert.equal(persisted(sha256('{a}'), '{a}').kind, 'query')
    refuses(() => persisted('00', '{a}'))
    for (const id of ['id', 'documentId', 'doc_id']) assert.equal(post(`{"${id}":"x","query":"{a}"}`).kind, 'unknown')
    assert.equal(get(`extensions=${encodeURIComponent('{"persistedQuery":{"version":1,"sha256Hash":"00"}}')}`).kind, 'unknown')
  })

  test('what is no GraphQL request', () => {
    for (const text of ['{}', 'null', '1', '{"query":1}', '{"query":["{a}"]}', '{"query":""}', '{"query":"{a}","operationName":1}', '{"query":"{a}","variables":[]}', '{"query":"{a}","extensions":1}', '{"query":"{"}', '{"query":"{a}","extensions":{"persistedQuery":"x"}}']) refuses(() => post(text))
    refuses(() => readGraphql({ method: 'POST', essence: 'text/plain', query: parseFields(''), body: Buffer.from('{}'), json: undefined, sha256 }), 'unsupported-media')
    refuses(() => document(`{${'a{'.repeat(6000)}a${'}'.repeat(6000)}}`))
    refuses(() => document(`{${'a '.repeat(20_000)}}`))
  })
})
