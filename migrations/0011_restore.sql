-- What a restored store remembers of its backup, so that it can say what is missing (docs/keys.md).

create table restore (
    id            uuid        not null primary key,
    taken         timestamptz not null,           -- when the backup was begun: all that was stored before is in it
    restored      timestamptz not null,
    version       text        not null            -- of the collector that made the backup
);

-- Where each stream stood then. A sensor that had more acknowledged sends a tombstone that begins there.
create table restored_stream (
    bucket        smallint    not null,
    host          uuid        not null,
    epoch         uuid        not null,
    lane          smallint    not null,
    next_seq      bigint      not null,
    sealed        timestamptz,                    -- when the last batch that is there was sealed
    newest        boolean     not null,           -- of the host's last epoch then: it may have gone on
    primary key (bucket, host, epoch, lane)
);

-- Since when certificates of this host may exist that the store does not know, as it was restored: one such renews, once.
alter table host add column unsure timestamptz;
