import { z } from 'zod'
import { terminalText } from '../lib/terminal-text.ts'
import type { ApiClient } from './api-client.ts'
import { exit, Failure } from './io.ts'

/** What the command line reads of the server's answers. More may be in them, and is passed on with `-o json`. */
const principal = z.looseObject({ issuer: z.string(), subject: z.string(), kind: z.string(), name: z.string().optional(), email: z.string().optional(), owner: z.looseObject({ issuer: z.string(), subject: z.string() }).optional() })

const impactShape = z.looseObject({ estimatedRows: z.number().optional(), exactRows: z.number().optional(), unfiltered: z.boolean().optional(), keepsLocks: z.boolean().optional(), notes: z.array(z.string()) })

const summaryShape = z.looseObject({ id: z.string(), code: z.string(), state: z.string(), service: z.string(), verb: z.string(), preview: z.string(), digest: z.string(), caller: principal, deadline: z.string(), approvals: z.object({ given: z.number(), needed: z.number() }), impact: impactShape.optional(), mayVote: z.boolean() })
const pageShape = z.looseObject({ holds: z.array(summaryShape), next: z.string().optional() })

const someone = z.looseObject({ issuer: z.string(), subject: z.string(), name: z.string().optional() })

const partShape = z.looseObject({ verb: z.string(), verbs: z.array(z.string()), text: z.string(), impact: impactShape.optional(), resources: z.array(z.looseObject({ kind: z.string(), name: z.string(), access: z.string() })) })

const detailShape = z.looseObject({
  id: z.string(),
  code: z.string(),
  revision: z.number(),
  state: z.string(),
  action: z.looseObject({ protocol: z.string(), service: z.string(), place: z.looseObject({ database: z.string(), role: z.string() }).optional(), verb: z.string(), verbs: z.array(z.string()).optional(), tags: z.array(z.string()), impact: impactShape.optional(), parts: z.array(partShape).optional(), text: z.string(), textCut: z.boolean(), digest: z.string(), resources: z.array(z.looseObject({ kind: z.string(), name: z.string(), access: z.string(), tags: z.array(z.string()) })) }),
  caller: principal.extend({ address: z.string(), onBehalfOf: z.array(principal) }),
  matched: z.array(z.looseObject({ policy: z.string(), rule: z.string(), verdict: z.string(), because: z.string().optional() })),
  terms: z.looseObject({ requirements: z.array(z.looseObject({ groups: z.array(z.string()), users: z.array(z.looseObject({ subject: z.string() })), automations: z.array(z.looseObject({ subject: z.string() })).optional(), count: z.number(), assurance: z.string().optional(), channels: z.array(z.string()).optional(), freshLoginMs: z.number().optional(), escalation: z.looseObject({ afterMs: z.number(), groups: z.array(z.string()), users: z.array(z.looseObject({ subject: z.string() })) }).optional() })), drift: z.looseObject({ factor: z.number().optional(), rows: z.number().optional() }).optional(), askReason: z.boolean(), irreversible: z.boolean().optional() }),
  marks: z.array(z.looseObject({ what: z.string(), at: z.string(), by: someone.optional(), to: z.looseObject({ group: z.string().optional(), subject: z.string().optional() }).optional(), reason: z.string().optional(), note: z.string().optional(), skipped: z.looseObject({ groups: z.array(z.string()), users: z.array(z.looseObject({ subject: z.string() })) }).optional() })).default([]),
  offers: z.array(z.string()).default([]),
  reviewBy: z.string().optional(),
  votes: z.array(z.looseObject({ verdict: z.string(), brokeGlass: z.boolean().optional(), together: z.number().optional(), by: z.looseObject({ issuer: z.string(), subject: z.string(), name: z.string().optional() }), channel: z.string(), reason: z.string().optional(), at: z.string() })),
  openedAt: z.string(),
  deadline: z.string(),
  history: z.looseObject({ alike: z.record(z.string(), z.number()), others: z.record(z.string(), z.number()), complete: z.boolean(), last: z.looseObject({ code: z.string(), state: z.string() }).optional(), denied: z.looseObject({ code: z.string(), by: z.looseObject({ subject: z.string(), name: z.string().optional() }), reason: z.string().optional() }).optional() }).optional(),
  grantable: z.looseObject({ times: z.number(), rows: z.number().optional(), withinMs: z.number(), pattern: z.string() }).optional(),
  granted: z.looseObject({ id: z.string(), times: z.number(), until: z.string(), ended: z.string().optional() }).optional(),
  waiting: z.boolean().optional(),
  runBy: z.string().optional(),
  statedReason: z.string().optional(),
  opinions: z.array(z.looseObject({ advisor: z.string(), text: z.string() })).default([]),
  obstacle: z.string().optional(),
  why: z.string().optional(),
  outcome: z.looseObject({ result: z.string(), status: z.string().optional() }).optional(),
})

export type ShownImpact = z.infer<typeof impactShape>
export type HoldSummary = z.infer<typeof summaryShape>
export type HoldDetail = z.infer<typeof detailShape>

export const checkedAnswer = <T>(shape: z.ZodType<T>, value: unknown): T => {
  const result = shape.safeParse(value)
  if (!result.success) throw new Failure('the server answers in a way that this version does not know; is it of the same version?')
  return result.data
}

/** Pages of holds, newest first, up to so many in all. */
export const listHolds = async (client: ApiClient, query: Readonly<Record<string, string>>, limit: number): Promise<readonly HoldSummary[]> => {
  const holds: HoldSummary[] = []
  let after: string | undefined
  do {
    const parameters = new URLSearchParams({ ...query, limit: String(Math.min(100, limit - holds.length)), ...(after === undefined ? {} : { after }) })
    const page = checkedAnswer(pageShape, await client.get(`/api/holds?${parameters}`))
    holds.push(...page.holds)
    after = page.next
  } while (after !== undefined && holds.length < limit)
  return holds
}

export const getHold = async (client: ApiClient, id: string): Promise<HoldDetail> => checkedAnswer(detailShape, await client.get(`/api/holds/${id}`))

export const postHold = async (client: ApiClient, id: string, what: 'votes' | 'withdraw' | 'break-glass' | 'review' | 'hand-over', body: unknown): Promise<HoldDetail> => checkedAnswer(detailShape, await client.post(`/api/holds/${id}/${what}`, body))

/** The id that was meant: an id itself, or a short code if only one open hold (or else only one hold at all) has it. */
export const resolveHold = async (client: ApiClient, text: string): Promise<string> => {
  if (!/^CS-/i.test(text)) {
    if (!/^[A-Za-z0-9_-]{1,100}$/.test(text)) throw new Failure(`'${terminalText(text)}' is neither an id nor a code`, exit.usage)
    return text
  }
  const code = text.toUpperCase()
  for (const query of [{ state: 'pending,approved,running' }, {}] as const) {
    const found = (await listHolds(client, query, 1_000)).filter((hold) => hold.code === code)
    if (found.length > 1) throw new Failure(`${code} is the code of more than one hold; use the id: ${found.map(({ id }) => terminalText(id)).join(', ')}`, exit.usage)
    if (found[0]) return found[0].id
  }
  throw new Failure(`there is no hold ${terminalText(code)} that you may see`)
}
