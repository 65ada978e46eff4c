//! The classes of OCSF that our events become.

use super::object::{FINDING_STATUS, STATUS};
use crate::shape::{Attribute, FieldSet};

/// A class of events.
#[derive(Debug)]
pub struct Class {
    /// `class_uid`.
    pub uid: u32,
    /// `class_name`.
    pub name: &'static str,
    /// `category_uid`.
    pub category_uid: u32,
    /// `category_name`.
    pub category: &'static str,
    /// Its activities, by number. What is not among them is 99, under a name of our own.
    pub activities: &'static [(u32, &'static str)],
    /// What its events have beside what their kind says.
    pub attributes: &'static [Attribute],
    /// The fields that have their place there.
    pub(super) mapped: FieldSet,
    /// Whether it wants an actor also of an event that nobody is known to have done.
    pub needs_actor: bool,
}

const OF_STATUS: FieldSet = Attribute::fields(STATUS);

/// The activity that a class has no number for.
pub const OTHER: u32 = 99;

impl Class {
    /// An activity's caption; for those that the class does not have "Other".
    pub fn activity(&self, number: u32) -> &'static str {
        self.activities.iter().find(|(known, _)| *known == number).map_or("Other", |(_, name)| name)
    }

    /// `type_uid` of an activity.
    pub const fn type_uid(&self, activity: u32) -> u32 {
        self.uid * 100 + activity
    }

    /// A class with nothing but its activities beside what all events have.
    const fn of(
        (category_uid, category): (u32, &'static str),
        uid: u32,
        name: &'static str,
        activities: &'static [(u32, &'static str)],
    ) -> Self {
        Self {
            uid,
            name,
            category_uid,
            category,
            activities,
            attributes: STATUS,
            mapped: OF_STATUS,
            needs_actor: false,
        }
    }

    const fn system(uid: u32, name: &'static str, activities: &'static [(u32, &'static str)]) -> Self {
        Self { needs_actor: true, ..Self::of((1, "System Activity"), uid, name, activities) }
    }
}

const NETWORKS: (u32, &str) = (4, "Network Activity");
const APPLICATIONS: (u32, &str) = (6, "Application Activity");
const FINDINGS: (u32, &str) = (2, "Findings");

/// What is done to files.
pub static FILE: Class = Class::system(
    1001,
    "File System Activity",
    &[
        (1, "Create"),
        (3, "Update"),
        (4, "Delete"),
        (5, "Rename"),
        (6, "Set Attributes"),
        (7, "Set Security"),
        (12, "Mount"),
        (13, "Unmount"),
        (14, "Open"),
    ],
);

/// What is loaded into the kernel.
pub static KERNEL_EXTENSION: Class = Class::system(1002, "Kernel Extension Activity", &[(1, "Load")]);

/// What is asked of the kernel.
pub static KERNEL: Class =
    Class::system(1003, "Kernel Activity", &[(0, "Unknown"), (1, "Create"), (4, "Invoke")]);

/// What is done to memory.
pub static MEMORY: Class = Class::system(1004, "Memory Activity", &[(2, "Modify Page")]);

/// What is loaded into processes.
pub static MODULE: Class = Class::system(1005, "Module Activity", &[(1, "Load")]);

/// What becomes of processes.
pub static PROCESS: Class = Class::system(
    1007,
    "Process Activity",
    &[(1, "Launch"), (2, "Terminate"), (3, "Open"), (4, "Inject"), (5, "Set User ID")],
);

/// What somebody should look at.
pub static DETECTION: Class = Class {
    attributes: FINDING_STATUS,
    mapped: FieldSet::EMPTY,
    ..Class::of(FINDINGS, 2004, "Detection Finding", &[(1, "Create"), (2, "Update"), (3, "Close")])
};

/// What goes over the network.
pub static NETWORK: Class = Class::of(
    NETWORKS,
    4001,
    "Network Activity",
    &[(1, "Open"), (2, "Close"), (3, "Reset"), (4, "Fail"), (5, "Refuse"), (7, "Listen")],
);

/// What is asked of name servers.
pub static DNS: Class = Class::of(NETWORKS, 4003, "DNS Activity", &[(1, "Query"), (2, "Response")]);

/// What becomes of containers and sensors.
pub static APPLICATION: Class =
    Class::of(APPLICATIONS, 6002, "Application Lifecycle", &[(3, "Start"), (4, "Stop")]);
