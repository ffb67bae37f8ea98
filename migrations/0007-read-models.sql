-- What support and users ask of an account beyond its balance: usage, where credits came from and went, and the journal.
-- Amounts are micro-credits.

-- Read models are projected anew below. Workers of the version before would go on writing the rows that they know and
-- calling them applied: they have to be stopped first. Whoever routes holds this lock; held to the end of this
-- migration, nobody begins to route meanwhile.
do $$
begin
  if not pg_try_advisory_xact_lock(7041852) then
    raise exception 'workers are running: stop them, migrate, and start those of this version';
  end if;
end $$;

-- What was not written down in the new columns can't be filled in from the old ones: a lot's uses, a price, a leg.
-- It all stands in the log, so these read models are emptied, and the router projects the whole log into them: until it
-- is through, lists are incomplete. Balances stay, since they lack nothing (no event so far has frozen anything), and
-- a balance of zero for an account that has credits would be a lie; an older event doesn't move one back.
do $$
declare
  one text;
begin
  for one in select tablename from pg_tables where schemaname = 'read_model' and tablename not in ('applied', 'balances') loop
    execute format('truncate read_model.%I', one);
  end loop;
end $$;
update read_model.applied set position = 0;

alter table read_model.balances add column frozen bigint not null default 0;

alter table read_model.grants
  add column paid_cents bigint,                       -- what was paid for it, where it was bought
  add column frozen boolean not null default false,   -- then what is available can't be spent
  add column revoked bigint not null default 0,       -- what was taken back, of it or instead of it
  add column used bigint not null default 0,          -- what it paid for, and what of that came back to it
  add column given_back bigint not null default 0,
  add column uses bigint not null default 0;

alter table read_model.transactions
  add column about bigint,        -- the revision of the consumption it gives back, or of the grant it is about
  add column lots text,           -- what a consumption took of which lots, or a refund brought back: [[revision, amount], …]
  add column uncovered bigint,    -- what was used and nobody pays
  add column cost bigint,         -- the price in force: so much for `per` units
  add column per bigint,
  add column quantity bigint,
  add column free_units bigint;   -- how many of them were free

alter table read_model.reservations add column uncovered bigint not null default 0;

-- What a user used, by whom it was filed under and by day (UTC).
create table read_model.usage_stats (
  user_id text not null,
  day date not null,
  app text not null,          -- the label that the caller gave, or who acted
  operation text not null,    -- empty where none was named
  uses bigint not null,
  amount bigint not null,     -- what was covered
  quantity bigint not null,   -- units of what is priced, those that were free among them
  free_units bigint not null,
  uncovered bigint not null,
  refunded bigint not null,   -- on the day on which it came back
  primary key (user_id, day, app, operation)
) with (fillfactor = 70);

-- The double-entry legs of every event: they sum to zero. The accounts `available`, `reserved`, `frozen` and `debt` are
-- the stream's own; all others belong to the whole ledger.
create table read_model.journal (
  stream text not null,
  revision bigint not null,
  leg int not null,
  account text not null,
  amount bigint not null,
  at timestamptz not null,
  primary key (stream, revision, leg)
);

grant select, insert, update, delete on read_model.usage_stats, read_model.journal to mana_credits_service;
