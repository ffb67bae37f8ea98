-- Run by the Postgres image, once, when its volume is empty: the ledger's database and two users, neither a superuser.
-- The owner migrates. The service logs in as the other, who has no right of its own: the migration gives it the
-- service's role (migrations/0004-service-role.sql). A password that changes later is changed with `alter role`.

\getenv owner_password OWNER_PASSWORD
\getenv service_password SERVICE_PASSWORD

create role mana_owner login createrole password :'owner_password';
create role mana_service login password :'service_password';
create database mana owner mana_owner;
-- Who may connect may make temporary tables, as by default: the queue makes some where it runs on Postgres.
revoke connect on database mana from public;
grant connect on database mana to mana_service;
