//! What is written into a private server's configuration, at every start.

use std::path::Path;

use nix::unistd::Uid;

/// The database role, and the database.
pub(super) const ROLE: &str = "vedette";

/// How much a server may cost, and how much it must not lose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Care {
    /// Survives a loss of power.
    Durable,
    /// For tests: forgets what it likes when the machine goes down.
    Scratch,
}

/// `vedette.conf`, which `postgresql.conf` includes as its last line.
pub(super) fn server(run: &Path, care: Care) -> String {
    let run = quoted(&run.to_string_lossy());
    let common = format!(
        "# Written at every start.\n\
         listen_addresses = ''\n\
         unix_socket_directories = {run}\n\
         unix_socket_permissions = 0700\n\
         port = 5432\n\
         max_connections = 64\n\
         # A search and the merger touch many partitions.\n\
         max_locks_per_transaction = 256\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n\
         log_line_prefix = '%m [%p] '\n\
         # Values come from hosts: none of them belongs into a log.\n\
         log_parameter_max_length = 0\n\
         log_parameter_max_length_on_error = 0\n\
         log_error_verbosity = terse\n\
         log_min_error_statement = panic\n\
         jit = off\n"
    );
    match care {
        Care::Durable => format!(
            "{common}\
             shared_buffers = '256MB'\n\
             work_mem = '16MB'\n\
             maintenance_work_mem = '128MB'\n\
             wal_compression = on\n\
             wal_buffers = '16MB'\n\
             max_wal_size = '4GB'\n\
             checkpoint_timeout = '15min'\n\
             effective_io_concurrency = 32\n\
             random_page_cost = 1.5\n"
        ),
        Care::Scratch => format!(
            "{common}\
             shared_buffers = '64MB'\n\
             # Commits survive a killed server, not a loss of power.\n\
             fsync = off\n\
             full_page_writes = off\n\
             autovacuum = off\n"
        ),
    }
}

/// `pg_hba.conf`: only through the socket, only who the kernel says is the server's user or the caller.
pub(super) fn access() -> String {
    format!("# Written at every start.\nlocal all {ROLE} peer map={ROLE}\n")
}

/// `pg_ident.conf`.
pub(super) fn identities(server_user: &str) -> String {
    let caller = nix::unistd::User::from_uid(Uid::effective()).ok().flatten().map(|user| user.name);
    let mut names: Vec<&str> = vec![server_user];
    names.extend(caller.as_deref().filter(|caller| *caller != server_user));
    names.iter().map(|name| format!("{ROLE} \"{name}\" {ROLE}\n")).collect()
}

/// The URL of a database, through the socket.
pub(super) fn url(run: &Path, database: &str) -> String {
    let run: String = run
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => char::from(*b).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("postgres://{ROLE}@localhost/{database}?host={run}")
}

/// A value as `postgresql.conf` takes it; for `unix_socket_directories`, a path with a comma is one path too.
fn quoted(path: &str) -> String {
    format!("'\"{}\"'", path.replace('\'', "''").replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_are_quoted() {
        assert_eq!(quoted("/a b/it's"), "'\"/a b/it''s\"'");
        assert_eq!(url(Path::new("/a b"), "x"), "postgres://vedette@localhost/x?host=/a%20b");
    }
}
