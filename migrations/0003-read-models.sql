-- Read models: projected from the log, dropped and rebuilt at will. Every row belongs to one stream.

create schema read_model;

-- How far each stream has been applied to the read models.
create table read_model.checkpoints (
  stream text primary key,
  revision bigint not null
) with (fillfactor = 70);

-- Streams with an event that could not be applied: they wait here and hold nobody else up.
create table read_model.parked (
  stream text primary key,
  revision bigint not null,
  error text not null,
  parked_at timestamptz not null default now()
);

-- Every event up to this position is applied or parked: where the router starts.
create table read_model.applied (
  only_row boolean primary key default true check (only_row),
  position bigint not null
);
insert into read_model.applied (position) values (0);

-- Amounts are micro-credits.
create table read_model.balances (
  user_id text primary key,
  revision bigint not null,
  available bigint not null,
  reserved bigint not null,
  debt bigint not null,
  earned bigint not null,
  spent bigint not null,
  due_at timestamptz, -- when the next hold or lot runs out
  opened_at timestamptz not null,
  updated_at timestamptz not null
) with (fillfactor = 70);
create index balances_due on read_model.balances (due_at) where due_at is not null;

create table read_model.transactions (
  user_id text not null,
  revision bigint not null,
  type text not null,
  status text not null,
  amount bigint not null,
  balance_before bigint not null,
  balance_after bigint not null,
  app text not null,     -- who acted
  app_id text,           -- the label that the caller gave
  operation text,
  reservation bigint,    -- the revision of the hold that this settles
  idempotency_key text,
  personal text,         -- as in the log: encrypted
  created_at timestamptz not null,
  completed_at timestamptz,
  primary key (user_id, revision)
);

create table read_model.reservations (
  user_id text not null,
  revision bigint not null,
  status text not null check (status in ('held', 'consumed', 'released', 'expired')),
  amount bigint not null,
  taken bigint not null,
  released bigint not null,
  app text not null,
  app_id text,
  operation text,
  personal text,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  settled_at timestamptz,
  primary key (user_id, revision)
) with (fillfactor = 80);

create table read_model.grants (
  user_id text not null,
  revision bigint not null,
  source text not null,
  reason text not null,
  reference text not null,
  amount bigint not null,
  available bigint not null,
  held bigint not null,
  priority int not null,
  expires_at timestamptz,
  created_at timestamptz not null,
  primary key (user_id, revision)
) with (fillfactor = 70);
-- What is left stands in no index: a grant is touched by every event, and stays where it is.
create index grants_expiring on read_model.grants (user_id, expires_at) where expires_at is not null;
