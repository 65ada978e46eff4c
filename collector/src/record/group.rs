//! What records are sorted under: the category of events, or finding.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wire::event::Kind;

use super::name;

macro_rules! groups {
    ($($variant:ident $name:literal $about:literal;)*) => {
        /// What a record belongs to: each has a topic of its own.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Group {
            $(#[doc = $about] $variant,)*
        }

        impl Group {
            /// Every group.
            pub const ALL: &[Group] = &[$(Group::$variant),*];

            /// Its name: the category of its events.
            pub const fn name(self) -> &'static str {
                match self { $(Group::$variant => $name,)* }
            }

            /// The topic that it goes to where nothing else is set.
            pub const fn topic(self) -> &'static str {
                match self { $(Group::$variant => concat!("vedette.", $name),)* }
            }
        }
    };
}

groups! {
    Process "process" "The life of processes, and what is done to them.";
    File "file" "What is done to files.";
    Network "network" "Connections and sockets.";
    Dns "dns" "Names that are asked for.";
    Kernel "kernel" "What is done to the kernel.";
    Syscall "syscall" "System calls that a collection asks for.";
    Container "container" "The lives of containers.";
    Escape "escape" "Signs of an escape from a container.";
    Sensor "sensor" "What sensors say of themselves.";
    Finding "finding" "What the collector found.";
    Other "other" "What this version does not know.";
}

/// A text that names no group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown group {found:?}, expected one of {}", names())]
pub struct GroupError {
    found: String,
}

impl Group {
    /// The group of a kind of events.
    pub fn of(kind: Kind) -> Group {
        name::of(kind).group
    }

    /// The group with this name.
    pub fn named(name: &str) -> Option<Group> {
        Group::ALL.iter().copied().find(|group| group.name() == name)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Group {
    type Err = GroupError;

    fn from_str(text: &str) -> Result<Self, GroupError> {
        Group::named(text).ok_or_else(|| GroupError { found: text.chars().take(64).collect() })
    }
}

fn names() -> String {
    Group::ALL.iter().map(|group| group.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_is_a_group() {
        for info in Kind::known() {
            assert_eq!(Group::of(info.kind).name(), info.category);
        }
        assert_eq!(Group::of(Kind::new(7)), Group::named("process").expect("a group"));
        assert_eq!(Group::of(Kind::new(9_999)), Group::Other);
        assert_eq!("dns".parse(), Ok(Group::Dns));
        assert!("DNS".parse::<Group>().is_err());
    }
}
