//! Vedette's collector: what the whole fleet reports to, and what is searched.
//!
//! Must never import `vedette-sensor`, `sensor-bpf` or aya. `sqlx` is named only in [`store`] and where the
//! store's connections are opened.
//!
//! | module | holds |
//! |---|---|
//! | [`access`] | roles, bearer tokens, and the one table that says who may call what |
//! | [`account`] | the equation that accounts for every record, and where it does not hold |
//! | [`api`] | the HTTPS API under `/api/v1` (the only place that names axum) |
//! | [`balance`] | the equation of the whole store, for Prometheus |
//! | [`backup`] | store, keys and configuration in one file, and back |
//! | [`ca`] | the certificate authority: who is a host, who is a collector |
//! | [`command`] | what is done on the collector's own host beside serving: its authority, backups |
//! | [`config`] | what a collector is told |
//! | [`ecs`] | events as the Elastic Common Schema has them |
//! | [`enrolment`] | how hosts come into the fleet, and stay in it |
//! | [`export`] | sends what is stored on to a sink, each stream in order and to its end |
//! | [`home`] | where state is kept |
//! | [`import`] | what others have written, as rules |
//! | [`ingest`] | from what sensors sent to what is stored: durable, once, answered after the commit |
//! | [`kafka`] | the Kafka sink (the only place that names rdkafka) |
//! | [`lease`] | periodic work that one of several collectors does at a time |
//! | [`lineage`] | the tree of a process: ancestors and descendants |
//! | [`listener`] | takes the connections of sensors (QUIC) |
//! | [`manual`] | man pages and completions, from the definitions of a command line |
//! | [`metrics`] | what is counted, for Prometheus |
//! | [`merge`] | moves the batches of finished minutes into segments of one host each |
//! | [`ocsf`] | events as the Open Cybersecurity Schema Framework has them |
//! | [`plural`] | numbers of hosts in sentences |
//! | [`postgres`] | a private PostgreSQL: found, made, started, adopted, stopped |
//! | [`presence`] | says that this collector lives, and hears who else does |
//! | [`record`] | events and findings on their way to others' systems |
//! | [`relay`] | what other collectors have stored, for the tails served here |
//! | [`retention`] | makes partitions ahead of time, drops what is too old or too much |
//! | [`revocation`] | the hosts whose certificates no longer count |
//! | [`roster`] | what sessions report, into the host table |
//! | [`rules`] | rules as they are written, and how much of history could have shown what they ask for |
//! | [`search`] | from a query's text to events, newest first |
//! | [`serve`] | a running collector: puts the parts together |
//! | [`session`] | one connection with a sensor, as a pure state machine |
//! | [`shape`] | how fields become attributes of somebody else's JSON |
//! | [`span`] | spans of time as people write them |
//! | [`store`] | the tables, one file per noun |
//! | [`tail`] | what has just been stored, for whoever listens |

pub mod access;
pub mod account;
pub mod api;
pub mod backup;
pub mod balance;
pub mod ca;
pub mod command;
pub mod config;
pub mod ecs;
pub mod enrolment;
pub mod escape;
pub mod export;
pub mod home;
pub mod import;
pub mod ingest;
pub mod kafka;
pub mod lease;
pub mod lineage;
pub mod listener;
pub mod manual;
pub mod merge;
pub mod metrics;
pub mod ocsf;
pub mod plural;
pub mod postgres;
pub mod presence;
pub mod record;
pub mod relay;
pub mod retention;
pub mod revocation;
pub mod roster;
pub mod rules;
pub mod search;
pub mod serve;
pub mod session;
pub mod shape;
pub mod span;
pub mod store;
pub mod tail;
