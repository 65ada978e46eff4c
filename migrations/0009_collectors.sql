-- Several collectors on one store. Small tables, the same on every node. Their times are the database's (clock_timestamp()
-- in the statements): collectors' clocks differ, and who is alive must not depend on them.

-- Work that one collector does at a time.
create table lease (
    task          text        not null primary key, -- merge, retention, …
    holder        uuid        not null,             -- the run that does it
    held_until    timestamptz not null              -- then another may take it
);

-- The collectors: one row for each run of one, removed when it stops cleanly.
create table collector (
    run           uuid        not null primary key, -- made at its start
    id            uuid        not null,             -- kept in its home: the same at its next start
    name          text        not null,             -- of its machine
    listen        text        not null,
    version       text        not null,
    started       timestamptz not null,
    last_seen     timestamptz not null,
    n_sessions    integer     not null,             -- sensors connected to it
    n_tails       integer     not null              -- tails it serves: others tell it of what they store
);

-- Through which run a host was last heard of, and since when it is connected there. It is connected if that run lives.
alter table host add column collector uuid;
alter table host add column connected timestamptz;
