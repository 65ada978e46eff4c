//! Why a file is not hashed.

/// Why a file is not hashed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Skip {
    /// It is larger than the settings allow.
    TooLarge,
    /// Too many are waiting.
    Busy,
    /// Its process has ended, and its path does not lead to it (any more).
    Gone,
    /// Its process has ended, and it had been changed so shortly before it ran that a change afterwards would not show.
    Fresh,
    /// It was changed while it was read, or is another file than the one that ran.
    Changed,
    /// It lies on a network file system, on FUSE, or on one that is not known: reading it may block for ever.
    FileSystem,
    /// It is no regular file.
    NotRegular,
    /// It cannot be opened or read.
    Unreadable,
}

impl Skip {
    /// All of them, in their order.
    pub const ALL: [Self; 8] = [
        Self::TooLarge,
        Self::Busy,
        Self::Gone,
        Self::Fresh,
        Self::Changed,
        Self::FileSystem,
        Self::NotRegular,
        Self::Unreadable,
    ];

    /// Its name in the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Busy => "busy",
            Self::Gone => "gone",
            Self::Fresh => "fresh",
            Self::Changed => "changed",
            Self::FileSystem => "file_system",
            Self::NotRegular => "not_regular",
            Self::Unreadable => "unreadable",
        }
    }

    /// Whether it would be the same another time.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::TooLarge | Self::FileSystem | Self::NotRegular)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_place() {
        for (place, skip) in Skip::ALL.into_iter().enumerate() {
            assert_eq!(skip as usize, place, "{}", skip.name());
        }
    }

    #[test]
    fn each_is_in_the_documentation() {
        let text = include_str!("../../../docs/sensor.md");
        for skip in Skip::ALL {
            assert!(
                text.contains(&format!("| `{}` |", skip.name())),
                "{} is not in docs/sensor.md",
                skip.name()
            );
        }
    }
}
