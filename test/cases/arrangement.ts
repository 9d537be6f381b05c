import type { FakeTeams } from '../channels/teams/fake-teams.ts'
import { startPair } from '../stores/sentinel-pair.ts'
import { startBrowsers, type Browsers } from './browsers.ts'
import { certificate } from './certificate.ts'
import { hasAdvisor, startAdvisor, type AdvisorPlace } from './advisor.ts'
import { isTree, list, type Run } from './loader.ts'
import { demandPasskey, passkeyState } from './passkeys.ts'
import type { Profile } from './profile.ts'
import { secretSource } from './secrets.ts'
import { askAboutTokens, put } from './translate.ts'
import { startSlackFor, type SlackPlace } from './slack.ts'
import { startTeamsFor } from './teams.ts'
import type { WorldOptions } from './world.ts'

/* What a run needs of its world before the world starts, beside rules and settings. */

export interface Arrangement extends AsyncDisposable {
  readonly options: Partial<WorldOptions>
  readonly change: (profile: Profile) => void
  readonly files: (folder: string) => void
  readonly teams?: FakeTeams
  readonly slack?: SlackPlace
  readonly advisor?: AdvisorPlace
  readonly browsers?: Browsers
}

export const tokenState = 'a service-account token of svc-a exists'

const usesTls = ({ item }: Run): boolean => isTree(item['http']) && item['http']['sni'] !== undefined

/** Where it counts how often people are told. */
const tellsPeople = ({ expect }: Run): boolean => list(expect['that']).some((sentence) => String(sentence).startsWith('one notification'))

const usesSlack = (run: Run): boolean => tellsPeople(run) || speaksOfSlack(run)

const speaksOfSlack = ({ item }: Run): boolean => 'slack' in item || / Slack/.test(String(item['do'])) || list(item['steps']).some((step) => isTree(step) && ((isTree(step['send']) && 'slack' in step['send']) || (isTree(step['approve']) && step['approve']['via'] === 'slack') || (isTree(step['fault']) && step['fault']['target'] === 'slack')))

/** What of the arrangement is not in `given`: two runs with another one need two worlds. */
export const arrangementKey = (run: Run): string => (usesTls(run) ? 'tls' : '')

export const arrange = async (run: Run, area: string): Promise<Arrangement> => {
  const { given, item } = run
  await using begun = new AsyncDisposableStack()
  const opaque = given['state'] === tokenState || (isTree(given['settings']) && 'claims_refresh' in given['settings'])
  const tls = usesTls(run) ? await certificate() : undefined
  const secret = isTree(item['fault']) && item['fault']['target'] === 'secret' ? secretSource(String(item['fault']['kind'])) : undefined
  const processes = list(item['steps']).some((step) => isTree(step) && ((isTree(step['fault']) && String(step['fault']['target']).startsWith('proxy-')) || /kill -9 the proxy/.test(String(step['do']))))
  const sentinel = given['store'] === 'redis-sentinel' ? begun.use(await startPair()) : undefined
  const teams = 'teams' in item ? begun.use(await startTeamsFor()) : undefined
  const slack = usesSlack(run) ? begun.use(await startSlackFor(given)) : undefined
  const people = area === 'login' ? begun.use(await startBrowsers()) : undefined
  const advisor = hasAdvisor(given) ? begun.use(await startAdvisor()) : undefined
  const life = begun.move()
  return {
    options: { ...(people === undefined ? {} : { env: () => people.env }), ...(processes ? { processes } : {}), ...(opaque ? { opaque } : {}), ...(sentinel === undefined ? {} : { sentinel }), ...(secret === undefined ? {} : { env: () => secret.env }), ...(teams === undefined ? {} : { env: () => teams.env }), ...(slack === undefined ? {} : { env: () => slack.env }) },
    ...(slack === undefined ? {} : { slack }),
    ...(advisor === undefined ? {} : { advisor }),
    ...(teams === undefined ? {} : { teams: teams.fake }),
    ...(people === undefined ? {} : { browsers: people.browsers }),
    change(profile) {
      teams?.change(profile)
      people?.change(profile)
      slack?.change(profile)
      advisor?.change(profile)
      if (given['state'] === passkeyState) demandPasskey(profile)
      if (tls !== undefined) put(profile.config, ['listeners', 'http', 'tls'], { 'cert-file': tls.cert, 'key-file': tls.key })
      if (given['state'] === tokenState) askAboutTokens(profile)
      if (secret !== undefined) put(profile.config, ['services', 'app', 'credential'], secret.credential)
    },
    files: (folder) => secret?.write(folder),
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  }
}
