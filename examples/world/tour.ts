import { styleText } from 'node:util'

export interface TourPlaces {
  /** Base URL that agents use. */
  readonly base: string
  /** How a shell gets the agent's token. */
  readonly agentToken: string
  /** The line by which a shell sends a statement as the agent. */
  readonly query?: (sql: string) => string
  /** What has to be done before, one command a line. */
  readonly before: readonly string[]
  /** Options by which the CLI finds the server and bob's login. */
  readonly asBob: string
  /** Where bob decides with a browser, if he can. */
  readonly console?: string
  readonly afterwards: readonly string[]
}

interface DatabasePlace {
  readonly port: number
  /** The file with the agent's token. */
  readonly token: string
}

/** How a statement is sent with psql. */
export const byPsql = ({ port, token }: DatabasePlace) => (sql: string): string => `PGPASSWORD=$(cat ${token}) psql "host=127.0.0.1 port=${port} dbname=crm user=agent" -c "${sql}"`

/** The same with node-postgres, for machines without psql. */
export const byNode = ({ port, token }: DatabasePlace) => (sql: string): string => `PGPASSWORD=$(cat ${token}) PGHOST=127.0.0.1 PGPORT=${port} PGDATABASE=crm PGUSER=agent node examples/query.js "${sql}"`

const heading = (text: string): string => styleText('bold', text)

/** The same with a database: one statement that is masked, one that is denied, one that waits. */
const databaseText = (query: (sql: string) => string): readonly string[] => [
  '',
  heading('The same for a database (any driver will do; the token is the password):'),
  '',
  '4. The agent reads customers. What is personal comes as a hash.',
  `   ${query('select * from customers')}`,
  '',
  '5. It reads salaries. Denied, with a reason.',
  `   ${query('select * from salaries')}`,
  '',
  '6. It deletes an order. That waits as well, and a notice with the code says so. Once approved it runs, on the same connection.',
  `   ${query('delete from orders where id = 7')}`,
]

/** The commands to paste: one call that is allowed, one that is denied, one that waits. */
export const tourText = ({ base, agentToken, query, before, asBob, console, afterwards }: TourPlaces): string => {
  const agent = `-H "Authorization: Bearer ${agentToken}"`
  const json = (body: string): string => `-H 'Content-Type: application/json' -d '${body}'`
  return [
    heading('Paste these into a second terminal, in this folder:'),
    ...(before.length > 0 ? ['', ...before.map((line) => `   ${line}`)] : []),
    '',
    '1. The agent reads orders. Harmless, so it just works.',
    `   curl -s ${base}/v1/orders ${agent}`,
    '',
    '2. The agent changes settings. Denied, with a reason and what to do instead.',
    `   curl -s -X PUT ${base}/admin/settings ${agent} ${json('{"refunds":"manual"}')}`,
    '',
    '3. The agent refunds an order. That changes production, so the call waits for somebody of `oncall`.',
    `   curl -s ${base}/v1/orders/o-1003/refund ${agent} ${json('{"reason":"arrived broken"}')}`,
    ...(query === undefined ? [] : databaseText(query)),
    '',
    ...(console === undefined
      ? [heading('While it waits, in a third terminal in this folder, as bob of `oncall`:')]
      : [heading('While it waits, decide as bob of `oncall`. In a browser:'), '', `   ${console}   (log in as bob; any password)`, '', heading('Or in a third terminal in this folder:')]),
    '',
    `   npx countersign holds ls ${asBob}`,
    `   npx countersign holds approve CS-XXXX ${asBob}`,
    '',
    'CS-XXXX is the code that ls shows; approve asks you to type it again. The waiting command answers at that moment. Without an answer for 50 s curl says so, and the same command again joins the same hold.',
    ...afterwards,
  ].join('\n')
}
