import type { IdpClient, IdpUser } from './idp.ts'

const person = (name: string, ...groups: readonly string[]): IdpUser => ({ name, email: `${name.toLowerCase()}@example.org`, groups })

/** Who lives in the tour's world. */
export const users: Readonly<Record<string, IdpUser>> = { alice: person('Alice', 'oncall'), bob: person('Bob', 'oncall', 'support', 'dba'), carol: person('Carol', 'security', 'dba', 'auditors') }
export const agents: readonly IdpClient[] = [{ id: 'invoice-agent', secret: 'invoice-agent-secret', groups: ['agents'] }]

export const introduction = (): string => `people: ${Object.entries(users).map(([id, user]) => `${id} (${user.groups.join(', ')})`).join(', ')}; agent: invoice-agent, owned by alice`
