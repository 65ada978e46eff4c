//! `vedette-collector ca`: how the authorities stand, and a rotation's two steps.

use time::OffsetDateTime;
use wire::time::WallTime;

use super::DatabaseError;
use crate::ca::{Authorities, Authority, CaError, RotateError, Rotating, progress};
use crate::config::Config;
use crate::escape;
use crate::plural::hosts_are;
use crate::store::authorities::{self, Holder};
use crate::store::hosts::HostRecord;
use crate::store::{self, Pool, Stamp, StoreError, hosts};

/// Why a command about the authorities came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The files.
    #[error(transparent)]
    Rotate(#[from] RotateError),
    /// The files cannot be read.
    #[error(transparent)]
    Files(#[from] CaError),
    /// The store cannot be found.
    #[error("cannot ask the store who is left")]
    Database(#[from] DatabaseError),
    /// The store does not answer.
    #[error("cannot ask the store who is left")]
    Store(#[from] StoreError),
    /// A collector would neither take its hosts' certificates nor be trusted.
    #[error("{} not hold the next authority: copy ca-next.pem and ca-next.key from {} into the folder of each (mode 600), and try again", does(collectors), folder.display())]
    Lacking {
        /// Their names.
        collectors: Vec<String>,
        /// Where the files are.
        folder: std::path::PathBuf,
    },
    /// Hosts would have to be enrolled again.
    #[error("{} left on the old authority and would have to be enrolled again (`vedette-collector ca status` lists them){}; wait until they have renewed, or say --force {n}", hosts_are(*n), forced.map(|forced| format!(", not {forced} as --force says")).unwrap_or_default())]
    HostsLeft {
        /// How many.
        n: usize,
        /// What was said of how many there are.
        forced: Option<usize>,
    },
}

/// What the files and the store say.
pub struct Report {
    authorities: Authorities,
    holders: Vec<Holder>,
    hosts: Vec<HostRecord>,
    now: Stamp,
}

/// Reads how the authorities stand.
///
/// # Errors
/// When files or the store cannot be read.
pub async fn status(config: &Config) -> Result<Report, AuthorityError> {
    let authorities = Authorities::open(&config.folder())?;
    let pool = connect(config)?;
    let report = read(&pool, authorities).await;
    pool.close().await;
    report
}

/// Begins a rotation: makes the next authority beside the one there is. A collector that runs takes it up by itself.
///
/// # Errors
/// When one is under way, or files cannot be written.
pub fn rotate(config: &Config) -> Result<Authorities, AuthorityError> {
    Ok(Rotating::take(&config.folder())?.begin(OffsetDateTime::now_utc())?)
}

/// Ends a rotation on this host: the next authority takes the place of the one there is. `forced` names how many hosts are
/// known to be left behind.
///
/// # Errors
/// When none is under way, a collector lacks the next one, or hosts are left.
pub async fn finish(config: &Config, forced: Option<usize>) -> Result<Authorities, AuthorityError> {
    let rotating = Rotating::take(&config.folder())?;
    let authorities = rotating.authorities()?;
    if authorities.next().is_none() {
        return Err(RotateError::NotBegun.into());
    }
    let pool = connect(config)?;
    let report = read(&pool, authorities).await;
    pool.close().await;
    may_finish(&report?, config, forced)?;
    Ok(rotating.finish()?)
}

fn may_finish(report: &Report, config: &Config, forced: Option<usize>) -> Result<(), AuthorityError> {
    let Some(next) = report.authorities.next() else { return Ok(()) };
    let lacking = progress::lacking(next.id(), &report.holders);
    if !lacking.is_empty() {
        let collectors = lacking.iter().map(|holder| holder.name.clone()).collect();
        return Err(AuthorityError::Lacking { collectors, folder: config.folder() });
    }
    let n = progress::left(next, &report.hosts, report.now).len();
    if n > 0 && forced != Some(n) {
        return Err(AuthorityError::HostsLeft { n, forced });
    }
    Ok(())
}

fn connect(config: &Config) -> Result<Pool, AuthorityError> {
    Ok(store::pool(&super::database(config)?, 2)?)
}

async fn read(pool: &Pool, authorities: Authorities) -> Result<Report, AuthorityError> {
    let us = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000;
    let now = Stamp::from_unix_us(i64::try_from(us).unwrap_or(i64::MAX));
    store::reach::reach(pool, store::reach::PATIENCE).await?;
    let holders = authorities::since(pool, now.plus_us(-progress::GONE_US)).await?;
    let hosts = hosts::all(pool).await?;
    Ok(Report { authorities, holders, hosts, now })
}

impl Report {
    /// The same for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| {
            text += &line;
            text.push('\n');
        };
        let serving = self.authorities.serving();
        let Some(next) = self.authorities.next() else {
            line(format!("authority  {}  until {}", serving.fingerprint(), day(serving)));
            self.holders.iter().for_each(|holder| line(self.holder(holder)));
            line("No rotation is under way.".to_owned());
            return text;
        };
        line(format!("authority  {}  until {}, certifies collectors", serving.fingerprint(), day(serving)));
        line(format!("next       {}  until {}", next.fingerprint(), day(next)));
        self.holders.iter().for_each(|holder| line(self.holder(holder)));
        let left = progress::left(next, &self.hosts, self.now);
        if left.is_empty() {
            line("No host is left on the old authority: run `vedette-collector ca rotate --finish` on each collector.".to_owned());
            return text;
        }
        line(format!("{} left on the old authority:", hosts_are(left.len())));
        line("  NAME\tID\tLAST SEEN\tCERTIFICATE ENDS\tWHY".to_owned());
        for host in left {
            let seen = host.last_seen.map_or_else(|| "never".to_owned(), |at| at.to_string());
            let (name, ends) = (escape::terminal(&host.name), host.certified_until);
            line(format!("  {name}\t{}\t{seen}\t{ends}\t{}", host.id, why(host, next)));
        }
        text
    }

    /// The same for programs.
    pub fn json(&self) -> serde_json::Value {
        let next = self.authorities.next();
        let left = next.map_or_else(Vec::new, |next| progress::left(next, &self.hosts, self.now));
        let host = |host: &&HostRecord| {
            serde_json::json!({
                "id": host.id.to_string(),
                "name": host.name,
                "last_seen": host.last_seen.map(|at| at.to_string()),
                "certified_until": host.certified_until.to_string(),
                "why": next.map(|next| why(host, next)),
            })
        };
        let holder = |holder: &Holder| {
            serde_json::json!({
                "id": holder.collector.to_string(),
                "name": holder.name,
                "sha256": holder.serving.to_string(),
                "holds": holder.held.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "seen": holder.seen.to_string(),
            })
        };
        serde_json::json!({
            "sha256": self.authorities.serving().fingerprint().to_string(),
            "next_sha256": next.map(|next| next.fingerprint().to_string()),
            "collectors": self.holders.iter().map(holder).collect::<Vec<_>>(),
            "hosts_left": left.iter().map(host).collect::<Vec<_>>(),
        })
    }

    fn holder(&self, holder: &Holder) -> String {
        let (serving, next) = (self.authorities.serving().id(), self.authorities.next().map(Authority::id));
        let what = match (next, holder.held.contains(&serving)) {
            (Some(next), true) if holder.held.contains(&next) => "holds both".to_owned(),
            (Some(next), false) if holder.held.contains(&next) => "has finished".to_owned(),
            (Some(_), true) => {
                "LACKS THE NEXT ONE: copy ca-next.pem and ca-next.key into its folder".to_owned()
            }
            (None, true) => "holds it".to_owned(),
            (_, false) => format!("HOLDS ANOTHER: {}", holder.serving),
        };
        format!("collector  {} ({})  {what}", escape::terminal(&holder.name), holder.collector)
    }
}

/// What keeps a host from being done.
fn why(host: &HostRecord, next: &Authority) -> &'static str {
    match (&host.issuer, host.trusts.contains(&next.id())) {
        (None, _) if host.last_seen.is_none() => "has never connected",
        (None, _) => "its sensor does not tell what it trusts: update it",
        (Some(_), false) => "has not heard of the next authority",
        (Some(_), true) => "has not renewed yet",
    }
}

fn day(authority: &Authority) -> String {
    let end = WallTime::from_unix_ns(authority.not_after().saturating_mul(1_000_000_000)).to_string();
    end.split('T').next().unwrap_or_default().to_owned()
}

fn does(names: &[String]) -> String {
    let verb = if names.len() == 1 { "does" } else { "do" };
    format!("{} {verb}", names.join(", "))
}
