-- What the service works with and no event tells.
create schema if not exists operational;

-- Keys of services. A rotated key stands beside the one that replaced it until its end; a row is never deleted, so that
-- it can be told whose key it was. Of the key's text only the SHA-256 is here.
create table operational.service_keys (
  id text primary key,
  name text not null,
  apps text[] not null,
  scopes text[] not null,
  hash bytea not null,
  created_at timestamptz not null default now(),
  ends_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  constraint acts_for_an_app check (cardinality(apps) > 0),
  constraint is_a_sha256 check (octet_length(hash) = 32)
);
-- One key of a name is in force; those before it have an end.
create unique index service_keys_current on operational.service_keys (name) where ends_at is null and revoked_at is null;

-- Keys are made, rotated and revoked by whoever migrates; the service reads them and notes when they were used.
grant usage on schema operational to mana_credits_service;
grant select, update (last_used_at) on operational.service_keys to mana_credits_service;
