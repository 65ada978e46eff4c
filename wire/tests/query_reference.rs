//! `docs/query.md` says what the code does.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;

use wire::field::{Field, Place};
use wire::predicate::{Options, Predicate};
use wire::value::FieldType;

fn reference() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/query.md")).unwrap()
}

/// What the reference says of a field.
fn line(field: Field) -> String {
    let kind = match field.field_type() {
        _ if field == Field::ProcessCapabilities => "capabilities",
        FieldType::Keyword => "text",
        FieldType::KeywordList => "list of texts",
        FieldType::Uint | FieldType::Int => "number",
        FieldType::Bool => "truth",
        FieldType::Ip => "address",
        FieldType::Time => "time",
    };
    let store = field.place() == Place::Store && field != Field::EventIngested;
    let note = if store { " (not in queries yet)" } else { "" };
    format!("| `{field}` | {kind} | {}{note} |", field.about())
}

#[test]
fn every_field_is_in_the_reference() {
    let reference = reference();
    let (_, table) = reference.split_once("|---|---|---|\n").unwrap();
    let mut expected = String::new();
    Field::ALL.iter().for_each(|field| writeln!(expected, "{}", line(*field)).unwrap());
    assert_eq!(table, expected, "replace the table at the end of docs/query.md by the right-hand side");
}

#[test]
fn bare_words_are_looked_for_where_the_reference_says() {
    let predicate = Predicate::parse("10.0.0.1", &Options::default()).unwrap();
    let reference = reference();
    let (_, text) = reference.split_once("## Bare words").unwrap();
    let (text, _) = text.split_once("\n## ").unwrap();
    for field in predicate.fields() {
        assert!(text.contains(&format!("`{field}`")), "{field} is not named");
    }
    for name in text.split('`').skip(1).step_by(2) {
        if let Some(field) = Field::from_name(name) {
            assert!(predicate.fields().contains(&field), "{field} is named but not looked for");
        }
    }
}

#[test]
fn every_example_is_a_query() {
    let reference = reference();
    let (_, examples) = reference.split_once("```\n").unwrap();
    let (examples, _) = examples.split_once("```").unwrap();
    let (_, table) = reference.split_once("| you write | it finds |\n|---|---|\n").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let cells = table.lines().filter_map(|line| line.split('|').nth(1));
    let quoted =
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter(|text| !text.contains("( …"));
    let mut n = 0;
    for text in examples.lines().chain(quoted) {
        Predicate::parse(text, &Options::default()).unwrap_or_else(|e| panic!("{}", e.render(text)));
        n += 1;
    }
    assert!(n > 15, "only {n} examples found");
}
