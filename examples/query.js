// What an agent's code looks like that uses PostgreSQL through Countersign: as without it. The password is the agent's token.
// The place comes from PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD, as with psql.
import pg from 'pg'

const say = (kind, { message, hint }) => console.error(`${kind}:  ${message}${hint === undefined ? '' : `\nHINT:  ${hint}`}`)

const [sql] = process.argv.slice(2)
const client = new pg.Client()
client.on('notice', (notice) => say('NOTICE', notice)) // that it waits, and where it is decided
try {
  await client.connect()
  const results = [await client.query(sql ?? 'select 1')].flat() // several statements have several
  for (const { command, rowCount, rows } of results) {
    if (rows.length > 0) console.table(rows)
    else console.log(command, rowCount)
  }
} catch (error) {
  say('ERROR', error) // why not, and what to do instead
  process.exitCode = 1
} finally {
  await client.end()
}
