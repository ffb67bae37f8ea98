-- What is sold: a row for each package ever defined. A retired one stays, since purchases name it.
create table read_model.packages (
  id text primary key,
  revision bigint not null,
  name text not null,
  description text,
  credits bigint not null,          -- micro-credits
  price_euro_cents bigint not null,
  stripe_price_id text,
  sort_order bigint not null,
  metadata text not null,           -- JSON
  defined_at timestamptz not null,
  retired_at timestamptz            -- null while it is sold
);

grant select, insert, update, delete on read_model.packages to mana_credits_service;
