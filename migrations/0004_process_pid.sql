-- Which processes had an id on a host: asked for trees (`--pid`), so seldom that a btree, a fifth of the row, is too much.
-- For each 32 pages (some 2,300 rows) a Bloom filter of the ids on them: a byte a row, and 1 page in 100 is looked at in
-- vain. Made once the pages are full, by autovacuum; until then they are looked at.
create index process_pid on process
    using brin (pid int4_bloom_ops (n_distinct_per_range = 2400, false_positive_rate = 0.01))
    with (pages_per_range = 32, autosummarize = on);
