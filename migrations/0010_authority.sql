-- Moving a fleet from one certificate authority to the next (docs/keys.md).

-- Of the certificate by which a host last connected, the key that signed it (its authority key identifier); and the
-- authorities that its sensor says it trusts: fingerprints in hex, one a line. Null: it has not said, as sensors did before.
alter table host add column issuer bytea;
alter table host add column trusts text;

-- Which authorities each collector holds. Their keys are files beside its configuration, and never here.
create table collector_authority (
    collector     uuid        not null primary key,
    name          text        not null,           -- of its host, for people
    serving       text        not null,           -- sha256 of the certificate, in hex: the one that certifies it
    held          text        not null,           -- all of them, one a line
    seen          timestamptz not null            -- when it last said so
);
