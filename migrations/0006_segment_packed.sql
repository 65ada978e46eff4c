-- Small batches of one host that were merged are compressed together. Then `payload` is one zstd frame, and this is its
-- length when decompressed: what lies where in that is in `directory`. Null where the batches lie as they came.
alter table segment add column packed integer;
