import { deedOf, type Confidence } from '../audit/lineage/deed.ts'
import { part, type RecordData } from '../audit/record-data.ts'

export interface Dataset {
  readonly namespace: string
  readonly name: string
}

/** What one action reads and writes, as OpenLineage names it. */
export interface Data {
  readonly inputs: readonly Dataset[]
  readonly outputs: readonly Dataset[]
  /** Each thing that is written, with what may be in it. */
  readonly entries: readonly (Dataset & { readonly type: 'DATASET'; readonly inputs: readonly (Dataset & { readonly type: 'DATASET' })[] })[]
  readonly confidence: Confidence
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/**
 * The session stands between: what is read goes into it, and what is written may come out of it. So a plain read has two sides, without which
 * some consumers show nothing. `undefined` where no data is touched.
 */
export const dataOf = (record: RecordData, namespaces: ReadonlyMap<string, string>): Data | undefined => {
  const deed = deedOf(record)
  if (deed === undefined) return undefined
  const [action, caller] = [part(record['action']), part(record['caller'])]
  const service = text(action['service'])
  const namespace = namespaces.get(service) ?? `countersign://${encodeURIComponent(service.toWellFormed())}`
  const database = text(part(action['place'])['database'])
  const touched = (access: 'reads' | 'writes'): readonly Dataset[] => deed.touches.filter((touch) => touch.access === access).map(({ node }) => ({ namespace, name: node.kind === 'table' && database !== '' ? `${database}.${node.name}` : node.name }))
  const [reads, writes] = [touched('reads'), touched('writes')]
  if (reads.length + writes.length === 0) return undefined
  const session: readonly Dataset[] = deed.session === undefined ? [] : [{ namespace: `agent://${text(caller['issuer']).replace(/^https?:\/\//, '')}`, name: `${text(caller['subject'])}/${deed.session.name}` }]
  const inputs = writes.length > 0 ? [...reads, ...session] : reads
  const outputs = reads.length > 0 ? [...writes, ...session] : writes
  const typed = (sets: readonly Dataset[]) => sets.map((set) => ({ ...set, type: 'DATASET' as const }))
  return {
    inputs, outputs,
    entries: [...writes.map((set) => ({ ...set, type: 'DATASET' as const, inputs: typed(inputs) })), ...(reads.length > 0 ? session.map((set) => ({ ...set, type: 'DATASET' as const, inputs: typed(reads) })) : [])],
    confidence: deed.touches.some(({ confidence }) => confidence === 'least') ? 'least' : 'named',
  }
}
