import { setImmediate as turn } from 'node:timers/promises'
import { caseAction } from '../../src/cli/case-action.ts'
import { policyWorld } from '../../src/config/policies.ts'
import type { Action } from '../../src/model/action.ts'
import type { Caller } from '../../src/model/caller.ts'
import { loadPolicies } from '../../src/policy/load.ts'
import type { ExplainingPolicySet } from '../../src/policy/policy-set.ts'
import { draws } from './draws.ts'
import { fail } from './outcome.ts'

/* monotonic-deny: one more deny never lets more through, one more approve never lets through what was denied, and order is nothing. */

const hosts = ['one', 'two', 'three']
const methods = ['GET', 'POST', 'PUT', 'DELETE']
const globs = ['/**', '/a', '/a/**', '/a/*', '/*/b', '/**/b', '/b/**', '/a/b', '/a/*/c', '/b*']
const targets = ['/', '/a', '/a/', '/a/b', '/b', '/bb', '/b/c', '/a/x/c', '/c/b', '/a/b/c', '/x/y/b', '/a%2fb']
const groups = ['dev', 'approvers', 'security']

export interface Bounds {
  readonly runs: number
  readonly requests: number
}

type Rule = Record<string, unknown>

const strict: Readonly<Record<string, number>> = { allow: 0, hold: 1, deny: 2 }

const decisions = (policies: ExplainingPolicySet, asked: readonly (readonly [Caller, Action])[]): readonly string[] => asked.map(([caller, action]) => policies.decide(caller, action, 0).verdict)

/** What was compared, in words. */
export const monotonicDeny = async (seed: number, { runs, requests }: Bounds): Promise<string> => {
  const draw = draws(seed)
  const among = <T>(all: readonly T[]): T => all[Math.floor(draw() * all.length)] as T
  const world = policyWorld({ services: hosts.map((name) => ({ name, protocol: 'http' as const, labels: {} })), groups, issuers: [{ name: 'idp-a', issuers: ['https://idp-a.test'] }], channels: ['console'] })
  const rule = (then: string, index: number): Rule => ({
    name: `r${index}`,
    then,
    ...(then === 'hold' ? { approval: { from: { groups: ['approvers'] }, within: '15m' } } : {}),
    methods: then === 'hold' ? [among(methods.slice(1))] : methods.filter(() => draw() < 0.6).concat(among(methods)).filter((one, at, all) => all.indexOf(one) === at),
    paths: [among(globs), among(globs)].filter((one, at, all) => all.indexOf(one) === at),
    ...(draw() < 0.5 ? { callers: { groups: [among(groups)] } } : then === 'allow' ? { callers: { kind: ['human'] } } : {}),
  })
  const load = (rules: readonly (readonly [string, Rule])[]): ExplainingPolicySet => {
    const files = hosts.flatMap((host) => {
      const own = rules.filter(([name]) => name === host).map(([, one]) => one)
      return own.length === 0 ? [] : [{ file: `${host}.yaml`, text: JSON.stringify({ policy: `p-${host}`, services: [host], rules: own }) }]
    })
    const loaded = loadPolicies(files, world)
    return loaded.policies ?? fail(`seed ${seed}: random rules do not load: ${loaded.problems[0]?.message}`)
  }
  const untagged = (): readonly string[] => []
  const actions = hosts.flatMap((host) => methods.flatMap((method) => targets.flatMap((path) => {
    const action = caseAction(host, { method, path }, untagged)
    return typeof action === 'string' ? [] : [action]
  })))
  const callers = [[], ...groups.map((group) => [group]), ['dev', 'security']].map((own): Caller => ({ issuer: 'https://idp-a.test', subject: 'u', kind: 'human', groups: own, onBehalfOf: [], claims: {}, session: 's', authenticatedAt: 0, expiresAt: 1e15, address: '127.0.0.1' }))
  let compared = 0
  const found = new Set<string>()
  for (let run = 0; run < runs; run++) {
    await turn() // the cases beside this one measure time
    const rules = Array.from({ length: 1 + Math.floor(draw() * 8) }, (_, index): readonly [string, Rule] => [among(hosts), rule(among(['allow', 'allow', 'hold', 'deny']), index)])
    const asked = Array.from({ length: requests }, (): readonly [Caller, Action] => [among(callers), among(actions)])
    const before = decisions(load(rules), asked)
    const at = Math.floor(draw() * (rules.length + 1))
    const more = (then: string) => decisions(load(rules.toSpliced(at, 0, [among(hosts), rule(then, 99)])), asked)
    const [denied, held, turned] = [more('deny'), more('hold'), decisions(load(rules.toReversed()), asked)]
    const wrong = (what: string, index: number, now: string): never => fail(`seed ${seed}: ${what}: ${before[index]} became ${now} for ${asked[index]?.[1].service} ${asked[index]?.[1].verb}; ${JSON.stringify(rules)}`)
    for (const [index, verdict] of before.entries()) {
      compared++
      found.add(verdict)
      const [deny = '', hold = '', turn = ''] = [denied[index], held[index], turned[index]]
      if ((strict[deny] ?? 0) < (strict[verdict] ?? 0)) wrong('one more deny', index, deny)
      if (verdict === 'deny' && hold === 'allow') wrong('one more approve', index, hold)
      if (turn !== verdict) wrong('another order', index, turn)
    }
  }
  if (found.size < 3) fail(`only ${[...found].join()} came of ${compared} decisions`)
  return `${compared} decisions`
}
