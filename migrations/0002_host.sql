-- The hosts of the fleet: one row each, small, written seldom (never once per batch).
--
-- What a host says of itself (name to facts) is a claim. Who it is, is its certificate.
create table host (
    id            uuid        not null primary key,
    bucket        smallint    not null,           -- wire::id::HostId::bucket, never updated
    name          text        not null,           -- not unique: two hosts may bear one name
    tags          text[]      not null,           -- key=value, from the enrolment token
    enrolled      timestamptz not null,
    -- Serial numbers of its last certificate and of the one that was shown to get it. Those two renew; an
    -- older one is refused, so that of two holders of one key (a copied disk) one is found out.
    certificate   bytea       not null,
    previous      bytea,
    certified_until timestamptz not null,
    revoked       timestamptz,
    -- As of its last session.
    last_seen     timestamptz,
    address       text,                           -- where it called from
    kernel        text        not null,
    arch          text        not null,
    sensor_version text       not null,
    boot          uuid,
    clock_offset_ns bigint,                       -- the collector's clock minus the host's, as measured there
    clock_uncertainty_ns bigint,                  -- null: never measured
    facts         jsonb                           -- wire::frame::sensor::Facts of its last heartbeat
);
-- `--host NAME`.
create index host_name on host (name);
