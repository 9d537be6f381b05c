import type { Checkpoint } from './checkpoint.ts'
import type { Cosignature } from './cosignature.ts'

/** A signed checkpoint that was kept elsewhere, and who has seen it. */
export type KeptCheckpoint = Checkpoint & { readonly seen?: readonly Cosignature[] }

/** Of one replica, by its start and by the size. */
export type KeptOfReplica = ReadonlyMap<number, ReadonlyMap<number, readonly KeptCheckpoint[]>>

export const keptOf = (replica: string, checkpoints: readonly KeptCheckpoint[]): KeptOfReplica => {
  const starts = new Map<number, Map<number, KeptCheckpoint[]>>()
  for (const one of checkpoints) {
    const [of, epoch] = one.origin.split('/').slice(-2)
    if (of !== replica) continue
    const sizes = starts.get(Number(epoch)) ?? new Map<number, KeptCheckpoint[]>()
    if (sizes.size === 0) starts.set(Number(epoch), sizes)
    const same = sizes.get(one.size)
    if (same === undefined) sizes.set(one.size, [one])
    else same.push(one)
  }
  return starts
}

/** The first of which another one of the same log and size has another root: there were two logs, whatever is here. */
export const splitAmong = (checkpoints: readonly KeptCheckpoint[]): KeptCheckpoint | undefined => {
  const roots = new Map<string, Buffer>()
  return checkpoints.find(({ origin, size, root }) => {
    const log = `${size} ${origin}`
    const other = roots.get(log)
    if (other === undefined) roots.set(log, root)
    return other !== undefined && !other.equals(root)
  })
}

/** Logs that checkpoints from elsewhere speak of and that are not here at all. */
export const missingLogs = (replicas: ReadonlySet<string>, checkpoints: readonly Checkpoint[]): readonly string[] => [...new Set(checkpoints.flatMap(({ origin, size }) => (size > 0 ? [origin.split('/').at(-2) ?? ''] : [])))].filter((replica) => !replicas.has(replica))
