//! Why a container has no name.

/// Why a container has no name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Miss {
    /// Nothing that knows its runtime's containers is there, or may be read.
    NoSource,
    /// What was asked does not know it.
    Unknown,
    /// What was asked did not answer in time.
    Late,
    /// What was asked gave no answer that makes sense, or one that is too long.
    Garbled,
    /// Too many wait to be asked about.
    Busy,
}

impl Miss {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [Self::NoSource, Self::Unknown, Self::Late, Self::Garbled, Self::Busy];

    /// The reason, as the end of a sentence.
    pub const fn why(self) -> &'static str {
        match self {
            Self::NoSource => "no socket of their runtime can be read",
            Self::Unknown => "no runtime that answers knows them",
            Self::Late => "a runtime's socket does not answer",
            Self::Garbled => "a runtime's socket gives no answer that makes sense",
            Self::Busy => "too many are asked for",
        }
    }

    /// Its name in the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoSource => "no_source",
            Self::Unknown => "unknown",
            Self::Late => "late",
            Self::Garbled => "garbled",
            Self::Busy => "busy",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_place() {
        for (place, miss) in Miss::ALL.into_iter().enumerate() {
            assert_eq!(miss as usize, place, "{}", miss.name());
        }
    }

    #[test]
    fn each_is_in_the_documentation() {
        let text = include_str!("../../../../docs/sensor.md");
        for miss in Miss::ALL {
            assert!(
                text.contains(&format!("| `{}` |", miss.name())),
                "{} is not in docs/sensor.md",
                miss.name()
            );
        }
    }
}
