-- For a log that lives in KurrentDB: what that server can't keep. None of it is the truth, and none of it is a read
-- model: it can be lost, and is made again from the log.

-- Positions of other logs are no numbers: two of them, or numbers beyond what a bigint holds.
alter table read_model.applied alter column position drop default;
alter table read_model.applied alter column position type text using position::text;

create schema kurrent;

-- How far each stream's claims and links are known here: all of its events up to this revision, and none behind it.
create table kurrent.streams (
  id bigint generated always as identity primary key,
  name text not null unique,
  revision bigint not null
) with (fillfactor = 80);

create table kurrent.claims (
  stream_id bigint not null,
  claim bytea not null,
  revision bigint not null,
  primary key (stream_id, claim)
);

create table kurrent.links (
  stream_id bigint not null,
  about bigint not null,
  revision bigint not null,
  primary key (stream_id, about)
) with (fillfactor = 80);

-- Takes in what the events of some streams claim and are about. Span i of p_streams[i] holds its events behind
-- p_froms[i] up to p_heads[i]; claims and links name their span by its index. A span is taken where nothing is missing
-- before it; what is known already stays as it is, so that spans may come twice, late and from many processes at once.
-- Returns how far each stream is known now.
create function kurrent.note(
  p_streams text[], p_froms bigint[], p_heads bigint[],
  p_claim_spans int[], p_claim_revisions bigint[], p_claims bytea[],
  p_link_spans int[], p_link_revisions bigint[], p_abouts bigint[],
  out revisions bigint[]
)
language plpgsql security definer
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  v_ids bigint[];
  v_known bigint[];
begin
  insert into kurrent.streams (name, revision)
    select n.name, -1 from unnest(p_streams) as n (name)
    where not exists (select from kurrent.streams s where s.name = n.name) order by n.name
    on conflict (name) do nothing;

  -- In the order of their names, so that no two writers wait in a circle.
  select array_agg(l.id order by l.ord), array_agg(l.revision order by l.ord) into v_ids, v_known
    from (
      select s.id, s.revision, n.ord
      from unnest(p_streams) with ordinality as n (name, ord) join kurrent.streams s on s.name = n.name
      order by s.name for update of s
    ) l;

  insert into kurrent.claims (stream_id, claim, revision)
    select v_ids[c.span], c.claim, c.revision
    from unnest(p_claim_spans, p_claim_revisions, p_claims) as c (span, revision, claim)
    where p_froms[c.span] <= v_known[c.span] and c.revision > v_known[c.span]
    on conflict (stream_id, claim) do nothing;

  insert into kurrent.links as l (stream_id, about, revision)
    select v_ids[k.span], k.about, max(k.revision)
    from unnest(p_link_spans, p_link_revisions, p_abouts) as k (span, revision, about)
    where p_froms[k.span] <= v_known[k.span] and k.revision > v_known[k.span]
    group by 1, 2
    on conflict (stream_id, about) do update set revision = greatest(l.revision, excluded.revision);

  update kurrent.streams s set revision = n.head
    from unnest(v_ids, p_froms, p_heads) as n (id, low, head)
    where s.id = n.id and n.low <= s.revision and s.revision < n.head;

  select array_agg(case when n.low <= n.known then greatest(n.known, n.head) else n.known end order by n.ord) into revisions
    from unnest(v_known, p_froms, p_heads) with ordinality as n (known, low, head, ord);
end $$;

-- The service reads, and adds through kurrent.note() alone: it can't change or remove a claim.
revoke all on function kurrent.note from public;
grant usage on schema kurrent to mana_credits_service;
grant select on all tables in schema kurrent to mana_credits_service;
grant execute on function kurrent.note to mana_credits_service;
