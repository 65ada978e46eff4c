-- The audit log is chained: each entry has a number and a digest over the one before and all of itself, so that none can be
-- changed, taken out or put in between without all that follow it showing that (docs/threat-model.md). Entries that were there
-- before have neither.
alter table audit
    add column number bigint,
    add column digest bytea;
create unique index audit_number on audit (number);

-- Where the chain ends. One row: who appends holds it until that is committed.
create table audit_head (
    one           boolean     not null primary key default true check (one),
    number        bigint      not null,
    digest        bytea       not null
);
insert into audit_head (number, digest) values (0, sha256('vedette audit'));
