-- Vedette's events in ClickHouse: a queue that follows Kafka, a table that keeps them, and what moves them over.
-- The collector sends `format = "native"`: what `vedette search --output json` prints.

create table vedette_queue (raw String) engine = Kafka
    settings kafka_broker_list = 'kafka:9092',
             kafka_topic_list = 'vedette.process,vedette.file,vedette.network,vedette.dns,vedette.kernel,vedette.syscall,vedette.container,vedette.escape,vedette.sensor',
             kafka_group_name = 'clickhouse',
             kafka_format = 'JSONAsString';

-- What is sent twice (Kafka is fed at least once) has one id, and is one row once merged: read with `final`, or count(distinct id).
create table vedette_event (
    time        DateTime64(6, 'UTC') codec(Delta, ZSTD),
    host        LowCardinality(String),
    category    LowCardinality(String),
    action      LowCardinality(String),
    executable  String codec(ZSTD),
    command     String codec(ZSTD),
    pid         UInt32,
    user        LowCardinality(String),
    entity      String,
    parent      String,
    path        String codec(ZSTD),
    source      Nullable(IPv6),
    destination Nullable(IPv6),
    port        UInt16,
    question    String,
    container   LowCardinality(String),
    pod         LowCardinality(String),
    namespace   LowCardinality(String),
    id          String,
    raw         String codec(ZSTD(3)),
    index by_executable executable type bloom_filter granularity 4,
    index by_question question type bloom_filter granularity 4
) engine = ReplacingMergeTree
    partition by toDate(time)
    order by (host, category, time, id)
    ttl toDateTime(time) + interval 1 year;

create materialized view vedette_move to vedette_event as
    select parseDateTime64BestEffort(JSONExtractString(raw, '@timestamp'), 6, 'UTC') as time,
           JSONExtractString(raw, 'host', 'name') as host,
           JSONExtractString(raw, 'event', 'category') as category,
           JSONExtractString(raw, 'event', 'action') as action,
           JSONExtractString(raw, 'process', 'executable') as executable,
           JSONExtractString(raw, 'process', 'command_line') as command,
           JSONExtractUInt(raw, 'process', 'pid') as pid,
           JSONExtractString(raw, 'process', 'user', 'name') as user,
           JSONExtractString(raw, 'process', 'entity_id') as entity,
           JSONExtractString(raw, 'process', 'parent', 'entity_id') as parent,
           JSONExtractString(raw, 'file', 'path') as path,
           toIPv6OrNull(JSONExtractString(raw, 'source', 'ip')) as source,
           toIPv6OrNull(JSONExtractString(raw, 'destination', 'ip')) as destination,
           JSONExtractUInt(raw, 'destination', 'port') as port,
           JSONExtractString(raw, 'dns', 'question', 'name') as question,
           JSONExtractString(raw, 'container', 'name') as container,
           JSONExtractString(raw, 'kubernetes', 'pod', 'name') as pod,
           JSONExtractString(raw, 'kubernetes', 'namespace') as namespace,
           JSONExtractString(raw, 'event', 'id') as id,
           raw
    from vedette_queue;
