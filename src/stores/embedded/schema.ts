/**
 * holds        one row a hold; `seq` is the order of opening
 * open_keys    which hold a repeat finds; never more than one a key
 * changes      what happened, for the wake-ups of all processes; trimmed
 * attachments  encrypted bytes beside a hold, each with its end
 * replicas     last sign of life · present: which holds have a client at which replica
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
  create index if not exists holds_by_caller on holds (caller_key, state);
  create index if not exists holds_by_service on holds (service, state);
  create index if not exists holds_by_due on holds (due_at) where due_at is not null;
  create index if not exists holds_by_end on holds (keep_until) where keep_until is not null;
  create table if not exists open_keys (open_key text primary key, id text not null) strict, without rowid;
  create index if not exists open_keys_by_id on open_keys (id);
  create table if not exists changes (seq integer primary key autoincrement, id text not null, state text not null) strict;
  create table if not exists attachments (id text not null, name text not null, keep_until integer not null, sealed blob not null, primary key (id, name)) strict, without rowid;
  create index if not exists attachments_by_end on attachments (keep_until);
  create table if not exists replicas (name text primary key, seen_at integer not null) strict, without rowid;
  create table if not exists present (replica text not null, id text not null, primary key (replica, id)) strict, without rowid;
  create index if not exists present_by_id on present (id);
`
