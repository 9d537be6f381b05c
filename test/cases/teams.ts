import { conversation, startTeams, type FakeTeams, type Person } from '../channels/teams/fake-teams.ts'
import { inTheEnd, until } from '../support/until.ts'
import { digestOfHold, send, settleOrHeld } from './exchange.ts'
import { isTree, type Tree } from './loader.ts'
import { api, ask, holdOf, openHold, statusText, type Observation } from './observation.ts'
import { fail, pending } from './outcome.ts'
import { makeToken, tenants } from './principals.ts'
import type { Profile } from './profile.ts'
import { expand } from './text.ts'
import { put } from './translate.ts'

/* Clicks on cards in Microsoft Teams: the bot of the profile, the Connector, and people of the directory. */

const home = tenants['tenant-1'] ?? ''
const approver: Person = { id: '29:o-appr-a', object: 'o-appr-a' }

/** Approvals by chat are good enough where a chat is looked at. */
export const startTeamsFor = async () => {
  const fake = await startTeams(home)
  fake.people.set(approver.id, approver)
  const { appId, serviceUrl, connector, payload } = fake.options()
  return {
    fake,
    env: { CASES_BOT: fake.appSecret },
    change({ config, policies }: Profile): void {
      put(config, ['listeners', 'console', 'sign-in'], { issuer: 'dir', 'client-id': 'countersign' })
      put(config, ['channels', 'chat'], {
        kind: 'teams-bot', 'app-id': appId, 'app-secret': '${env:CASES_BOT}', tenant: home, issuer: 'dir', conversation, 'service-url': serviceUrl, payload, 'private-addresses': true,
        connector: { 'jwks-url': connector.jwksUrl, 'token-url': connector.tokenUrl, 'service-hosts': connector.serviceHosts },
      })
      for (const rule of policies.flatMap(({ rules }) => rules)) if (rule.then === 'hold') put(rule, ['approval', 'assurance'], 'chat')
    },
    [Symbol.asyncDispose]: () => fake[Symbol.asyncDispose](),
  }
}

const request = (activity: Tree, token: string | undefined): string => {
  const body = JSON.stringify(activity)
  return [`POST /teams/activities HTTP/1.1`, 'Host: console.test', ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]), 'Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`, 'Connection: close', '', body].join('\r\n')
}

const apps: Readonly<Record<string, 'ours' | 'another'>> = { 'app-1': 'ours', 'app-2': 'another' }

/** The token that an item of the cases describes; `undefined`: none. */
const tokenOf = async (teams: FakeTeams, given: unknown, seen: Observation): Promise<string | undefined> => {
  if (given === 'none') return undefined
  if (given === 'valid') return await teams.token()
  if (!isTree(given)) return pending(`no token is ${String(given)}`)
  const { iss, aud, serviceurl, exp, ...rest } = given
  if (Object.keys(rest).length > 0) pending(`no way yet to make a token with ${Object.keys(rest).join()}`)
  const app = apps[String(aud)] ?? pending(`no app is ${String(aud)}`)
  return await teams.token({ iss, ...(app === 'ours' ? {} : { aud: 'bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee' }), ...(serviceurl === undefined ? {} : { serviceurl }), ...(exp === undefined ? {} : { exp: Number(expand(String(exp), seen.sender)) }) })
}

/** One click, as an item of the cases says; before it a good one on another hold, which must count, or a refusal would show nothing. */
export const clickInTeams = async (seen: Observation, given: Tree): Promise<void> => {
  const { world, sender } = seen
  const teams = world.teams ?? fail('there is no Teams')
  const { action, approval, token, from, ...rest } = given
  if (Object.keys(rest).length > 0 || action !== 'approve') pending(`no way yet to click with ${Object.keys(rest).join() || String(action)}`)
  const known = await ask(world, 'console', `GET /api/whoami HTTP/1.1\r\nHost: console.test\r\nAuthorization: Bearer ${makeToken({ issuer: 'dir', claims: { tid: 'tenant-1', oid: approver.object, groups: ['approvers'] } }, world.now())}\r\nConnection: close\r\n\r\n`)
  if (statusText(known) !== '200') fail(`the approver of the directory was answered ${statusText(known)}`)

  const control = openHold(sender, 'req-a', '/admin/control', 'control')
  await settleOrHeld(sender, control, 3_000)
  const on = (hold: string): Tree => ({ hold, digest: digestOfHold(world, hold) })
  await until('a good click to count', async () => {
    // Who came with a token is written down while they are answered.
    await ask(world, 'console', request(teams.click(approver, 'approve', on(control.hold ?? '')), await teams.token()), { method: 'POST' })
    const state = await api(world, 'appr-b', 'GET', `/api/holds/${control.hold ?? ''}`)
    return typeof state === 'object' && state.body.includes('"state":"approved"')
  }, 5_000).catch((error: Error) => fail(error.message))

  const who: Person = isTree(from) ? { id: `29:${String(from['aad_object_id'])}`, object: String(from['aad_object_id']), tenant: tenants[String(from['tenant'])] ?? pending(`no tenant is called ${String(from['tenant'])}`) } : approver
  const text = request(teams.click(who, 'approve', on(holdOf(seen, String(approval)))), await tokenOf(teams, token, seen))
  const exchange = send(sender, { bytes: Buffer.from(text), method: 'POST', listener: 'console', as: undefined, user: undefined, absent: false }, { ref: 'click' })
  exchange.reply = await exchange.wire.reply(exchange.index, inTheEnd, 'POST')
}
