//! Podman's own list of its containers, for hosts where nothing serves its API: `DRIVER-containers/containers.json` in
//! its storage folder. Podman replaces the file as a whole, so it can be read at any time.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Fault, name};
use crate::container::Id;
use crate::container::names::About;

/// The most bytes of a list: of some ten thousand containers.
const MAX_LIST_BYTES: u64 = 16 << 20;
/// The most entries of the storage folder that are looked at; it has about ten.
const MAX_ENTRIES: usize = 256;
/// Containers, and those that are gone when they end or the host is started again.
const LISTS: [&str; 2] = ["containers.json", "volatile-containers.json"];

/// What is read of a container.
#[derive(Debug, Deserialize)]
struct Kept {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    /// JSON in a text.
    #[serde(default)]
    metadata: String,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(rename = "image-name", default)]
    image: String,
}

/// What the store says of a container; `None` if it does not have it.
pub(super) fn find(store: &Path, id: Id) -> Result<Option<About>, Fault> {
    for list in lists(store)? {
        let text = match read(&list) {
            Ok(text) => text,
            // There is a list only if there was such a container.
            Err(Fault::Absent) => continue,
            Err(fault) => return Err(fault),
        };
        let all: Vec<Kept> = serde_json::from_slice(&text).map_err(|_| Fault::Garbled)?;
        if let Some(kept) = all.into_iter().find(|kept| Id::parse(kept.id.as_bytes()) == Some(id)) {
            return Ok(Some(about(kept)));
        }
    }
    Ok(None)
}

/// Whether it can be read.
pub(super) fn look(store: &Path) -> Result<(), Fault> {
    lists(store).and_then(|lists| if lists.is_empty() { Err(Fault::Absent) } else { Ok(()) })
}

/// Where the lists may be.
fn lists(store: &Path) -> Result<Vec<PathBuf>, Fault> {
    let entries = fs::read_dir(store).map_err(|_| Fault::Absent)?;
    let entries = entries.take(MAX_ENTRIES).filter_map(Result::ok).map(|entry| entry.path());
    let folders = entries.filter(|path| path.as_os_str().as_encoded_bytes().ends_with(b"-containers"));
    Ok(folders.flat_map(|folder| LISTS.map(|list| folder.join(list))).collect())
}

fn read(list: &Path) -> Result<Vec<u8>, Fault> {
    let file = File::open(list).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Fault::Absent,
        _ => Fault::Garbled,
    })?;
    let mut text = Vec::new();
    file.take(MAX_LIST_BYTES + 1).read_to_end(&mut text).map_err(|_| Fault::Garbled)?;
    if text.len() as u64 > MAX_LIST_BYTES { Err(Fault::Garbled) } else { Ok(text) }
}

fn about(kept: Kept) -> About {
    let metadata: Metadata = serde_json::from_str(&kept.metadata).unwrap_or_default();
    About {
        name: name(kept.names.into_iter().next().unwrap_or_default()),
        image: name(metadata.image),
        ..About::default()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const ID: &str = "3f4a0b6c2d1e8f7a9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6";

    fn id() -> Id {
        Id::parse(ID.as_bytes()).unwrap()
    }

    #[test]
    fn a_container_is_found_in_either_list_of_any_driver() {
        let store = tempfile::tempdir().unwrap();
        assert_eq!(look(store.path()), Err(Fault::Absent));
        for driver in ["overlay", "vfs"] {
            fs::create_dir(store.path().join(format!("{driver}-containers"))).unwrap();
        }
        assert_eq!((look(store.path()), find(store.path(), id())), (Ok(()), Ok(None)));
        let list = store.path().join("vfs-containers/volatile-containers.json");
        let kept = format!(
            r#"[{{"id": "x"}}, {{"id": "{ID}", "names": ["web"], "layer": "a",
            "metadata": "{{\"image-name\":\"localhost/nginx:1\",\"name\":\"web\"}}"}}]"#
        );
        fs::write(&list, kept).unwrap();
        let found = find(store.path(), id()).unwrap().unwrap();
        assert_eq!((&found.name[..], &found.image[..]), (&b"web"[..], &b"localhost/nginx:1"[..]));
        fs::write(&list, format!(r#"[{{"id": "{ID}", "metadata": "none"}}]"#)).unwrap();
        assert_eq!(find(store.path(), id()), Ok(Some(About::default())));
    }

    #[test]
    fn what_is_no_list_is_told_apart_from_none() {
        let store = tempfile::tempdir().unwrap();
        assert_eq!(find(&store.path().join("nowhere"), id()), Err(Fault::Absent));
        fs::create_dir(store.path().join("overlay-containers")).unwrap();
        let list = store.path().join("overlay-containers/containers.json");
        fs::write(&list, "{").unwrap();
        assert_eq!(find(store.path(), id()), Err(Fault::Garbled));
        File::create(&list).unwrap().set_len(MAX_LIST_BYTES + 1).unwrap();
        assert_eq!(find(store.path(), id()), Err(Fault::Garbled));
    }
}
