//! Which collector this is: a UUID made at its first start, in `$home/collector/id`.

use std::path::Path;

use uuid::Uuid;

use super::ServeError;

/// The id kept in this folder, made if there is none. The same after a restart, so that a lease it held then is
/// still its own.
pub(super) fn of(folder: &Path) -> Result<Uuid, ServeError> {
    let path = folder.join("id");
    let kept = std::fs::read_to_string(&path).ok().and_then(|text| Uuid::parse_str(text.trim()).ok());
    if let Some(id) = kept {
        return Ok(id);
    }
    let id = Uuid::now_v7();
    std::fs::write(&path, format!("{id}\n")).map_err(|source| ServeError::File { path, source })?;
    Ok(id)
}
