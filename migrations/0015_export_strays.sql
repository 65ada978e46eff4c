-- What is exported beside the streams (docs/kafka.md): how much of it there is, and what the sink refused of it.

-- How many events the batch has; 0: not known, it was noted by an earlier version.
alter table export_late add column n_events bigint not null default 0;

-- Why the sink refused the finding when it was exported last, as which record (ce_id), where it was to go and how large it
-- was; null: it was not refused.
alter table finding
    add column refused_id      text,
    add column refused         timestamptz,
    add column refused_topic   text,
    add column refused_n_bytes bigint,
    add column refused_reason  text;
