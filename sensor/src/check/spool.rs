//! Whether what waits for a collector outlives a power cut.

use std::io;
use std::path::PathBuf;

use super::Row;
use crate::outbox::most_on_disk;
use crate::spool::{Files as _, Room, SystemFiles};

/// What is lost without it.
const WITHOUT: &str = "what waits for a collector that does not answer is gone after a power cut";

/// Where batches may go, and how much of that disk they may take, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolPlace {
    /// The folder; it need not be there yet.
    pub folder: PathBuf,
    /// The most that is configured.
    pub max_bytes: u64,
}

/// The row about this place; none: there is no spool on disk by configuration.
pub(super) fn row(place: Option<&SpoolPlace>) -> Row {
    let Some(place) = place else {
        return told(None, Err("there is none, by configuration: spool_disk_mb is 0".to_owned()));
    };
    told(Some(place), look(place).map_err(|error| format!("cannot look at its file system: {error}")))
}

/// The file system in which the folder is, or would be.
fn look(place: &SpoolPlace) -> io::Result<Room> {
    let there = place.folder.ancestors().find(|folder| folder.exists());
    SystemFiles.room(there.ok_or(io::ErrorKind::NotFound)?)
}

fn told(place: Option<&SpoolPlace>, room: Result<Room, String>) -> Row {
    let (way, bound, problem) = match (place, room) {
        (Some(place), Ok(room)) => {
            let bound = most_on_disk(place.max_bytes, room);
            let full =
                "its disk has no room: 5 % of it stay free for others; free some, or set another spool_disk";
            (place.folder.display().to_string(), bound, (bound == 0).then(|| full.to_owned()))
        }
        (_, Err(problem)) => (String::new(), 0, Some(problem)),
        (None, Ok(_)) => (String::new(), 0, None),
    };
    let available = bound > 0;
    Row {
        name: "spool.disk".into(),
        way,
        programs: Vec::new(),
        shows: format!("batches outlive a power cut while no collector answers: {} MiB of them", bound >> 20),
        available,
        note: problem.unwrap_or_default(),
        spare: String::new(),
        blind: if available { String::new() } else { WITHOUT.into() },
        required: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_and_what_it_takes_are_told() {
        let place = SpoolPlace { folder: "/var/tmp/nowhere/yet".into(), max_bytes: 1 << 20 };
        let told = row(Some(&place));
        assert!(
            told.available && told.shows.contains("1 MiB") && told.way == "/var/tmp/nowhere/yet",
            "{told:?}"
        );
        let none = row(None);
        assert!(!none.available && !none.required && none.note.contains("spool_disk_mb"), "{none:?}");
        let full = super::told(Some(&place), Ok(Room { total_bytes: 1 << 30, free_bytes: 5 << 20 }));
        assert!(!full.available && full.note.contains("no room") && !full.blind.is_empty(), "{full:?}");
    }
}
