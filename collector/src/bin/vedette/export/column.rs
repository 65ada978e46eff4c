//! One column of a Parquet file: a field of the query language, as wide as its type.

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedColumnWriter;
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;
use wire::field::Field;
use wire::value::FieldType;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Text,
    Texts,
    Unsigned,
    Signed,
    Truth,
    /// Nanoseconds since 1970, UTC.
    Time,
}

/// The values of some rows, with the levels that say which rows have one (Dremel's, as Parquet's documentation has them).
pub(super) struct Column {
    name: &'static str,
    kind: Kind,
    texts: Vec<ByteArray>,
    numbers: Vec<i64>,
    truths: Vec<bool>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

/// All columns, in the order of the fields' numbers; last what says which texts are escaped.
pub(super) fn all() -> Vec<Column> {
    let of_fields = Field::ALL.iter().map(|field| Column::new(field.name(), kind(*field)));
    of_fields.chain([Column::new("event.escaped", Kind::Texts)]).collect()
}

fn kind(field: Field) -> Kind {
    match field.field_type() {
        // Shown by their names, as a search does.
        _ if field == Field::ProcessCapabilities => Kind::Texts,
        FieldType::Keyword | FieldType::Ip => Kind::Text,
        FieldType::KeywordList => Kind::Texts,
        FieldType::Uint => Kind::Unsigned,
        FieldType::Int => Kind::Signed,
        FieldType::Bool => Kind::Truth,
        FieldType::Time => Kind::Time,
    }
}

impl Column {
    fn new(name: &'static str, kind: Kind) -> Self {
        let (texts, numbers, truths) = Default::default();
        Self { name, kind, texts, numbers, truths, definition: Vec::new(), repetition: Vec::new() }
    }

    /// What the file says of it.
    pub(super) fn schema(&self) -> Result<TypePtr, ParquetError> {
        let (physical, logical) = match self.kind {
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Unsigned => (Physical::INT64, Some(LogicalType::integer(64, false))),
            Kind::Signed => (Physical::INT64, None),
            Kind::Truth => (Physical::BOOLEAN, None),
            Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
            Kind::Texts => return self.list(),
        };
        let schema = Type::primitive_type_builder(self.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical);
        Ok(schema.build()?.into())
    }

    fn list(&self) -> Result<TypePtr, ParquetError> {
        let element = Type::primitive_type_builder("element", Physical::BYTE_ARRAY)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(Some(LogicalType::String));
        let list = Type::group_type_builder("list")
            .with_repetition(Repetition::REPEATED)
            .with_fields(vec![element.build()?.into()]);
        let whole = Type::group_type_builder(self.name)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(Some(LogicalType::List))
            .with_fields(vec![list.build()?.into()]);
        Ok(whole.build()?.into())
    }

    /// Takes an event's value, if it has one.
    ///
    /// # Errors
    /// When the value is not of the column's type.
    pub(super) fn push(&mut self, event: &Value) -> anyhow::Result<()> {
        let value = self.name.split('.').try_fold(event, |object, part| object.get(part));
        let value = value.filter(|value| !value.is_null());
        let Some(value) = value else {
            self.level(0, 0);
            return Ok(());
        };
        let known = match self.kind {
            Kind::Text => value.as_str().map(|text| self.texts.push(text.into())),
            Kind::Texts => return self.push_list(value),
            // Parquet's unsigned numbers are the bits of signed ones.
            Kind::Unsigned => value.as_u64().map(|number| self.numbers.push(number.cast_signed())),
            Kind::Signed => value.as_i64().map(|number| self.numbers.push(number)),
            Kind::Truth => value.as_bool().map(|truth| self.truths.push(truth)),
            Kind::Time => nanoseconds(value).map(|time| self.numbers.push(time)),
        };
        known.with_context(|| self.strange(value))?;
        self.level(1, 0);
        Ok(())
    }

    fn push_list(&mut self, value: &Value) -> anyhow::Result<()> {
        let Some(items) = value.as_array() else { bail!(self.strange(value)) };
        if items.is_empty() {
            self.level(1, 0);
        }
        for (n, item) in items.iter().enumerate() {
            self.texts.push(item.as_str().with_context(|| self.strange(value))?.into());
            self.level(2, i16::from(n > 0));
        }
        Ok(())
    }

    fn level(&mut self, definition: i16, repetition: i16) {
        self.definition.push(definition);
        self.repetition.push(repetition);
    }

    fn strange(&self, value: &Value) -> String {
        let name = self.name;
        format!(
            "{name} is {value}, which is not of its type ({:?}): is the collector of another version?",
            self.kind
        )
    }

    /// Writes what was taken, and forgets it.
    pub(super) fn write(&mut self, to: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let definition = Some(&self.definition[..]);
        match self.kind {
            Kind::Text => to.typed::<ByteArrayType>().write_batch(&self.texts, definition, None)?,
            Kind::Texts => {
                to.typed::<ByteArrayType>().write_batch(&self.texts, definition, Some(&self.repetition))?
            }
            Kind::Unsigned | Kind::Signed | Kind::Time => {
                to.typed::<Int64Type>().write_batch(&self.numbers, definition, None)?
            }
            Kind::Truth => to.typed::<BoolType>().write_batch(&self.truths, definition, None)?,
        };
        *self = Self::new(self.name, self.kind);
        Ok(())
    }
}

fn nanoseconds(value: &Value) -> Option<i64> {
    let time: Timestamp = value.as_str()?.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}
