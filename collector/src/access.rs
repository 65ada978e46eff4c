//! Who may call what: roles, bearer tokens, and one table of routes.
//!
//! Everything is denied that is not in [`routes::ROUTES`]; the table is held against the router
//! by a test that calls every route without a token and with too low a role.

pub mod role;
pub mod routes;
pub mod secret;

pub use role::Role;
use uuid::Uuid;

/// Who is calling: the token behind a request that has been let in.
///
/// A handler takes it as a parameter where it needs to know; that the caller may call that route
/// has been decided before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's id, as `token list` shows it.
    pub token: Uuid,
    /// What the token was named when it was made.
    pub name: String,
    /// The most it may do.
    pub role: Role,
}

impl Caller {
    /// The caller as the audit log names it.
    pub fn actor(&self) -> String {
        if self.name.is_empty() {
            format!("token:{}", self.token)
        } else {
            format!("token:{} {}", self.token, self.name)
        }
    }
}
