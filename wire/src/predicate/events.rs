//! Conditions on events themselves: their kinds, times, numbers and columns.

use super::bits::Bits;
use super::rows::View;
use super::{Judge, Leaf, Test, TextTest};
use crate::batch::{Batch, BatchError, Column, Group, address};
use crate::event::Kind;
use crate::field::Field;
use crate::flat;
use crate::id::EventId;
use crate::time::BootTime;
use crate::value::Value;

/// The events whose subject is one of these.
pub(super) fn of_subjects(batch: &Batch, subjects: &Bits) -> Result<Bits, BatchError> {
    let mut passing = Bits::none(batch.n_events() as usize);
    if subjects.is_empty() {
        return Ok(passing);
    }
    let numbers = batch.event_subjects()?.iter().enumerate();
    numbers.filter(|(_, subject)| subjects.get(**subject as usize)).for_each(|(n, _)| passing.set(n));
    Ok(passing)
}

/// The events that pass, at least all those among `within`.
pub(super) fn passing(
    judge: &Judge<'_>,
    batch: &Batch,
    leaf: &Leaf,
    within: &Bits,
) -> Result<Bits, BatchError> {
    let mut passing = Bits::none(batch.n_events() as usize);
    let header = batch.header();
    match leaf.field {
        Field::Timestamp | Field::EventSensorTime => {
            for (n, ns) in batch.times()?.iter().enumerate() {
                let time = BootTime::from_ns(*ns);
                let time = match leaf.field {
                    Field::Timestamp => header.clock.timestamp(time),
                    _ => header.clock.sensor_time(time),
                };
                if leaf.test.matches_number(i128::from(time.unix_ns())) {
                    passing.set(n);
                }
            }
        }
        Field::EventSequence => {
            for n in within.iter() {
                if leaf.test.matches_number(i128::from(header.first_seq.saturating_add(n as u64))) {
                    passing.set(n);
                }
            }
        }
        Field::EventId => by_id(judge, batch, leaf, within, &mut passing),
        _ => {
            for group in batch.groups() {
                let positions = group.positions()?;
                if positions.iter().any(|n| within.get(*n as usize)) {
                    let hit = |row: usize| {
                        if let Some(n) = positions.get(row) {
                            passing.set(*n as usize);
                        }
                    };
                    in_group(judge, batch, leaf, group, hit)?;
                }
            }
        }
    }
    Ok(passing)
}

/// Whether what follows from a kind passes.
pub(super) fn kind_passes(judge: &Judge<'_>, leaf: &Leaf, kind: Kind) -> bool {
    flat::of_kind(leaf.field, kind)
        .is_some_and(|value| leaf.test.matches(&value, &judge.predicate.texts, &mut Vec::new()))
}

/// Hands `hit` the rows of a group that pass.
fn in_group(
    judge: &Judge<'_>,
    batch: &Batch,
    leaf: &Leaf,
    group: Group<'_>,
    mut hit: impl FnMut(usize),
) -> Result<(), BatchError> {
    let n_rows = group.n_rows();
    match leaf.field {
        Field::EventAction | Field::EventCategory => {
            if kind_passes(judge, leaf, group.kind()) {
                (0..n_rows).for_each(hit);
            }
        }
        Field::NetworkType => {
            let (source, destination) = (group.column(Field::SourceIp)?, group.column(Field::DestinationIp)?);
            let strings = batch.strings()?;
            let at = |column: Option<&Column>, row: usize| match column {
                Some(Column::Ip(numbers)) => numbers.get(row).and_then(|n| address(strings.get(*n)?)),
                _ => None,
            };
            for row in 0..n_rows {
                let network_type = flat::network_type(at(destination, row).or_else(|| at(source, row)));
                if network_type
                    .is_some_and(|v| leaf.test.matches(&v, &judge.predicate.texts, &mut Vec::new()))
                {
                    hit(row);
                }
            }
        }
        Field::NetworkDirection if flat::of_kind(Field::NetworkDirection, group.kind()).is_some() => {
            if kind_passes(judge, leaf, group.kind()) {
                (0..n_rows).for_each(hit);
            }
        }
        field => {
            if let Some(column) = group.column(field)? {
                judge.texts(batch)?.passing(column, &leaf.test, View::Whole, hit);
            }
        }
    }
    Ok(())
}

/// Puts in the events whose ids pass; a plain id is compared by its parts.
fn by_id(judge: &Judge<'_>, batch: &Batch, leaf: &Leaf, within: &Bits, passing: &mut Bits) {
    let id = |n: usize| flat::event_id(batch.header(), judge.outer, n as u32);
    if let Test::Text(n) = leaf.test
        && let Some(TextTest::OneOf(values)) = judge.predicate.texts.get(n)
    {
        for text in values.iter().filter_map(|value| std::str::from_utf8(value).ok()) {
            let Ok(wanted) = text.parse::<EventId>() else { continue };
            let n = wanted.seq.checked_sub(batch.header().first_seq).and_then(|n| usize::try_from(n).ok());
            let Some(n) = n.filter(|n| *n < batch.n_events() as usize) else { continue };
            if id(n) == wanted && wanted.to_string() == text {
                passing.set(n);
            }
        }
        return;
    }
    for n in within.iter() {
        let value = Value::Keyword(id(n).to_string().into());
        if leaf.test.matches(&value, &judge.predicate.texts, &mut Vec::new()) {
            passing.set(n);
        }
    }
}
