import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { caseAction } from '../../src/cli/case-action.ts'
import { sqlCaseAction } from '../../src/cli/sql-case-action.ts'
import { dispatch } from '../../src/cli/dispatch.ts'
import { policyCommands } from '../../src/cli/policy.ts'
import { protocolEnforces } from '../../src/config/policies.ts'
import { listed } from '../cli/listed.ts'
import { isTree, list, type Tree } from './loader.ts'
import type { Observation } from './observation.ts'
import { fail, pending } from './outcome.ts'
import { issuerUrls, people } from './principals.ts'
import { shiftOf } from './translate.ts'

/* `policy_test` items: written down as cases beside the policy of the profile, and run by `countersign policy test`. */

const principal = (name: unknown): Tree => {
  const { sub, groups } = people[String(name)] ?? pending(`no principal is called ${String(name)}`)
  return { issuer: issuerUrls['idp-a'], subject: sub, kind: 'human', groups }
}

const after = (time: unknown): string => `${shiftOf(`+${String(time)}`)}ms`

/** Their word for how it ends, in ours: what was asked for is still what was asked for, and somebody said yes or nobody in time. */
const expectations: Readonly<Record<string, Tree>> = { allow: { decision: 'hold', state: 'approved' }, expired: { decision: 'hold', state: 'expired' } }

const caseOf = (item: Tree): Tree => {
  const { request, votes, at, expect, ...rest } = item
  if (Object.keys(rest).length > 0 || !isTree(request)) return pending(`a policy test has no ${Object.keys(rest).join()} here`)
  const { method, target, as, ...more } = request
  if (Object.keys(more).length > 0) return pending(`the request of a policy test has no ${Object.keys(more).join()} here`)
  const cast = list(votes).map((vote) => ({ by: principal((vote as Tree)['by']), at: after((vote as Tree)['at']) }))
  return {
    name: 'of the corpus',
    caller: principal(as),
    service: 'app',
    http: { method, path: target },
    ...(cast.length === 0 ? {} : { votes: cast }),
    ...(at === undefined ? {} : { at: after(at) }),
    expect: expect === null ? null : (expectations[String(expect)] ?? pending(`no expectation ${String(expect)}`)),
  }
}

/** What the product's own runner says. */
export const runPolicyTest = async (seen: Observation, item: Tree): Promise<void> => {
  const { world } = seen
  const folder = join(world.folder, 'policy-test')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'app.yaml'), stringify(world.profile.policies.find(({ policy }) => policy === 'app'), { aliasDuplicateObjects: false }))
  const groups = world.profile.config['groups']
  writeFileSync(join(folder, 'app.cases.yaml'), stringify({ world: { services: { app: {} }, groups, issuers: issuerUrls }, cases: [caseOf(item)] }, { aliasDuplicateObjects: false }))
  const [out, err] = [[] as string[], [] as string[]]
  const commands = policyCommands({ makeAction: caseAction, makeSql: sqlCaseAction, enforceable: protocolEnforces, readWorld: () => Promise.reject(new Error('no configuration is read here')) })
  const io = { stdout: { write: (text: string) => void out.push(text) }, stderr: { write: (text: string) => void err.push(text) }, stdin: (async function* () {})(), env: {}, cwd: folder, signal: new AbortController().signal }
  const code = await dispatch(listed(commands), ['policy', 'test', '.'], io)
  if (code !== 0 && code !== 4) fail(`the runner of the product did not run it: ${[...err, ...out].join('').slice(0, 300)}`)
  seen.test = { passed: code === 0, report: out.join('') }
}
