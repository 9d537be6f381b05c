import { z } from 'zod'
import { keptPolicies } from '../audit/policy-archive.ts'
import type { PolicyFacts } from '../config/config.ts'
import { compilePolicies } from '../config/policies.ts'
import type { ExplainingPolicySet } from '../policy/policy-set.ts'

const keptShape = z.object({ policyFiles: z.array(z.object({ file: z.string(), text: z.string() })), policyFacts: z.looseObject({}) })

export interface PoliciesThen {
  readonly policyFiles: readonly { readonly file: string; readonly text: string }[]
  readonly policies: ExplainingPolicySet
}

/**
 * What was kept of that version and comes to it again when it is read. Whoever can write into the archive can give a file any name; the version is from the log.
 * It is over what the rules say and over the services: comments and lines, and what names of issuers and groups meant, are not part of it.
 */
export const policiesOfVersion = (directory: string, version: string): readonly PoliciesThen[] =>
  keptPolicies(directory, version).flatMap((kept) => {
    const read = keptShape.safeParse(kept)
    const policies = read.success ? compiled(read.data) : undefined
    return read.success && policies?.version === version ? [{ policyFiles: read.data.policyFiles, policies }] : []
  })

/** Facts that no program of ours wrote may lack anything. */
const compiled = ({ policyFiles, policyFacts }: z.infer<typeof keptShape>): ExplainingPolicySet | undefined => {
  try {
    return compilePolicies({ policyFiles, policyFacts: policyFacts as unknown as PolicyFacts }).policies
  } catch {
    return undefined
  }
}
