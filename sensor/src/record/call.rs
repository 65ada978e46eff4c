//! A system call that has returned.

use sensor_bpf::event;
use wire::event::Kind;

use super::decode::fixed;
use super::{RecordError, Task};

/// A system call that the collection asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub kind: Kind,
    /// The process that made it.
    pub task: Task,
    /// Its number in the table of the caller's architecture.
    pub number: u32,
    /// Its arguments as the registers have them, whether it takes so many or not.
    pub args: [u64; event::EVENT_CALL_ARGS as usize],
    /// What it returned.
    pub result: i64,
}

impl Call {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let call: event::event_call = fixed(bytes)?;
        let kind = u16::try_from(call.action).ok().map(Kind::new).filter(|kind| kind.is_call());
        Ok(Self {
            kind: kind.ok_or(RecordError::Value { field: "system call", value: call.action })?,
            task: Task::from(call.task),
            number: call.number,
            args: call.args,
            result: call.result,
        })
    }

    /// The error that it returned, as an error number; 0: none.
    pub fn error(&self) -> u32 {
        match self.result {
            error @ -4095..=-1 => error.unsigned_abs() as u32,
            _ => 0,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use zerocopy::IntoBytes as _;

    use super::*;

    fn record(action: u32, result: i64) -> event::event_call {
        event::event_call {
            action,
            result,
            number: 250,
            args: [1, 2, 3, 4, 5, u64::MAX],
            ..Default::default()
        }
    }

    #[test]
    fn a_call_is_read_with_its_error() {
        let keyctl = Kind::call("keyctl").unwrap();
        let call = Call::decode(record(keyctl.number().into(), -22).as_bytes()).unwrap();
        assert_eq!((call.kind, call.number, call.error()), (keyctl, 250, 22));
        assert_eq!(call.args, [1, 2, 3, 4, 5, u64::MAX]);
        for (result, error) in [(0, 0), (7, 0), (-1, 1), (-4095, 4095), (-4096, 0), (i64::MIN, 0)] {
            let call = Call::decode(record(keyctl.number().into(), result).as_bytes()).unwrap();
            assert_eq!(call.error(), error, "{result}");
        }
    }

    #[test]
    fn what_is_no_call_is_refused() {
        for action in [0, u32::from(Kind::EXEC.number()), 1 << 16, u32::MAX] {
            let found = Call::decode(record(action, 0).as_bytes());
            assert_eq!(found, Err(RecordError::Value { field: "system call", value: action }));
        }
    }
}
