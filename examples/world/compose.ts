/** The parts of the tour that docker-compose.yml runs beside Countersign: `compose.ts idp | api | tour`. */
import { renameSync, writeFileSync } from 'node:fs'
import { startIdp } from './idp.ts'
import { agents, introduction, users } from './people.ts'
import { startSampleApi } from './sample-api.ts'
import { tourText } from './tour.ts'

const everywhere = '0.0.0.0'

const idp = async (): Promise<void> => {
  const { issuer } = await startIdp({ host: everywhere, port: 8082, issuer: 'http://127.0.0.1:8082', users, agents, tokenSeconds: 3_600 })
  const keys = await (await fetch(`${issuer}/jwks`)).text()
  writeFileSync('/shared/jwks.json.new', keys)
  renameSync('/shared/jwks.json.new', '/shared/jwks.json')
  process.stdout.write(`identity provider at ${issuer}: ${introduction()}\n`)
}

const tour = (): void => {
  const text = tourText({
    base: 'http://127.0.0.1:8080',
    agentToken: '$TOKEN',
    before: [
      `TOKEN=$(curl -s -u invoice-agent:invoice-agent-secret -d grant_type=client_credentials http://127.0.0.1:8082/token | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')`,
      'npx countersign login --server http://127.0.0.1:8081      (log in as bob; any password)',
    ],
    asBob: '',
    afterwards: ['A second replica listens on http://127.0.0.1:8090: repeat the waiting call there, and it joins the same hold.', 'The audit stream: docker compose exec redis redis-cli xrange countersign:audit - +'],
  })
  process.stdout.write(`\n${introduction()}\n\n${text}\n`)
}

const parts: Readonly<Record<string, () => unknown>> = { idp, api: () => startSampleApi({ host: everywhere, port: 8083 }), tour }
const part = parts[process.argv[2] ?? '']
if (part === undefined) throw new Error(`one of ${Object.keys(parts).join(', ')}`)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(0))
await part()
