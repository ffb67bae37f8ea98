-- What stands beside the log and is not the truth (snapshots), or is secret (keys).

-- A stream's folded state at a revision, to load a long stream quickly. Believed only where its hash is that of the
-- event at its revision and its version is the one of the code that reads it.
create table ledger.snapshots (
  stream text primary key,
  revision bigint not null,
  hash bytea not null,
  version int not null,
  state text not null
) with (fillfactor = 70);

-- The ledger's own secrets, by name and version, never deleted: what uses one names its version.
create table ledger.secrets (
  name text not null,
  version int not null,
  value bytea not null,
  created_at timestamptz not null default now(),
  primary key (name, version)
);

-- The keys under which personal data is encrypted in the log. Erasing a person empties the key; the row stays.
create table ledger.personal_keys (
  id uuid primary key default gen_random_uuid(),
  subject text not null,
  key bytea,
  created_at timestamptz not null default now(),
  erased_at timestamptz,
  constraint erased_has_no_key check ((key is null) = (erased_at is not null))
);
create unique index personal_keys_current on ledger.personal_keys (subject) where erased_at is null;
