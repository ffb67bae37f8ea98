-- An entry of the journal is one row with all its legs, since a leg of its own is half an entry and costs as much as a
-- whole one. Workers of the version before can't write here: what they leave undone, those of this one do.

alter table read_model.journal rename to journal_by_leg;

create table read_model.journal_by_event (
  stream text not null,
  revision bigint not null,
  accounts text[] not null,  -- of its legs, in the event's order
  amounts bigint[] not null, -- what each of these accounts gains: they sum to zero
  at timestamptz not null,
  check (cardinality(accounts) = cardinality(amounts))
);
insert into read_model.journal_by_event (stream, revision, accounts, amounts, at)
  select stream, revision, array_agg(account order by leg), array_agg(amount order by leg), min(at)
  from read_model.journal_by_leg group by stream, revision;

drop table read_model.journal_by_leg;
alter table read_model.journal_by_event rename to journal;
alter table read_model.journal add primary key (stream, revision);
grant select, insert, update, delete on read_model.journal to mana_credits_service;
