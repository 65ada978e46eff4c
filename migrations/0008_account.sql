-- Where a stream's last batch ended. There, and only there, the sensor's counters hold: what was shed or refused after it
-- is not in them yet. Null: written by a version that did not keep it; then it is taken to be next_seq.
alter table stream add column boundary_seq  bigint;          -- the number after the last event of that batch
alter table stream add column boundary_shed bigint;          -- n_shed as it was there
update stream set boundary_seq = next_seq, boundary_shed = n_shed;
-- Replaying a quarantined batch: how often it was tried.
alter table quarantine add column n_tries integer not null default 0;
