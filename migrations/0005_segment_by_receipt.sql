-- The segments around a commit: where the arguments of a process row are. Only for statements that say `bucket >= 0`,
-- which is true of every row: a search by terms names times of receipt too, to leave out days, and this index for them
-- would have it unpack the terms of every segment (36 ms for 5,000, against 7 by the index on terms).
drop index segment_host_received;
create index segment_host_received on segment (bucket, host, received) where bucket >= 0;
