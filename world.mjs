import { startProxiedPostgres } from '/work/main/test/support/proxied-postgres.ts'
import { newestPostgres, findPostgres } from '/work/main/test/support/postgres-binaries.ts'
import pg from '/work/main/node_modules/pg/lib/index.js'
export const init = `
create table users (id int primary key, name text, ssn text, mail text, born date, vip boolean, tags text[]);
insert into users values (1,'Alice','123-45-6789','a@x.com','1980-01-01',true,array['aa','bb']),(2,'Bob','987-65-4321','b@x.com','1990-02-02',false,array['cc']),(3,'Cleo',null,null,null,null,null);
create table orders (id int, note text, user_id int, old text, "new" text); insert into orders values (1,'n1',1,'o','n'),(2,'n2',2,'o','n');
create table secret (id int, v text); insert into secret values (1,'TOPSECRET');
create table events (id int, what text); create table events_vip (hush text) inherits (events); insert into events values (1,'plain'); insert into events_vip values (2,'VIPSECRET','x');
create function bump(text, text) returns text language plpgsql as $$ begin insert into orders values (99, $2); return $2; end $$;
create aggregate agg_bump(text) (sfunc = bump, stype = text);
create type mood as enum ('a','b');
create function chk(text) returns boolean language plpgsql as $$ begin insert into orders values (77,$1); return true; end $$;
create domain dom as text check (chk(value));
create table hasdom (id int, d dom);
create view sv as select id, v from secret;
create view ov as select id, note from orders;
create function sd() returns text language sql security definer stable as 'select v from secret limit 1';
create function eqx(mood, text) returns boolean language plpgsql as $$ begin insert into orders values (66,$2); return true; end $$;

create view setv as select * from pg_settings;
analyze;
`
const agents = { groups: ['agents'] }
export const rules = [
  { name: 'read', then: 'allow', actions: ['sql.select', 'sql.explain', 'sql.copy.out'], tables: { not: ['public.secret', 'public.events_vip'] }, mask: { 'public.users.ssn': 'redact' } },
  { name: 'write', then: 'hold', actions: ['sql.insert','sql.update','sql.delete','sql.merge'], approval: { from: { groups: ['oncall'] }, within: '5m', 'run-within': '5m' } },
  { name: 'ddl', then: 'deny', actions: ['sql.ddl','sql.session'] },
]
export const world = async (over = {}, newest = false) => {
  const w = await startProxiedPostgres({ rules, ...over, postgres: { init, ...(newest ? { binaries: newestPostgres() } : {}), ...over.postgres } })
  const open = async () => { const c = new pg.Client({ host: w.host, port: w.port, user: 'x', database: 'crm', password: await w.token() }); c.on('error',()=>{}); c.on('notice', n=>{ c.notices=[...(c.notices??[]), n.message] }); await c.connect(); return c }
  const run = async (c, sql, values) => { try { const r = await c.query(values ? { text: sql, values, rowMode: 'array' } : { text: sql, rowMode: 'array' }); return (Array.isArray(r)? r : [r]).map(x => JSON.stringify(x.rows)).join(' | ').slice(0, 400) } catch (e) { return `${e.code} ${e.message} ${e.hint ?? ''}`.slice(0, 260) } }
  return { w, open, run }
}
