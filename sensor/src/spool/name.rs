//! How files are named in the spool on disk: a name tells what a file is for, also when its content is of no use any more.

use wire::id::{Epoch, Lane};

use super::StreamKey;

/// A run of a stream's events.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Run {
    /// The number of the first.
    pub first: u64,
    /// The number after the last.
    pub end: u64,
}

impl Run {
    /// How many events.
    pub fn n_events(self) -> u64 {
        self.end.saturating_sub(self.first)
    }
}

/// What a name in a stream's folder stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Name {
    /// Batches with these events.
    Bundle(Run),
    /// These events were given up.
    Shed(Run),
    /// How far the stream is acknowledged.
    Watermark,
    /// A file that was never finished.
    Unfinished,
}

/// The name of a stream's watermark.
pub(super) const WATERMARK: &str = "watermark";
/// The end of the name of a file that is being written.
pub(super) const UNFINISHED: &str = "part";
const SHED: &str = "shed";
const NOTE: &str = "note";
const DIGITS: usize = 20;

pub(super) fn bundle(run: Run) -> String {
    format!("{:0DIGITS$}-{:0DIGITS$}", run.first, run.end)
}

pub(super) fn shed(run: Run) -> String {
    format!("{}.{SHED}", bundle(run))
}

pub(super) fn note(epoch: Epoch) -> String {
    format!("{epoch}.{NOTE}")
}

pub(super) fn stream(stream: StreamKey) -> String {
    format!("{}.{}", stream.epoch, stream.lane)
}

/// What a file in a stream's folder is; `None` for what is not ours.
pub(super) fn parse(name: &str) -> Option<Name> {
    let (stem, end) = name.split_once('.').unwrap_or((name, ""));
    match end {
        _ if end.ends_with(UNFINISHED) => Some(Name::Unfinished),
        "" if stem == WATERMARK => Some(Name::Watermark),
        "" => run(stem).map(Name::Bundle),
        SHED => run(stem).map(Name::Shed),
        _ => None,
    }
}

/// The stream whose folder has this name.
pub(super) fn parse_stream(name: &str) -> Option<StreamKey> {
    let (epoch, lane) = name.split_once('.')?;
    Some(StreamKey { epoch: epoch.parse().ok()?, lane: lane.parse::<Lane>().ok()? })
}

/// The epoch whose note has this name.
pub(super) fn parse_note(name: &str) -> Option<Epoch> {
    name.strip_suffix(NOTE)?.strip_suffix('.')?.parse().ok()
}

fn run(stem: &str) -> Option<Run> {
    let (first, end) = stem.split_once('-')?;
    let number = |text: &str| {
        let is_ours = text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u64>().ok().filter(|_| is_ours)
    };
    let run = Run { first: number(first)?, end: number(end)? };
    (run.first < run.end).then_some(run)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    proptest! {
        #[test]
        fn names_tell_what_they_were_made_for(first in 0..u64::MAX, more in 1..u64::MAX) {
            let run = Run { first, end: first.saturating_add(more) };
            prop_assert_eq!(parse(&bundle(run)), Some(Name::Bundle(run)));
            prop_assert_eq!(parse(&shed(run)), Some(Name::Shed(run)));
            prop_assert_eq!(parse(&format!("{}.{UNFINISHED}", bundle(run))), Some(Name::Unfinished));
        }

        #[test]
        fn any_name_can_be_looked_at(name in "\\PC*") {
            let _ = (parse(&name), parse_stream(&name), parse_note(&name));
        }
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        for name in ["lock", "", "-", "1-2", "00000000000000000005-00000000000000000005", "x.shed"] {
            assert_eq!(parse(name), None, "{name}");
        }
        assert_eq!(parse(WATERMARK), Some(Name::Watermark));
        let key = StreamKey { epoch: Epoch::new(Uuid::from_u128(7)), lane: Lane::Bulk };
        assert_eq!(parse_stream(&stream(key)), Some(key));
        assert_eq!(parse_note(&note(key.epoch)), Some(key.epoch));
        assert_eq!(parse_note(&stream(key)), None);
    }
}
