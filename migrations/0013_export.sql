-- What has been exported (docs/kafka.md). The tables are written only while a collector has a sink.

-- How far each stream is exported. Moved on by whoever has the lease of the stream's share, in the transaction that checks
-- that lease. No row: nothing of the stream is exported yet.
create table export (
    bucket        smallint    not null,
    host          uuid        not null,
    epoch         uuid        not null,
    lane          smallint    not null,
    next_seq      bigint      not null,           -- the number of the first event not yet taken by the sink
    received      timestamptz not null,           -- of the commit that the last of it was stored by: where the search for more begins
    n_sent        bigint      not null,           -- events the sink has taken
    n_left_out    bigint      not null,           -- events that the filter left out
    n_refused     bigint      not null,           -- events the sink refused, see export_refused
    n_expired     bigint      not null,           -- events that retention dropped before they were exported, or that were damaged
    n_gone        bigint      not null,           -- events that were shed by the sensor or refused by the collector: never stored
    primary key (bucket, host, epoch, lane)
) with (fillfactor = 50);                         -- room on the page for the next version of a row

-- Batches that were stored after their stream had passed them (`vedette quarantine replay`), and are not exported yet.
create table export_late (
    bucket        smallint    not null,
    host          uuid        not null,
    epoch         uuid        not null,
    lane          smallint    not null,
    first_seq     bigint      not null,
    received      timestamptz not null,           -- of the commit that stored it
    primary key (bucket, host, epoch, lane, first_seq)
);

-- Events the sink refused: too large for it, or against its policy. They are in the store as all others.
create table export_refused (
    bucket        smallint    not null,
    host          uuid        not null,
    epoch         uuid        not null,
    lane          smallint    not null,
    seq           bigint      not null,
    topic         text        not null,
    n_bytes       bigint      not null,           -- of the record
    refused       timestamptz not null,
    reason        text        not null,
    primary key (bucket, host, epoch, lane, seq)
);

-- Since when there is a sink. Streams that were there before begin where they stood then.
create table export_since (
    sink          text        not null primary key,
    since         timestamptz not null
);

-- What each collector that exports says of it. Small, the same on every node; times are the database's.
create table exporter (
    run           uuid        not null primary key, -- of the collector
    seen          timestamptz not null,
    works         boolean     not null,           -- whether the sink takes what it is given
    n_sent        bigint      not null,           -- events since this run began
    per_second    double precision not null,      -- lately
    oldest        timestamptz,                    -- receipt of the oldest event that waits; null: nothing waits
    error         text,                           -- the last one
    error_at      timestamptz
);

-- How often a finding had been found when it was exported last.
alter table finding add column n_exported bigint not null default 0;
