//! System calls.

use bytes::Bytes;
use wire::event::Row;
use wire::field::Field;
use wire::value::Value;

use super::set_outcome;
use crate::record::Call;

pub(super) fn row(call: &Call) -> Row {
    let args = call.args.iter().map(|arg| Bytes::from(arg.to_string())).collect();
    let mut row = Row::default()
        .with(Field::SyscallNumber, u64::from(call.number))
        .with(Field::SyscallArgs, Value::List(args))
        .with(Field::SyscallResult, Value::Int(call.result));
    set_outcome(&mut row, call.error());
    row
}
