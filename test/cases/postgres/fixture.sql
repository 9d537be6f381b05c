-- What every run of a case finds: README.md, "Fixture". Triggers write down each change that really happened.
create table written (at bigserial, what text not null, which text);
create function note() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into written (what, which) values (lower(tg_op), tg_table_name);
  return null;
end $$;

create table t (id int primary key, a int);
create table users (id int primary key, name text, ssn text);
create table log (q text);
create schema secrets;
create table secrets.keys (id int, v text);
create view v as select * from secrets.keys;
create sequence s;
insert into t values (1, 1), (2, 2);
insert into users values (1, 'n', '123-45-6789');
insert into secrets.keys values (1, 'the secret key');

create trigger note_row after insert or update or delete on t for each row execute function note();
create trigger note_truncate after truncate on t for each statement execute function note();
create trigger note_row after insert or update or delete on users for each row execute function note();
create trigger note_row after insert or update or delete on log for each row execute function note();
create trigger note_row after insert or update or delete on secrets.keys for each row execute function note();

create function purge() returns int language plpgsql volatile as $$ begin delete from t; return 1; end $$;
create function purge(t) returns int language plpgsql volatile as $$ begin delete from t where id = $1.id; return 1; end $$;
create procedure purge_all() language plpgsql as $$ begin delete from t; end $$;

create schema evil;
create table evil.users (id int, name text, ssn text);
create function evil.lower(text) returns text language plpgsql volatile as $$ begin delete from public.t; return $1; end $$;

create extension tablefunc;
create extension dblink;

create function note_ddl() returns event_trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into public.written (what, which) values ('ddl', tg_tag);
end $$;

-- The role is far too strong: what stops a statement must be the proxy.
grant usage, create on schema public, secrets, evil to app_proxy;
grant all on all tables in schema public, secrets, evil to app_proxy;
grant all on all sequences in schema public to app_proxy;
grant pg_read_server_files, pg_write_server_files, pg_execute_server_program, pg_signal_backend to app_proxy;
alter table t owner to app_proxy;
alter table users owner to app_proxy;
create event trigger note_ddl on ddl_command_end execute function note_ddl();
create event trigger note_drop on sql_drop execute function note_ddl();
analyze;
