//! `vedette down`: stops what `up` started, and clears what a crash of it left.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Found;
use crate::cli::DownArgs;
use crate::home;
use crate::up::instance;

/// Longer than `up` needs to stop sensor, collector and database one after the other.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) async fn run(args: DownArgs) -> anyhow::Result<Found> {
    let home = home::resolve(args.home)?;
    let found = match instance::holder(&home)? {
        Some(holder) => {
            kill(Pid::from_raw(holder.pid), Signal::SIGTERM)
                .with_context(|| format!("cannot stop pid {}", holder.pid))?;
            let deadline = Instant::now() + PATIENCE;
            while instance::holder(&home)?.is_some() {
                if Instant::now() > deadline {
                    bail!(
                        "pid {} did not end within {PATIENCE:?}; see {}",
                        holder.pid,
                        home.join("log").display()
                    );
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            println!("stopped");
            Found::Something
        }
        None => {
            println!("nothing runs in {}", home.display());
            Found::Nothing
        }
    };
    if nix::unistd::geteuid().is_root() && home.join(home::sensor_name(&home)).is_dir() {
        crate::up::unload(&home).await?;
    }
    Ok(found)
}
