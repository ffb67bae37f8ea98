-- The role that the service's connections take (SET ROLE): it reads, appends through ledger.append(), and keeps what
-- is not the truth. It can't insert, change or remove an event. Roles belong to the whole server, so it may be there.
do $$
begin
  if not exists (select from pg_roles where rolname = 'mana_credits_service') then
    begin
      create role mana_credits_service nologin;
    exception when duplicate_object or unique_violation then null; -- another database's migration was first
    end;
  end if;
  -- Who made the role is a member that may not take it (Postgres 16 and later): the grant adds that.
  if not pg_has_role(current_user, 'mana_credits_service', 'usage') then
    execute format('grant mana_credits_service to %I', current_user);
  end if;
end $$;

revoke all on function ledger.append, ledger.append_some from public;

grant usage on schema ledger, read_model to mana_credits_service;
grant select on all tables in schema ledger to mana_credits_service;
grant execute on function ledger.append to mana_credits_service;
grant insert, update, delete on ledger.snapshots to mana_credits_service;
grant insert on ledger.secrets, ledger.personal_keys to mana_credits_service;
grant select, insert, update, delete on all tables in schema read_model to mana_credits_service;
