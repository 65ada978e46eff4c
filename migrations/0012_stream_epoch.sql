-- Epochs are random: two hosts that send the same one have the same spool, or one takes itself for the other. Asked when a
-- stream begins. No update touches the column, so updates of a row stay HOT.
create index stream_epoch on stream (epoch);
