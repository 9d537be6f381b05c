// What an agent's code looks like that uses PostgreSQL through Countersign: as without it. The password is the agent's token.
// The place comes from PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD, as with psql.
import pg from 'pg'

const [sql] = process.argv.slice(2)
const client = new pg.Client()
client.on('notice', ({ message, hint }) => console.error(`NOTICE:  ${message}\nHINT:  ${hint}`)) // a statement that waits says so
await client.connect()
try {
  const { command, rowCount, rows } = await client.query(sql)
  if (rows.length > 0) console.table(rows)
  else console.log(command, rowCount)
} catch (error) {
  console.error(`ERROR:  ${error.message}\nHINT:  ${error.hint}`) // a denial says why, and what to do instead
  process.exitCode = 1
} finally {
  await client.end()
}
