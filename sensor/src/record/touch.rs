//! Who gets hold of the sensor's own objects in the kernel.

use sensor_bpf::event;

use super::decode::fixed;
use super::{RecordError, Task};

/// A process has got a descriptor of a map or program of the sensor's own: with one it can be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The process.
    pub task: Task,
    /// What kind of thing it is.
    pub object: Object,
    /// Its name in the kernel, which has room for 15 bytes of it.
    pub name: Vec<u8>,
}

/// A kind of thing in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// A map.
    Map,
    /// A program.
    Program,
}

impl Object {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Object::Map => "map",
            Object::Program => "program",
        }
    }
}

impl Touch {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let touch: event::event_touch = fixed(bytes)?;
        let object = match touch.object {
            event::EVENT_OBJECT_MAP => Object::Map,
            event::EVENT_OBJECT_PROGRAM => Object::Program,
            value => return Err(RecordError::Value { field: "object", value }),
        };
        let name = super::kernel::text(&touch.name);
        Ok(Self { task: Task::from(touch.task), object, name })
    }
}
