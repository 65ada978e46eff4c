//! What went wrong in the database, and what that means for what was being stored.

/// A statement that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database said no, or could not be reached.
    #[error("database")]
    Database(#[from] sqlx::Error),
    /// The server takes no connection.
    #[error("no connection to PostgreSQL at {at} as {user} (does it run there, and is --database right?)")]
    Unreachable {
        /// Its host and port, or the folder of its socket.
        at: String,
        /// The user.
        user: String,
        /// What the last attempt said.
        #[source]
        source: sqlx::Error,
    },
    /// The tables could not be brought up to this version.
    #[error("could not migrate the database")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A stored directory that this version cannot read.
    #[error("directory of segment {id} is not readable: {what}")]
    Directory {
        /// The segment.
        id: uuid::Uuid,
        /// What is wrong with it.
        what: &'static str,
    },
    /// What was to be received into has been merged already: the clock is behind.
    #[error("{received} is already merged, up to {merged_upto}")]
    Merged {
        /// The time it was to be stored under.
        received: super::Stamp,
        /// How far the merger has come.
        merged_upto: super::Stamp,
    },
    /// Putting the values together made this program panic.
    #[error("storing it made the collector panic, which is a defect of this version")]
    Panicked,
    /// A stream was moved on by someone else although its row was locked.
    #[error("{n} of {expected} streams moved on under a lock")]
    Moved {
        /// Rows updated.
        n: usize,
        /// Rows that were to be updated.
        expected: usize,
    },
}

/// What a failure means for the work at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nobody's fault, may work later: the server is away, full or busy, or another transaction won.
    Transient,
    /// A partition for that time is not there yet.
    NoPartition,
    /// The values themselves cannot be stored.
    Data,
    /// The statement is wrong: a bug, or tables of another version.
    Bug,
}

impl StoreError {
    /// No answer came in time.
    pub fn timed_out() -> Self {
        Self::Database(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
    }

    /// Whether another transaction was in the way, so that trying again at once makes sense.
    pub fn is_contention(&self) -> bool {
        match self {
            StoreError::Merged { .. } | StoreError::Moved { .. } => true,
            StoreError::Database(sqlx::Error::Database(e)) => {
                matches!(e.code().as_deref(), Some("40001" | "40P01" | "55P03"))
            }
            _ => false,
        }
    }

    /// Whether it took too long, so that less at a time makes sense.
    pub fn is_slowness(&self) -> bool {
        match self {
            StoreError::Database(sqlx::Error::Database(e)) => e.code().as_deref() == Some("57014"),
            StoreError::Database(sqlx::Error::Io(e)) => e.kind() == std::io::ErrorKind::TimedOut,
            _ => false,
        }
    }

    /// What it means for the work at hand.
    pub fn fault(&self) -> Fault {
        match self {
            StoreError::Database(sqlx::Error::Database(e)) => {
                of_code(e.code().as_deref().unwrap_or(""), e.message())
            }
            StoreError::Database(
                sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. },
            )
            | StoreError::Panicked => Fault::Data,
            StoreError::Database(
                sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::ColumnIndexOutOfBounds { .. }
                | sqlx::Error::TypeNotFound { .. }
                | sqlx::Error::Configuration(_),
            ) => Fault::Bug,
            StoreError::Database(_)
            | StoreError::Unreachable { .. }
            | StoreError::Merged { .. }
            | StoreError::Moved { .. } => Fault::Transient,
            StoreError::Migrate(_) | StoreError::Directory { .. } => Fault::Bug,
        }
    }
}

/// By SQLSTATE (PostgreSQL 15, appendix A).
fn of_code(code: &str, message: &str) -> Fault {
    match code {
        // A partitioned table answers so when no partition takes the row; we have no such checks on it.
        "23514" if message.starts_with("no partition of relation") => Fault::NoPartition,
        // Rolled back, resources, limits that pass, operator intervention, server errors, connection.
        _ if ["40", "53", "55", "57", "58", "08", "25", "XX"].iter().any(|class| code.starts_with(class)) => {
            Fault::Transient
        }
        // Program limits (a row too big), data, integrity.
        _ if ["54", "22", "23"].iter().any(|class| code.starts_with(class)) => Fault::Data,
        _ => Fault::Bug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart() {
        for (code, message) in [
            ("53100", "could not extend file"),
            ("53200", "out of memory"),
            ("53300", "sorry, too many clients already"),
            ("57P01", "terminating connection"),
            ("57P03", "the database system is starting up"),
            ("57014", "canceling statement due to statement timeout"),
            ("40001", "could not serialize access"),
            ("40P01", "deadlock detected"),
            ("25006", "cannot execute UPDATE in a read-only transaction"),
            ("08006", "connection failure"),
            ("XX001", "could not read block"),
        ] {
            assert_eq!(of_code(code, message), Fault::Transient, "{code}");
        }
        assert_eq!(of_code("23514", "no partition of relation \"fresh\" found for row"), Fault::NoPartition);
        assert_eq!(of_code("23514", "new row violates check constraint"), Fault::Data);
        assert_eq!(of_code("22021", "invalid byte sequence"), Fault::Data);
        assert_eq!(of_code("42P01", "relation does not exist"), Fault::Bug);
    }
}
