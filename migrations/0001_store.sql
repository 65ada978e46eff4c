-- The store: what sensors sent, as the untouched batches, and narrow rows beside them.
--
-- Rules that hold for every table here, so that the same schema can be distributed (Citus):
--   * `bucket` (a fixed hash of the host's id into 64, computed by the collector) is in every primary and
--     unique key and is never updated; no serials, no identities, no triggers, no foreign keys.
--   * Times and random values are parameters, never `now()` or `random()` as a default.
--   * Partitions are made by `create table … (like parent including all)` and attached: a plain
--     `partition of` would lose the storage settings of the columns.
-- Times are to the microsecond; the exact ones are in the batches.

-- One row per stream (host, epoch, lane): how far it has been stored. It is updated in the transaction that
-- stores the batches, `where next_seq = first`: that alone makes a resend harmless.
create table stream (
    bucket        smallint    not null,
    host          uuid        not null,
    epoch         uuid        not null,
    lane          smallint    not null,           -- 0 critical, 1 bulk
    next_seq      bigint      not null,           -- the number of the first event not yet stored
    digest        bytea       not null,           -- of the chain up to next_seq, 32 bytes
    n_stored      bigint      not null,           -- events stored
    n_shed        bigint      not null,           -- events the sensor shed: the sum of its tombstones
    n_rejected    bigint      not null,           -- events the collector refused and passed over
    generated     bigint      not null,           -- the sensor's ledger at the last batch's boundary
    merged        bigint      not null,
    lost          bigint      not null,
    dropped       bigint      not null,
    first_received timestamptz not null,
    last_received timestamptz not null,
    sealed        timestamptz,                    -- when its last batch was sealed, by the corrected clock
    boot          uuid,                           -- the boot its last batch happened in
    -- The only index: every update leaves its columns alone, so updates stay HOT.
    primary key (bucket, host, epoch, lane)
) with (fillfactor = 50);                         -- room on the page for the next version of a row

-- A run of events that is known not to be there: shed by the sensor, or refused by the collector.
create table gap (
    bucket        smallint    not null,
    host          uuid        not null,
    epoch         uuid        not null,
    lane          smallint    not null,
    first_seq     bigint      not null,
    n_events      bigint      not null,
    cause         text        not null check (cause in ('shed', 'rejected')),
    received      timestamptz not null,
    primary key (bucket, host, epoch, lane, first_seq)
);

-- Batches that could not be stored, kept as they came for whoever looks into it; bounded per host.
create table quarantine (
    bucket        smallint    not null,
    host          uuid        not null,
    epoch         uuid        not null,
    lane          smallint    not null,
    first_seq     bigint      not null,
    n_events      bigint      not null,           -- as its header claims
    received      timestamptz not null,
    reason        text        not null,
    header        bytea,                          -- null where the host's bound was reached
    payload       bytea,
    primary key (bucket, host, epoch, lane, first_seq)
);
alter table quarantine alter column payload set storage external;

-- What a person should look at: one row per host, kind and thing it is about, however often it happens.
create table finding (
    bucket        smallint    not null,
    host          uuid        not null,
    kind          text        not null,           -- chain, conflict, …
    about         text        not null,           -- what it is about: a stream, a process, …
    id            uuid        not null,           -- finding.id, made when it was first found
    state         text        not null check (state in ('open', 'closed')),
    severity      smallint    not null,           -- 0 information to 4 critical
    n             bigint      not null,           -- how often
    first_found   timestamptz not null,
    last_found    timestamptz not null,
    evidence      jsonb       not null,           -- of the first time
    primary key (bucket, host, kind, about)
);

-- What one ingest commit took in: the small batches of many hosts as one segment. Minute partitions by
-- `received`, merged into `segment` and dropped minutes later.
create table fresh (
    bucket        smallint    not null,           -- the first bucket of the commit's group (0 with one group)
    id            uuid        not null,
    received      timestamptz not null,           -- the commit's time
    earliest      timestamptz not null,           -- of the indexed times of its events
    latest        timestamptz not null,
    n_events      integer     not null,
    terms         bigint[]    not null,           -- distinct terms of all its batches, ascending
    directory     bytea       not null,           -- what lies where in payload, and each batch's terms
    payload       bytea       not null            -- the payloads of the batches side by side; headers are in directory
) partition by range (received);
-- External: the bytes are compressed already, and slices of them are read with substring().
alter table fresh alter column payload   set storage external;
alter table fresh alter column directory set storage external;
alter table fresh alter column terms     set storage external;
-- To go newest first, and to fetch a segment by its key. Terms have no index here: keeping a GIN live costs
-- twice the whole of ingest, and the last minutes are scanned fast enough.
create index fresh_latest on fresh (latest);

-- The same form for one host: large batches as they came, and merged small ones. Day partitions by receipt.
create table segment (
    bucket        smallint    not null,
    host          uuid        not null,
    id            uuid        not null,
    received      timestamptz not null,           -- the commit's time; merged: the first of its batches'
    merged        boolean     not null,           -- whether the merger brought it here
    earliest      timestamptz not null,
    latest        timestamptz not null,
    n_events      integer     not null,
    terms         bigint[]    not null,
    directory     bytea       not null,
    payload       bytea       not null
) partition by range (received);
alter table segment alter column payload   set storage external;
alter table segment alter column directory set storage external;
alter table segment alter column terms     set storage external;
-- One host, newest first; also finds a segment by its key, and the batches around a process row.
create index segment_host_latest on segment (bucket, host, latest);
-- The segments around a commit: where the arguments of a process row are.
create index segment_host_received on segment (bucket, host, received);
-- Every host, newest first, for searches whose terms say little.
create index segment_latest on segment (latest);
-- Candidates by term. With a pending list, as it takes terms over sorted and in bulk: 2.4 times less log and half
-- the CPU of adding them one by one. A short one, as every search reads it, and whoever fills it empties it.
create index segment_terms on segment using gin (terms) with (fastupdate = on, gin_pending_list_limit = 1024);

-- How far fresh has been merged into segment, and who is at it. Readers take from fresh what was received at or
-- after merged_upto, and from segment the rest, in one snapshot: so they see every batch exactly once.
create table merge (
    bucket        smallint    not null primary key, -- the first bucket of the group
    merged_upto   timestamptz not null,
    holder        uuid        not null,             -- the collector that has the lease
    held_until    timestamptz not null
);

-- One row per process image: who ran what, whose child. The arguments stay in the batch: the one of this host
-- stored by the commit at `received`. A process still alive is announced again each day, so rows repeat across days.
-- Widest columns first: a row is 112 bytes. Day partitions by receipt.
create table process (
    received      timestamptz not null,
    started       timestamptz not null,           -- start of the process, corrected
    entity        bigint      not null,           -- process.entity_id; unique only with its host
    parent        bigint,                         -- the parent's entity at the fork
    executable    bigint      not null,           -- hash of its path, see the table executable
    container     bigint,                         -- hash of container.id
    user_id       bigint,                         -- process.user.id
    image         integer     not null,           -- which image of the process (task_struct::self_exec_id)
    parent_image  integer     not null,           -- the image its parent had then
    pid           integer     not null,
    bucket        smallint    not null,
    host          uuid        not null
) partition by range (received);
-- A process by its id. Without bucket, which says nothing more than the id and would widen a third of the row.
create index process_entity on process (entity);
-- The children of a process.
create index process_parent on process (parent);

-- One row per half of a TCP connection: what joins the two halves across hosts. Day partitions by receipt.
create table connection (
    received        timestamptz not null,
    established     timestamptz not null,         -- corrected
    entity          bigint      not null,         -- the process that connected, accepted or serves
    source_isn      bigint,                       -- initial sequence numbers
    destination_isn bigint,
    image           integer     not null,
    source_port     integer     not null,
    destination_port integer    not null,
    bucket          smallint    not null,
    side            smallint    not null,         -- 0 connect, 1 accept, 2 serve
    host            uuid        not null,
    source_ip       inet        not null,
    destination_ip  inet        not null
) partition by range (received);
-- The connections of a process.
create index connection_entity on connection (entity);

-- What the hashes in process.executable stand for: each path once a day, so that it goes with the rows that name
-- it. A small table, the same on every node. A host that invents names is cut off: then a hash has no row here.
create table executable (
    day           date        not null,           -- of receipt
    hash          bigint      not null,
    path          bytea       not null,
    primary key (day, hash)
) partition by range (day);
