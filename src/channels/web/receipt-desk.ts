import { callerKey } from '../../approval/seal.ts'
import { BadReceipt, type ReceiptSigner } from '../../audit/receipts/envelope.ts'
import { casesIn, receiptOf, signReceipt, type Case } from '../../audit/receipts/making.ts'
import type { Receipt } from '../../audit/receipts/statement.ts'
import { mostOfOneCase, type AuditSearch } from '../../audit/search/audit-search.ts'
import { keySetText } from '../../lib/json-web-key.ts'
import { partiesOf, sameParty, type Caller } from '../../model/caller.ts'
import { Refusal } from '../../model/refusal.ts'
import { principalOf, type AuditDesk, type AuditReading } from './audit-desk.ts'
import { isOwnPerson } from './hold-view.ts'

export interface ReceiptReading {
  readonly search: Pick<AuditSearch, 'caseOf'>
  readonly readers: Pick<AuditDesk, 'mayRead'>
  readonly record: AuditReading['record']
  readonly deployment: string
  /** The first signs. What the others have signed is still to be checked. */
  readonly signers: readonly ReceiptSigner[]
  readonly now?: () => number
}

export interface ReceiptDesk {
  mayRead(viewer: Caller): boolean
  /** The envelope. Of several actions that go by one name, the latest that the viewer may see. */
  receipt(viewer: Caller, name: string): Promise<unknown>
  /** The keys as a JSON Web Key Set. */
  readonly jwks: unknown
}

/** Their own request, or one that somebody made for them or in their name. */
const isTheirs = ({ data }: Case, viewer: Caller): boolean => {
  const caller = data.find((one) => one['caller'] !== undefined)?.['caller'] as Caller | undefined
  if (caller === undefined) return false
  return callerKey(caller) === callerKey(viewer) || (isOwnPerson(viewer) && partiesOf(caller).some((one) => sameParty(one, viewer)))
}

/** Signed statements of what is on record: for whoever asked for the action, and for those who may read the log. Each is on record before it is given out. */
export const makeReceiptDesk = ({ search, readers, record, deployment, signers, now = Date.now }: ReceiptReading): ReceiptDesk => {
  const missing = (): Refusal => new Refusal('not-found', 'There is no receipt of that here: no such action, or none that you may see.')
  const signed = (receipt: Receipt): string => {
    try {
      return signReceipt(receipt, signers.slice(0, 1))
    } catch (error) {
      if (error instanceof BadReceipt) throw new Refusal('not-found', 'The records of that action are not as they were written. `countersign audit verify` says where.', { cause: error })
      throw error
    }
  }
  const jwks: unknown = JSON.parse(keySetText(signers.map(({ key }) => key)))
  return {
    jwks,
    mayRead: readers.mayRead,
    async receipt(viewer, name) {
      const records = await search.caseOf(name)
      const found = casesIn(records)
      const theirs = readers.mayRead(viewer) ? found : found.filter((one) => isTheirs(one, viewer))
      const by = principalOf(viewer)
      if (theirs.length === 0 && found.length > 0) await record({ type: 'audit-read-refused', by, query: `receipt ${name}`, refusal: 'not-found' })
      const last = theirs.at(-1)
      const receipt = last && receiptOf(last, deployment, now(), records.length >= mostOfOneCase)
      if (receipt === undefined || last === undefined) throw missing()
      await record({ type: 'audit-read', by, query: `receipt ${name}`, records: last.records.length })
      return JSON.parse(signed(receipt))
    },
  }
}
