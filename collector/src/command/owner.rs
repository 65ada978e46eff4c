//! Whose collector this is. What root does beside a collector that runs as a user of its own must leave files that this user
//! can read, and asks a database that knows this user only.

use std::os::unix::fs::MetadataExt as _;

use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setgid, setgroups, setuid};

use crate::config::Config;

/// The owner could not be become.
#[derive(Debug, thiserror::Error)]
#[error("cannot go on as user {user}, whose collector this is: {why}")]
pub struct OwnerError {
    user: String,
    why: nix::Error,
}

/// Goes on as the user whose collector lives in this home, for good, if the caller is root and it is somebody else's; gives
/// that user's name then. Must be called before there are threads: they may keep what they were.
///
/// # Errors
/// When the system refuses.
pub fn become_owner(config: &Config) -> Result<Option<String>, OwnerError> {
    let Ok(folder) = std::fs::metadata(config.folder()) else { return Ok(None) };
    let (uid, gid) = (Uid::from_raw(folder.uid()), Gid::from_raw(folder.gid()));
    if !geteuid().is_root() || uid.is_root() {
        return Ok(None);
    }
    let user = User::from_uid(uid).ok().flatten();
    let name = user.as_ref().map_or_else(|| uid.to_string(), |user| user.name.clone());
    let groups = match user.as_ref().and_then(|user| std::ffi::CString::new(user.name.as_str()).ok()) {
        Some(user) => initgroups(&user, gid),
        None => setgroups(&[gid]),
    };
    groups
        .and_then(|()| setgid(gid))
        .and_then(|()| setuid(uid))
        .map_err(|why| OwnerError { user: name.clone(), why })?;
    Ok(Some(name))
}
