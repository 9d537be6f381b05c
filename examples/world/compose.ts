/** The parts of the tour that docker-compose.yml runs beside Countersign: `compose.ts idp | api | tour`. */
import { renameSync, writeFileSync } from 'node:fs'
import { startIdp } from './idp.ts'
import { agents, introduction, users } from './people.ts'
import { startSampleApi } from './sample-api.ts'
import { tourText } from './tour.ts'

/** Where things are in the containers; elsewhere the environment says otherwise. */
const { LISTEN = '0.0.0.0', IDP_PORT = '8082', ISSUER = 'http://127.0.0.1:8082', API_PORT = '8083', JWKS_FILE = '/shared/jwks.json' } = process.env

const idp = async (): Promise<void> => {
  console.warn = console.info = () => {} // the provider's notices that it is for development; the tour says so itself
  const { issuer } = await startIdp({ host: LISTEN, port: Number(IDP_PORT), issuer: ISSUER, users, agents, tokenSeconds: 3_600 })
  writeFileSync(`${JWKS_FILE}.new`, await (await fetch(`http://127.0.0.1:${IDP_PORT}/jwks`)).text())
  renameSync(`${JWKS_FILE}.new`, JWKS_FILE)
  process.stdout.write(`identity provider at ${issuer}: ${introduction()}\n`)
}

const api = async (): Promise<void> => {
  const { url } = await startSampleApi({ host: LISTEN, port: Number(API_PORT) })
  process.stdout.write(`orders API at ${url}\n`)
}

const tour = (): void => {
  const server = '--server http://127.0.0.1:8081'
  const text = tourText({
    base: 'http://127.0.0.1:8080',
    agentToken: '$TOKEN',
    before: [
      `TOKEN=$(curl -s -u invoice-agent:invoice-agent-secret -d grant_type=client_credentials http://127.0.0.1:8082/token | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')`,
      `npx countersign login ${server}      (log in as bob; any password)`,
    ],
    query: (sql) => `docker compose exec -e PGPASSWORD=$TOKEN agent psql "host=127.0.0.1 port=6432 dbname=crm user=agent" -c "${sql}"`,
    asBob: server,
    afterwards: ['A second replica listens on http://127.0.0.1:8090: send the waiting call there as well, and it joins the same hold. It runs once.', 'The audit stream: docker compose exec redis redis-cli xrange countersign:audit - +'],
  })
  process.stdout.write(`\n${introduction()}\n\n${text}\n`)
}

const parts: Readonly<Record<string, () => unknown>> = { idp, api, tour }
const part = parts[process.argv[2] ?? '']
if (part === undefined) throw new Error(`one of ${Object.keys(parts).join(', ')}`)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(0))
await part()
