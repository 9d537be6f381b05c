import { world } from './world.mjs'
const newest = process.argv[2] === '18'
const { w, open, run } = await world({}, newest)
const c = await open()
const list = `
SELECT * FROM users
SELECT id, CASE WHEN ssn LIKE '1%' THEN 'yes' END FROM users
SELECT id, nullif(ssn, '123-45-6789') FROM users
SELECT id, regexp_matches(ssn, '^1') FROM users
SELECT id, (tags).unnest FROM users
SELECT note::text FROM users note WHERE EXISTS (SELECT 1 FROM orders)
SELECT (note).ssn || '' FROM users note WHERE EXISTS (SELECT 1 FROM orders)
SELECT note::text FROM (users JOIN (SELECT 1 AS k) z ON true) AS note WHERE EXISTS (SELECT 1 FROM orders)
SELECT id FROM (SELECT id, (ssn||'')::name FROM users) q WHERE q.name LIKE '1%'
SELECT id FROM (SELECT id, name(ssn) FROM users) q WHERE name LIKE '1%'
SELECT note FROM (SELECT id, note FROM orders UNION ALL SELECT id, ssn FROM users) q WHERE note LIKE '12%'
SELECT NULL::text, '555' UNION ALL SELECT 'x', ssn FROM users ORDER BY 2
SELECT id, 1/(CASE WHEN ssn LIKE '1%' THEN 0 ELSE 1 END) FROM users WHERE id = 1
SELECT id, 1/(CASE WHEN ssn LIKE '1%' THEN 0 ELSE 1 END) FROM users WHERE id = 2
SELECT agg_bump(note) FROM orders
SELECT count(*) FROM orders WHERE id = 99
SELECT * FROM hasdom
SELECT 'a'::mood = 'x'::text
SELECT count(*) FROM orders WHERE id = 66
SELECT query FROM pg_stat_get_activity(null)
SELECT pg_stat_get_backend_activity(1)
SELECT rolpassword FROM pg_authid
SELECT passwd FROM pg_shadow
SELECT * FROM pg_hba_file_rules
SELECT * FROM pg_file_settings
SELECT * FROM events
SELECT * FROM sv
SELECT most_common_vals FROM pg_stats WHERE tablename='secret'
SELECT query FROM pg_stat_activity
SELECT sd()
SELECT * FROM pg_toast.pg_toast_1262
EXPLAIN (ANALYZE, VERBOSE) SELECT ssn FROM users
EXPLAIN (VERBOSE) SELECT * FROM secret
SELECT count(*) FROM users u, orders o WHERE u.id = o.user_id
SELECT ts_headline(ssn, to_tsquery('x')) FROM users
SELECT string_agg(id::text, ',' ORDER BY id) , repeat(max(ssn), 3) FROM users
SELECT id FROM users u WHERE u IS NOT NULL
SELECT id, ssn IS NULL FROM users
SELECT id, num_nulls(ssn) FROM users
SELECT id, (ssn < '5')::text FROM users
SELECT id, generate_series(1, length(ssn)) FROM users
SELECT o.note FROM orders o LEFT JOIN LATERAL (SELECT ssn FROM users u WHERE u.id = o.user_id LIMIT 1) x ON true
SELECT grouping(ssn), ssn FROM users GROUP BY GROUPING SETS ((ssn), ())
WITH q(a) AS (SELECT ssn FROM users) SELECT 1 FROM q WHERE a LIKE '1%'
SELECT 1 FROM users u JOIN LATERAL (SELECT u.ssn) x(name) ON x.name LIKE '1%'
SELECT 1 FROM users u, LATERAL (VALUES (u.ssn)) x WHERE column1 LIKE '1%'
SELECT id FROM users, LATERAL (SELECT ssn UNION ALL SELECT '') x WHERE ssn = '1'
SELECT xmltable FROM users
SELECT x.* FROM users u, XMLTABLE('/r' PASSING (xmlelement(name r, u.ssn)) COLUMNS name text PATH '.') x
SELECT 1 FROM users u, XMLTABLE('/r' PASSING (xmlelement(name r, u.ssn)) COLUMNS name text PATH '.') x WHERE x.name LIKE '1%'
VALUES ((SELECT ssn FROM users LIMIT 1))
SELECT * FROM information_schema.columns LIMIT 1
SELECT ssn FROM users FETCH FIRST 1 ROWS WITH TIES
SELECT ssn FROM users ORDER BY id FETCH FIRST (SELECT length(ssn) FROM users WHERE id=1) ROWS ONLY
`.trim().split('\n')
for (const sql of list) console.log(sql, '\n    =>', await run(c, sql))
await c.end()
await w[Symbol.asyncDispose]()
