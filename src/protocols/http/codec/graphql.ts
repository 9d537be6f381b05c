import { type DocumentNode, type FragmentDefinitionNode, type OperationDefinitionNode, parse, type SelectionSetNode } from 'graphql'
import { Refusal } from '../../../model/refusal.ts'
import { decodeUtf8, parseJsonText, type JsonObject, type JsonValue } from './json.ts'
import type { FieldList } from './query.ts'

export interface GraphqlFacts {
  /** Of the operation that will run. `unknown`: the document is at the server and not in the request. */
  readonly kind: 'query' | 'mutation' | 'subscription' | 'unknown'
  /** Name of the operation that will run, if it has one. */
  readonly operation: string
  /** Kinds of all operations of the document, also those that will not run. */
  readonly kinds: readonly string[]
  /** Root fields of the operation that will run, under their own names, through fragments, whether a directive skips them or not. */
  readonly fields: readonly string[]
  /** What names a document at the server: a hash or an id; empty if nothing does. */
  readonly persisted: string
  readonly variables: JsonValue
}

export interface GraphqlInput {
  readonly method: string
  /** Media type without parameters; `undefined` for a request without body. */
  readonly essence: string | undefined
  readonly query: FieldList
  readonly body: Uint8Array | undefined
  /** The body where it is JSON, parsed strictly. */
  readonly json: JsonValue | undefined
  /** Lower-case hex SHA-256 of a text in UTF-8. */
  readonly sha256: (text: string) => string
}

const malformed = (what: string): Refusal => new Refusal('malformed', what)

const maxTokens = 10_000

const requestMembers: readonly string[] = ['query', 'operationName', 'variables', 'extensions']
/** Under these names servers look for a document of their own. */
const documentIds: readonly string[] = ['id', 'queryId', 'documentId', 'doc_id', 'query_id', 'document_id', 'operationId', 'hash', 'sha256Hash']

const exactNames: ReadonlySet<string> = new Set([...requestMembers, ...documentIds])
const foldedNames: ReadonlySet<string> = new Set([...exactNames].map((name) => name.toLowerCase()))

/** What a GraphQL request over HTTP will run. One operation per request; what could run two ways is refused. */
export const readGraphql = (input: GraphqlInput): GraphqlFacts => {
  const { method, query, body } = input
  const inUrl = [...requestMembers, ...documentIds].some((name) => name in query.values)
  if (method === 'GET' || method === 'HEAD') {
    if (body !== undefined && body.length > 0) throw malformed('A GraphQL request over GET has no body.')
    const facts = factsOf(membersOfUrl(query), input.sha256)
    if (facts.kind !== 'query' && facts.kind !== 'unknown') throw malformed('Only GraphQL queries may be sent over GET.')
    return facts
  }
  if (inUrl) throw malformed('The GraphQL request stands in the URL as well as in the body.')
  return factsOf(membersOfBody(input), input.sha256)
}

const membersOfUrl = ({ values, ambiguities }: FieldList): JsonObject => {
  if (ambiguities.some((kind) => kind === 'repeated' || kind === 'bracketed' || kind === 'semicolon' || kind === 'cased' || kind === 'respelled')) throw malformed('The GraphQL request in the URL can be read in more than one way.')
  const members: JsonObject = Object.create(null)
  for (const name in values) {
    const text = values[name]?.[0] ?? ''
    members[name] = name === 'variables' || name === 'extensions' ? parseJsonText(text) : text
  }
  return members
}

const membersOfBody = ({ essence, body, json }: GraphqlInput): JsonObject => {
  if (essence === 'application/graphql') {
    const members: JsonObject = Object.create(null)
    members['query'] = decodeUtf8(body ?? new Uint8Array())
    return members
  }
  if (json === undefined) throw new Refusal('unsupported-media', 'GraphQL requests are sent as JSON here.')
  if (Array.isArray(json)) throw malformed('GraphQL batches are not accepted here.')
  if (typeof json !== 'object' || json === null) throw malformed('The body is not a GraphQL request.')
  return json
}

const factsOf = (members: JsonObject, sha256: (text: string) => string): GraphqlFacts => {
  for (const name of Object.keys(members)) if (!exactNames.has(name) && foldedNames.has(name.toLowerCase())) throw malformed('The GraphQL request spells a member in another case.')
  const { query, operationName, variables, extensions } = members
  if (query !== undefined && query !== null && typeof query !== 'string') throw malformed('The GraphQL document is not a text.')
  if (operationName !== undefined && operationName !== null && typeof operationName !== 'string') throw malformed('The GraphQL operation name is not a text.')
  if (variables !== undefined && variables !== null && (typeof variables !== 'object' || Array.isArray(variables))) throw malformed('The GraphQL variables are not an object.')
  const hash = persistedHash(extensions)
  const id = documentIds.filter((name) => members[name] !== undefined && members[name] !== null).map((name) => String(members[name]))[0]
  const persisted = hash ?? id ?? ''
  const name = operationName ?? ''
  const given = variables ?? null
  if (query === undefined || query === null || query === '') {
    if (persisted === '') throw malformed('The request carries no GraphQL document.')
    return { kind: 'unknown', operation: name, kinds: [], fields: [], persisted, variables: given }
  }
  if (hash !== undefined && hash !== sha256(query)) throw malformed('The GraphQL document and its hash disagree.')
  const document = parseDocument(query)
  const operations = document.definitions.filter((definition) => definition.kind === 'OperationDefinition')
  const runs = operationToRun(operations, name)
  const kinds = [...new Set(operations.map(({ operation }) => String(operation)))].toSorted()
  // A server that finds a document by an id may run that one instead of the one that came along.
  const kind = id === undefined ? runs.operation : 'unknown'
  return { kind, operation: runs.name?.value ?? '', kinds, fields: rootFields(runs, document), persisted, variables: given }
}

const persistedHash = (extensions: JsonValue | undefined): string | undefined => {
  if (extensions === undefined || extensions === null) return undefined
  if (typeof extensions !== 'object' || Array.isArray(extensions)) throw malformed('The GraphQL extensions are not an object.')
  const entry = extensions['persistedQuery']
  if (entry === undefined || entry === null) return undefined
  const hash = typeof entry === 'object' && !Array.isArray(entry) ? entry['sha256Hash'] : undefined
  if (typeof hash !== 'string') throw malformed('The persisted GraphQL query has no hash.')
  return hash
}

const parseDocument = (text: string): DocumentNode => {
  try {
    return parse(text, { maxTokens, noLocation: true })
  } catch (error) {
    // A syntax error, too many tokens, or nesting beyond the stack: one answer for all of them.
    throw new Refusal('malformed', 'The GraphQL document cannot be parsed.', { cause: error })
  }
}

const operationToRun = (operations: readonly OperationDefinitionNode[], name: string): OperationDefinitionNode => {
  const named = name === '' ? operations : operations.filter((operation) => operation.name?.value === name)
  const [only] = named
  if (only === undefined || named.length !== 1) throw malformed('The GraphQL request does not say which one operation to run.')
  return only
}

const rootFields = (operation: OperationDefinitionNode, document: DocumentNode): readonly string[] => {
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const definition of document.definitions) if (definition.kind === 'FragmentDefinition') fragments.set(definition.name.value, definition)
  const fields = new Set<string>()
  const seen = new Set<string>()
  const open: SelectionSetNode[] = [operation.selectionSet]
  for (let set = open.pop(); set !== undefined; set = open.pop())
    for (const selection of set.selections) {
      if (selection.kind === 'Field') fields.add(selection.name.value)
      else if (selection.kind === 'InlineFragment') open.push(selection.selectionSet)
      else if (!seen.has(selection.name.value)) {
        seen.add(selection.name.value)
        const fragment = fragments.get(selection.name.value)
        if (fragment === undefined) throw malformed('The GraphQL document uses a fragment that it does not define.')
        open.push(fragment.selectionSet)
      }
    }
  return [...fields].toSorted()
}
