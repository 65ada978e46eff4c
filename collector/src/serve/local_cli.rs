//! What the `vedette` command of this host finds the collector by: `$home/collector/cli.toml`.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::Role;
use crate::access::secret::{Purpose, Secret};
use crate::store::tokens::{self, NewToken};
use crate::store::{Pool, Stamp, StoreError, audit};

/// The content of the file.
#[derive(Serialize, Deserialize)]
struct LocalCli {
    url: String,
    token: String,
    ca: PathBuf,
}

/// The file could not be left.
#[derive(Debug, thiserror::Error)]
pub enum LocalCliError {
    /// It could not be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Its token could not be.
    #[error("cannot make a token for the CLI of this host")]
    Store(#[from] StoreError),
}

/// Leaves the file, with the token that is in it already if that still opens, else a new one.
pub(super) async fn leave(folder: &Path, url: String, pool: &Pool, now: Stamp) -> Result<(), LocalCliError> {
    let path = folder.join("cli.toml");
    let found = std::fs::read_to_string(&path).ok().and_then(|text| read(&text));
    let token = match found.as_ref().and_then(|found| Secret::parse(Purpose::Api, &found.token)) {
        Some(secret) if tokens::caller(pool, secret.hash(), now).await?.is_some() => secret,
        _ => make(pool, now).await?,
    };
    let content = LocalCli { url, token: token.reveal().to_owned(), ca: folder.join("ca.pem") };
    write(&path, &text(&content)).map_err(|source| LocalCliError::File { path, source })
}

async fn make(pool: &Pool, now: Stamp) -> Result<Secret, StoreError> {
    let secret = Secret::generate(Purpose::Api);
    let token = NewToken {
        id: Uuid::now_v7(),
        name: "local-cli".to_owned(),
        role: Role::Admin,
        created: now,
        created_by: "collector".to_owned(),
        expires: None,
    };
    let mut transaction = pool.begin().await?;
    tokens::create(&mut *transaction, secret.hash(), &token).await?;
    audit::commit(
        transaction,
        audit::Entry {
            at: now,
            actor: "collector",
            action: "token.create",
            about: &format!("token:{}", token.id),
            address: None,
            outcome: audit::Outcome::Done,
            detail: Some("admin, for the CLI of this host"),
        },
    )
    .await?;
    Ok(secret)
}

fn read(text: &str) -> Option<LocalCli> {
    use figment::providers::Format as _;
    figment::Figment::from(figment::providers::Toml::string(text)).extract().ok()
}

fn text(content: &LocalCli) -> String {
    // A JSON string is a TOML basic string.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    format!(
        "# Written by vedette-collector at each start. The token may do everything: keep this file to yourself.\nurl = {}\ntoken = {}\nca = {}\n",
        quoted(&content.url),
        quoted(&content.token),
        quoted(&content.ca.to_string_lossy()),
    )
}

/// Writes so that a reader sees all of the old or all of the new, and nobody else sees either.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("toml.new");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let content = LocalCli {
            url: "https://127.0.0.1:7443".to_owned(),
            token: "vdt_x".to_owned(),
            ca: PathBuf::from("/var/lib/\"odd\"/ca.pem"),
        };
        let again = read(&text(&content)).expect("TOML");
        assert_eq!((again.url, again.token, again.ca), (content.url, content.token, content.ca));
    }
}
