-- Erasing a person: their keys are emptied, and what was written under them can't be read again by anybody. The rows
-- stay, and say when it was done and by whom.

alter table ledger.personal_keys add column erased_by text;
update ledger.personal_keys set erased_by = 'unknown' where erased_at is not null;
alter table ledger.personal_keys add constraint erased_by_somebody check ((erased_by is null) = (erased_at is null));

-- What was erased of a person, to tell them.
create index personal_keys_erased on ledger.personal_keys (subject) where erased_at is not null;

-- Empties the keys of a subject that stand, and returns how many there were. Nothing else changes a key.
create function ledger.erase_person(p_subject text, p_by text) returns int
language sql security definer
set search_path = pg_catalog
as $$
  with erased as (
    update ledger.personal_keys set key = null, erased_at = clock_timestamp(), erased_by = p_by
    where subject = p_subject and erased_at is null
    returning 1
  )
  select count(*)::int from erased
$$;

revoke all on function ledger.erase_person from public;
grant execute on function ledger.erase_person to mana_credits_service;

-- The service makes keys and no tombstones: those come through the function alone.
revoke insert on ledger.personal_keys from mana_credits_service;
grant insert (subject, key) on ledger.personal_keys to mana_credits_service;
