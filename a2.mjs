import { world } from './world.mjs'
const newest = process.argv[2] === '18'
const rules = [{ name: 'all', then: 'allow', actions: ['sql.select', 'sql.explain', 'sql.copy.out', 'sql.ddl', 'sql.insert','sql.update','sql.delete','sql.merge','sql.lock'], tables: { not: ['public.secret'] }, mask: { 'public.users.ssn': 'redact' } }]
const { w, open, run } = await world({ rules }, newest)
let c = await open()
const seqs = [
 ['PREPARE p AS SELECT ssn, id FROM users', 'CREATE TABLE x1 AS EXECUTE p', 'SELECT * FROM x1'],
 ['CREATE TEMP TABLE x2 AS SELECT ssn FROM users', 'SELECT * FROM x2'],
 ['CREATE TEMP VIEW x3 AS SELECT ssn AS q FROM users', 'SELECT q FROM x3'],
 ['BEGIN', 'CREATE VIEW x4 AS SELECT id AS q FROM users', 'COMMIT', 'BEGIN', 'CREATE OR REPLACE VIEW x4 AS SELECT ssn::int AS q FROM users', 'SELECT q::text FROM x4', 'ROLLBACK'],
 ['ALTER TABLE users ALTER name TYPE text USING ssn', 'SELECT id, name FROM users'],
 ['ALTER TABLE users ADD COLUMN cp text GENERATED ALWAYS AS (ssn) STORED', 'SELECT cp FROM users'],
 ['ALTER TABLE users ALTER mail SET DEFAULT $$x$$', 'CREATE INDEX ix ON users (ssn)', 'CREATE INDEX ix2 ON users ((ssn::int))'],
 ['ALTER TABLE users ADD CONSTRAINT cc CHECK (ssn NOT LIKE $$12%$$)', 'ALTER TABLE users ADD CONSTRAINT cc2 CHECK (ssn NOT LIKE $$55%$$)'],
 ['CREATE RULE "_RETURN2" AS ON INSERT TO orders DO ALSO INSERT INTO orders SELECT 5, ssn FROM users', 'CREATE TRIGGER tg BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'],
 ['CREATE POLICY pp ON users USING (ssn LIKE $$1%$$)', 'CREATE STATISTICS st ON ssn, name FROM users'],
 ['CREATE MATERIALIZED VIEW mv AS SELECT id FROM users WHERE ssn LIKE $$1%$$', 'CREATE VIEW vv AS SELECT id FROM users WHERE ssn LIKE $$1%$$', 'SELECT * FROM vv'],
 ['CREATE TABLE part_of (LIKE users)', 'ALTER TABLE users INHERIT part_of', 'SELECT ssn, ssn||$$$$ FROM part_of'],
 ['CREATE TABLE base (ssn text)', 'ALTER TABLE users INHERIT base', 'SELECT ssn || $$$$ FROM base', 'SELECT ssn FROM base'],
 ['BEGIN', 'ALTER TABLE users NO INHERIT base', 'CREATE TABLE base2 (ssn text)','ALTER TABLE users INHERIT base2', 'SELECT ssn || $$$$ FROM base2','ROLLBACK'],
 ['BEGIN', 'ALTER TABLE users RENAME COLUMN ssn TO zz', 'SELECT zz FROM users', 'SELECT zz || $$$$ FROM users', 'SELECT id FROM users WHERE zz LIKE $$1%$$', 'ROLLBACK'],
 ['BEGIN', 'ALTER TABLE users RENAME COLUMN name TO nm','ALTER TABLE users RENAME COLUMN ssn TO name', 'SELECT name FROM users', 'SELECT name || $$$$ FROM users', 'SELECT id FROM users WHERE name LIKE $$1%$$', 'ROLLBACK'],
 ['BEGIN', 'ALTER TABLE orders RENAME TO orders2', 'ALTER TABLE users RENAME TO orders', 'SELECT id, mail FROM orders', 'SELECT orders::text FROM orders', 'ROLLBACK'],
 ['BEGIN', 'ALTER TABLE secret RENAME TO s2', 'ROLLBACK'],
 ['CREATE TABLE pub (id int, v text)', 'BEGIN', 'DROP TABLE pub', 'ROLLBACK; SELECT * FROM pub'],
 ['BEGIN', 'CREATE TEMP TABLE secret (id int, v text)', 'SELECT * FROM secret', 'ROLLBACK; SELECT * FROM secret'],
 ['ROLLBACK','BEGIN', 'CREATE TEMP TABLE secret (id int, v text) ON COMMIT DROP', 'SELECT * FROM secret', 'COMMIT; SELECT * FROM secret'],
 ['ROLLBACK','BEGIN', 'SAVEPOINT a', 'CREATE TEMP TABLE secret (id int, v text)', 'SELECT * FROM secret', 'ROLLBACK TO a; SELECT * FROM secret', 'ROLLBACK'],
 ['CREATE TEMP TABLE secret (id int, v text)', 'PREPARE q AS SELECT * FROM secret', 'EXECUTE q', 'DROP TABLE pg_temp.secret', 'EXECUTE q'],
 ['CREATE TEMP TABLE secret (id int, v text)', 'DECLARE c CURSOR WITH HOLD FOR SELECT * FROM secret', 'DISCARD TEMP', 'SELECT * FROM secret'],
 ['CREATE TEMP TABLE kid () INHERITS (secret)', 'CREATE TEMP TABLE t5 (LIKE secret)', 'CREATE TABLE t6 PARTITION OF secret DEFAULT'],
 ['CREATE TABLE t7 (id int, v text)', 'ALTER TABLE secret INHERIT t7', 'SELECT * FROM t7'],
 ['COPY (SELECT id FROM users WHERE ssn LIKE $$1%$$) TO STDOUT', 'COPY users (id) TO STDOUT'],
 ['UPDATE users SET name = name WHERE id=1 RETURNING (SELECT string_agg(ssn, $$,$$) FROM users)', 'INSERT INTO users (id, ssn) VALUES (1, $$x$$) ON CONFLICT (id) DO UPDATE SET name = users.ssn', 'INSERT INTO users (id, ssn) VALUES (1, $$x$$) ON CONFLICT (id) DO UPDATE SET mail = excluded.ssn WHERE users.ssn LIKE $$1%$$'],
 ['MERGE INTO orders o USING users u ON o.id = u.id WHEN MATCHED AND u.ssn LIKE $$1%$$ THEN UPDATE SET note = $$hit$$', 'MERGE INTO orders o USING (SELECT id, ssn AS note FROM users) u ON o.id = u.id WHEN MATCHED THEN UPDATE SET note = u.note'],
 ['DELETE FROM users USING orders WHERE users.ssn = orders.note', 'WITH x AS (INSERT INTO orders (note) SELECT ssn FROM users RETURNING note) SELECT * FROM x'],
 ['CREATE SCHEMA s9 CREATE VIEW s9v AS SELECT * FROM public.secret', 'CREATE SCHEMA s10 CREATE TABLE t (a int) CREATE VIEW v AS SELECT ssn FROM public.users', 'SELECT * FROM s9.s9v'],
 ['ALTER VIEW ov SET (security_invoker = true)', 'ALTER VIEW sv RENAME TO ov9', 'CREATE OR REPLACE VIEW ov AS SELECT id, v AS note FROM secret', 'SELECT * FROM ov'],
 ['REFRESH MATERIALIZED VIEW mv', 'CLUSTER users', 'VACUUM users', 'ANALYZE users'],
]
for (const seq of seqs) { if (c._ending || !c._connected && c._connectionError) c = await open(); console.log('--'); for (const sql of seq) { const r = await run(c, sql); console.log(sql, '\n    =>', r); if (/connection error|not queryable|terminated/.test(r)) { c = await open() } } await run(c, 'ROLLBACK') }
await c.end()
await w[Symbol.asyncDispose]()
