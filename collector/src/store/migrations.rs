//! How the tables come about: `migrations/`, which every program carries with it.

use std::sync::LazyLock;

use include_dir::{Dir, File, include_dir};
use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

static FOLDER: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../migrations");

/// The tables, in the order they are made.
pub static MIGRATOR: LazyLock<Migrator> =
    LazyLock::new(|| Migrator::with_migrations(FOLDER.files().filter_map(migration).collect()));

/// What a file does, by its name `0001_what_it_is.sql`.
fn migration(file: &'static File<'static>) -> Option<Migration> {
    let (version, rest) = file.path().to_str()?.split_once('_')?;
    let about = rest.strip_suffix(".sql")?.replace('_', " ");
    let sql = file.contents_utf8()?.into_sql_str();
    Some(Migration::new(version.parse().ok()?, about.into(), MigrationType::Simple, sql, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_migration_and_none_is_left_out_between() {
        let n =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations")).into_iter().flatten();
        let versions: Vec<i64> = MIGRATOR.iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..=n.count() as i64).collect::<Vec<_>>());
    }
}
