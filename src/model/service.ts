export type Protocol = 'http' | 'mcp' | 'postgres' | 'mysql'

/** A protected upstream as policies and people see it. Where it listens and how we log in there is the protocol's business. */
export interface Service {
  readonly name: string
  readonly protocol: Protocol
  readonly labels: Readonly<Record<string, string>>
}
