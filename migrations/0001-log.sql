-- The log: streams, their events, what is unique in a stream (claims) and which event settles which (links).
-- Nothing but ledger.append() writes here, and nothing at all changes what is written.

create schema ledger;

-- One row a stream: its head. An append locks it, so that one writer at a time extends a stream.
create table ledger.streams (
  id bigint generated always as identity primary key,
  name text not null unique,
  revision bigint not null, -- of the last event; -1 while there is none
  hash bytea                -- of the last event
) with (fillfactor = 80);

create table ledger.events (
  position bigint primary key,
  stream_id bigint not null, -- of ledger.streams; append() alone writes it, so no foreign key is checked for each row
  revision bigint not null,
  id uuid not null,
  type text not null,
  data text not null,     -- the exact text that was hashed, never jsonb
  metadata text not null, -- likewise
  hash bytea not null,
  constraint events_stream_revision unique (stream_id, revision),
  constraint events_id unique (id)
);

-- What is unique in a stream: idempotency keys, grant references. Kept for ever.
create table ledger.claims (
  stream_id bigint not null,
  claim bytea not null,
  revision bigint not null,
  constraint claims_unique primary key (stream_id, claim)
);

-- The last event about an earlier revision of the same stream: a hold's settlement, a consumption's refund.
create table ledger.links (
  stream_id bigint not null,
  about bigint not null,
  revision bigint not null,
  primary key (stream_id, about)
) with (fillfactor = 80);

create function ledger.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'the log is append-only: % on %.% refused', tg_op, tg_table_schema, tg_table_name
    using errcode = 'insufficient_privilege';
end $$;

create trigger append_only before update or delete or truncate on ledger.events
  for each statement execute function ledger.refuse_change();
create trigger append_only before update or delete or truncate on ledger.claims
  for each statement execute function ledger.refuse_change();
create trigger no_removal before delete or truncate on ledger.streams
  for each statement execute function ledger.refuse_change();
create trigger no_removal before delete or truncate on ledger.links
  for each statement execute function ledger.refuse_change();

-- Appends the batches of many streams in one round trip. Batch i extends p_streams[i] from revision p_expected[i] to
-- p_heads[i] (the same: only the head is confirmed), whose event has the hash p_head_hashes[i]. Events, claims and
-- links name their batch by its index. Each batch is all or nothing, and independent of the others' conflicts: it is
-- refused when the head is not where it was expected, or when one of its claims stands already. A claim without a
-- revision is not made, only looked for: it is the key of a command that wrote nothing.
--
-- Whoever loses a stream's head to others again and again takes a turn on it: an exclusive advisory lock of its session
-- on the name's hash. A batch without the turn (p_turns) is refused as contended while somebody holds or awaits it.
--
-- Returns the head that each stream had, whether its batch was taken, and the position before the first event
-- written: events stand in the log in the order in which they were given, those of refused batches left out.
--
-- The way without a conflict is the one that counts: it writes and lets the constraints speak. Where they do, what it
-- wrote is undone, and the batches are told apart in ledger.append_some().
--
-- Lock order, the same for every caller so that none can wait in a circle: new names, then heads, in the order given
-- (callers sort by name), then the log's position lock, held to the commit. So position order is commit order, and a
-- rollback leaves no gap.
create function ledger.append(
  p_streams text[], p_turns boolean[], p_expected bigint[], p_heads bigint[], p_head_hashes bytea[],
  p_batches int[], p_revisions bigint[], p_ids uuid[], p_types text[], p_data text[], p_metadata text[], p_hashes bytea[],
  p_claim_batches int[], p_claim_revisions bigint[], p_claims bytea[],
  p_link_batches int[], p_link_revisions bigint[], p_abouts bigint[],
  out heads bigint[], out accepted boolean[], out contended boolean[], out base_position bigint
)
language plpgsql security definer
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
-- The arrays are small and any table may be huge: the only right plan walks the indexes.
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  v_ids bigint[];
  v_batches int[];
begin
  if -1 = any (p_expected) then
    insert into ledger.streams (name, revision)
      select n.name, -1 from unnest(p_streams, p_expected, p_heads) with ordinality as n (name, expected, head, ord)
      where n.expected = -1 and n.head > n.expected order by n.ord
      on conflict (name) do nothing;
  end if;

  -- A claim that is only looked for makes no constraint speak, and where nothing is written none would.
  if array_length(p_batches, 1) > 0 and array_position(p_claim_revisions, null) is null then
    begin
      if exists (
        select from unnest(p_streams, p_turns) as n (name, turn)
        where not n.turn and not pg_try_advisory_xact_lock_shared(hashtextextended(n.name, 0))
      ) then
        raise exception 'somebody has the turn on a stream' using errcode = 'LC001';
      end if;
      with moved as (
        update ledger.streams s set revision = n.head, hash = coalesce(n.hash, s.hash)
        from unnest(p_streams, p_expected, p_heads, p_head_hashes) with ordinality as n (name, expected, head, hash, batch)
        where s.name = n.name and s.revision = n.expected
        returning n.batch, s.id
      )
      select array_agg(m.id order by m.batch), array_agg(m.batch order by m.batch) into v_ids, v_batches from moved m;

      if array_length(v_batches, 1) = array_length(p_streams, 1) then
        insert into ledger.claims (stream_id, claim, revision)
          select v_ids[c.batch], c.claim, c.revision
          from unnest(p_claim_batches, p_claim_revisions, p_claims) as c (batch, revision, claim);
        if array_length(p_link_batches, 1) > 0 then
          insert into ledger.links as l (stream_id, about, revision)
            select v_ids[k.batch], k.about, k.revision
            from unnest(p_link_batches, p_link_revisions, p_abouts) as k (batch, revision, about)
            on conflict (stream_id, about) do update set revision = excluded.revision;
        end if;
        -- Last, since everybody else waits for it from here to the commit.
        perform pg_advisory_xact_lock(7041851);
        select coalesce(max(e.position), 0) into base_position from ledger.events e;
        insert into ledger.events (position, stream_id, revision, id, type, data, metadata, hash)
          select base_position + e.ord, v_ids[e.batch], e.revision, e.id, e.type, e.data, e.metadata, e.hash
          from unnest(p_batches, p_revisions, p_ids, p_types, p_data, p_metadata, p_hashes)
            with ordinality as e (batch, revision, id, type, data, metadata, hash, ord);
        perform pg_notify('ledger_appended', '');
        heads := p_expected;
        accepted := array_fill(true, array[array_length(p_streams, 1)]);
        contended := array_fill(false, array[array_length(p_streams, 1)]);
        return;
      end if;
      raise exception 'a head is elsewhere' using errcode = 'LC001';
    exception when unique_violation or sqlstate 'LC001' then
      base_position := null;
    end;
  end if;

  select s.heads, s.accepted, s.contended, s.base_position into heads, accepted, contended, base_position
    from ledger.append_some(p_streams, p_turns, p_expected, p_heads, p_head_hashes,
      p_batches, p_revisions, p_ids, p_types, p_data, p_metadata, p_hashes,
      p_claim_batches, p_claim_revisions, p_claims, p_link_batches, p_link_revisions, p_abouts) s;
end $$;

-- ledger.append() for a group in which some batch may be refused: locks the heads, looks first, writes what is left.
create function ledger.append_some(
  p_streams text[], p_turns boolean[], p_expected bigint[], p_heads bigint[], p_head_hashes bytea[],
  p_batches int[], p_revisions bigint[], p_ids uuid[], p_types text[], p_data text[], p_metadata text[], p_hashes bytea[],
  p_claim_batches int[], p_claim_revisions bigint[], p_claims bytea[],
  p_link_batches int[], p_link_revisions bigint[], p_abouts bigint[],
  out heads bigint[], out accepted boolean[], out contended boolean[], out base_position bigint
)
language plpgsql as $$
declare
  v_ids bigint[];
  v_taken int[];
begin
  select array_agg(not n.turn and not pg_try_advisory_xact_lock_shared(hashtextextended(n.name, 0)) order by n.ord) into contended
    from unnest(p_streams, p_turns) with ordinality as n (name, turn, ord);

  select array_agg(l.id order by l.ord), array_agg(l.revision order by l.ord) into v_ids, heads
    from (
      select s.id, s.revision, n.ord
      from unnest(p_streams) with ordinality as n (name, ord) join ledger.streams s on s.name = n.name
      order by n.ord for update of s
    ) l;
  if array_length(v_ids, 1) is distinct from array_length(p_streams, 1) then
    -- Some stream does not exist: where it was expected to that is a conflict, whatever its caller believed.
    select array_agg(k.id order by n.ord), array_agg(coalesce(k.revision, -1) order by n.ord) into v_ids, heads
      from unnest(p_streams) with ordinality as n (name, ord) left join ledger.streams k on k.name = n.name;
  end if;

  -- A statement of its own, begun when the heads were locked: it sees every claim anybody committed before.
  select array_agg(c.batch) into v_taken
    from unnest(p_claim_batches, p_claims) as c (batch, claim)
    join ledger.claims x on x.stream_id = v_ids[c.batch] and x.claim = c.claim;

  select array_agg(h.head = h.expected and not h.contended and (v_taken is null or h.batch <> all (v_taken)) order by h.batch)
    into accepted
    from unnest(heads, p_expected, contended) with ordinality as h (head, expected, contended, batch);

  if array_length(p_batches, 1) is null or not true = any (accepted) then
    return;
  end if;

  perform pg_advisory_xact_lock(7041851);
  select coalesce(max(e.position), 0) into base_position from ledger.events e;

  insert into ledger.events (position, stream_id, revision, id, type, data, metadata, hash)
    select base_position + row_number() over (order by e.ord), v_ids[e.batch], e.revision, e.id, e.type, e.data, e.metadata, e.hash
    from unnest(p_batches, p_revisions, p_ids, p_types, p_data, p_metadata, p_hashes)
      with ordinality as e (batch, revision, id, type, data, metadata, hash, ord)
    where accepted[e.batch];

  insert into ledger.claims (stream_id, claim, revision)
    select v_ids[c.batch], c.claim, c.revision
    from unnest(p_claim_batches, p_claim_revisions, p_claims) as c (batch, revision, claim)
    where accepted[c.batch] and c.revision is not null;

  insert into ledger.links as l (stream_id, about, revision)
    select v_ids[k.batch], k.about, k.revision
    from unnest(p_link_batches, p_link_revisions, p_abouts) as k (batch, revision, about)
    where accepted[k.batch]
    on conflict (stream_id, about) do update set revision = excluded.revision;

  update ledger.streams s set revision = n.head, hash = n.hash
    from unnest(v_ids, p_expected, p_heads, p_head_hashes) with ordinality as n (id, expected, head, hash, batch)
    where s.id = n.id and n.head > n.expected and accepted[n.batch];

  perform pg_notify('ledger_appended', '');
end $$;
