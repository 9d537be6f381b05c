/** Settled, and without an end. As it stands in the index, so that the index is used. */
export const isKept = "(keep_until is null and state not in ('pending', 'approved', 'running'))"

/**
 * holds        one row a hold, with what of it changes; `seq` is the order of opening
 * asked        what of a hold never changes, by its `seq`; apart, because it is far larger
 * open_keys    which hold a repeat finds; never more than one a key
 * open_counts  how many open holds each caller and each service has, so that a limit costs one look-up and not a count
 * changes      what happened, for the wake-ups of all processes; written by triggers, so that a change of a hold is one statement; trimmed
 * attachments  encrypted bytes beside a hold, each with its end; in the order in which they came, because ids are random and each would touch a page of its own
 * replicas     last sign of life · present: which holds have a client at which replica
 * leases       what one replica does for all, and until when
 *
 * What is dropped here first is of files that an earlier version made.
 */
export const schema = `
  create table if not exists holds (
    seq integer primary key autoincrement,
    id text not null unique,
    revision integer not null,
    state text not null,
    open_key text,
    caller_key text not null,
    service text not null,
    due_at integer,
    keep_until integer,
    sealed text not null
  ) strict;
  create index if not exists holds_by_state on holds (state, seq);
  create index if not exists holds_by_caller on holds (caller_key, seq);
  create index if not exists holds_by_service on holds (service, seq);
  drop index if exists open_by_caller;
  drop index if exists open_by_service;
  create index if not exists holds_by_due on holds (due_at) where due_at is not null;
  create index if not exists kept_holds on holds (seq) where ${isKept};
  create index if not exists holds_by_end on holds (keep_until) where keep_until is not null;
  create table if not exists asked (seq integer primary key, asked text not null) strict;
  create table if not exists open_keys (open_key text primary key, id text not null) strict, without rowid;
  create trigger if not exists hold_removed after delete on holds begin
    delete from open_keys where open_key = old.open_key and id = old.id;
  end;
  create table if not exists open_counts (kind text not null, name text not null, n integer not null, primary key (kind, name)) strict, without rowid;
  create trigger if not exists hold_opened after insert on holds when new.state in ('pending', 'approved') begin
    insert into open_counts values ('caller', new.caller_key, 1), ('service', new.service, 1) on conflict do update set n = n + 1;
  end;
  drop trigger if exists hold_settled;
  create trigger hold_settled after update of state on holds when old.state in ('pending', 'approved') and new.state not in ('pending', 'approved') begin
    update open_counts set n = n - 1 where kind = 'caller' and name = old.caller_key;
    update open_counts set n = n - 1 where kind = 'service' and name = old.service;
    delete from open_counts where kind = 'caller' and name = old.caller_key and n <= 0;
    delete from open_counts where kind = 'service' and name = old.service and n <= 0;
  end;
  create table if not exists changes (seq integer primary key, id text not null, state text not null) strict;
  create trigger if not exists hold_is_new after insert on holds begin
    insert into changes (id, state) values (new.id, new.state);
  end;
  create trigger if not exists hold_changed after update of state on holds begin
    insert into changes (id, state) values (new.id, new.state);
  end;
  create table if not exists attachments (id text not null, name text not null, keep_until integer not null, sealed blob not null, primary key (id, name)) strict;
  create index if not exists attachments_by_end on attachments (keep_until);
  create table if not exists replicas (name text primary key, seen_at integer not null) strict, without rowid;
  create table if not exists present (replica text not null, id text not null, primary key (replica, id)) strict, without rowid;
  create index if not exists present_by_id on present (id);
  create table if not exists leases (name text primary key, replica text not null, until integer not null) strict, without rowid;
`
