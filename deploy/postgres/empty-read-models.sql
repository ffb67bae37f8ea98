-- Makes the workers build every read model anew from the log, at their next start. For restores: where the log was
-- restored to an earlier moment than Postgres, read models hold what is no longer in it. Run as the owner of the tables,
-- with all APIs and workers stopped:
--
--   psql --set ON_ERROR_STOP=1 --file deploy/postgres/empty-read-models.sql "$MIGRATION_DATABASE_URL"
--
-- Until they have caught up, reads show less than there is; commands never look at read models.

begin;

do $$
begin
  if exists (
    select from pg_stat_activity where datname = current_database() and application_name like 'mana-credits %'
  ) then
    raise exception 'an API or a worker is running: stop all of them first';
  end if;
  if to_regnamespace('read_model_next') is not null or to_regnamespace('read_model_previous') is not null then
    raise exception 'other generations of the read models stand: npm run rebuild -- abandon, or drop, first';
  end if;
  execute (
    select 'truncate ' || string_agg(format('%I.%I', schemaname, tablename), ', ')
    from pg_tables where schemaname = 'read_model' and tablename <> 'applied'
  );
end $$;

-- Where the router starts: at the beginning of the log.
update read_model.applied set position = '0';

commit;
