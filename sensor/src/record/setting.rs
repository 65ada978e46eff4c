//! A setting of the kernel that a process writes.

use std::mem::offset_of;

use sensor_bpf::event::event_setting;

use super::decode::fixed;
use super::{RecordError, Task};

/// A setting (sysctl) that is about to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<'a> {
    /// The process that writes it.
    pub task: Task,
    /// Its path below /proc/sys: `kernel/core_pattern`.
    pub name: &'a [u8],
    /// What is written, as far as it fits.
    pub value: &'a [u8],
}

impl<'a> Setting<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let setting: event_setting = fixed(bytes)?;
        Ok(Self {
            task: Task::from(setting.task),
            name: text(bytes, offset_of!(event_setting, name), setting.name.len(), setting.name_len),
            value: text(bytes, offset_of!(event_setting, value), setting.value.len(), setting.value_len),
        })
    }
}

/// The text of this length, within a field of that size.
pub(super) fn text(bytes: &[u8], at: usize, size: usize, len: u32) -> &[u8] {
    let field = bytes.get(at..at + size).unwrap_or_default();
    let text = field.get(..len as usize).unwrap_or(field);
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_within_its_field() {
        let bytes = b"..abc\0xyz..";
        assert_eq!(text(bytes, 2, 8, 2), b"ab");
        assert_eq!(text(bytes, 2, 8, 7), b"abc");
        assert_eq!(text(bytes, 6, 4, u32::MAX), b"xyz.");
        assert_eq!(text(bytes, 11, 8, 3), b"");
    }
}
