-- Who may call the API, what enrols a host, and who did what. Secrets are only here as hashes.

create table api_token (
    id            uuid        not null primary key,
    hash          bytea       not null unique,    -- blake3 of the token, 256 random bits
    name          text        not null,
    role          text        not null check (role in ('viewer', 'analyst', 'responder', 'admin')),
    created       timestamptz not null,
    created_by    text        not null,
    expires       timestamptz,                    -- null: never
    revoked       timestamptz,
    last_used     timestamptz                     -- to the minute
);

create table enroll_token (
    hash          bytea       not null primary key,
    tags          text[]      not null,
    created       timestamptz not null,
    created_by    text        not null,
    expires       timestamptz not null,
    used          timestamptz,                    -- set once, by the enrolment it was good for
    used_by       uuid                            -- the host
);

create table audit (
    id            uuid        not null primary key, -- UUIDv7, so in order of time
    at            timestamptz not null,
    actor         text        not null,           -- token:…, host:…, collector, anonymous
    action        text        not null,           -- token.create, host.enroll, …
    about         text        not null,           -- what it was done to
    address       text,                           -- where the call came from
    outcome       text        not null check (outcome in ('done', 'refused')),
    detail        text
);
create index audit_at on audit (at);
