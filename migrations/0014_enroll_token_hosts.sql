-- A token may enrol more than one host: the nodes of a cluster, a group that scales by itself.

alter table enroll_token add column hosts    integer not null default 1 check (hosts > 0);
alter table enroll_token add column enrolled integer not null default 0;   -- by collectors that know of this; used says the last time
