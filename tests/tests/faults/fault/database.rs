//! PostgreSQL, and the way to it.

use std::process::Child;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::Mend;
use tests::site::Site;
use tests::site::pace::{again_and_again, lasts};
use tests::wait::poll;

/// Starts the server if it does not run; one that found no room may need some tries.
fn up(site: &mut Site) -> anyhow::Result<()> {
    let is_up = || {
        if !site.server.is_running() {
            drop(site.server.start());
        }
        site.server.sql("select 1").ok()
    };
    if poll(Duration::from_secs(20), is_up).is_some() {
        return Ok(());
    }
    anyhow::bail!("the database does not come up again: {}", site.server.log())
}

/// Ends sessions of ours that held something.
fn end(mut sessions: Vec<Child>) {
    for session in &mut sessions {
        let _ = session.kill();
        let _ = session.wait();
    }
}

pub(super) fn kill(site: &mut Site) -> anyhow::Result<Mend> {
    site.server.crash();
    Ok(Box::new(up))
}

pub(super) fn restart(site: &mut Site) -> anyhow::Result<Mend> {
    site.server.stop("fast")?;
    Ok(Box::new(up))
}

pub(super) fn freeze(site: &mut Site) -> anyhow::Result<Mend> {
    site.server.signal(Signal::SIGSTOP);
    Ok(Box::new(|site| {
        site.server.signal(Signal::SIGCONT);
        up(site)
    }))
}

/// The primary dies for good, and a standby that has every answered commit takes its place.
pub(super) fn fail_over(site: &mut Site) -> anyhow::Result<Mend> {
    let folder = site.next_server();
    let standby = site.server.standby(&folder)?;
    lasts(Duration::from_secs(1));
    site.server.crash();
    let dead = std::mem::replace(&mut site.server, standby);
    lasts(Duration::from_secs(1));
    Ok(Box::new(move |site| {
        site.server.promote()?;
        site.line.lead_to(site.server.socket());
        let folder = dead.folder().to_owned();
        drop(dead);
        Ok(std::fs::remove_dir_all(folder)?)
    }))
}

pub(super) fn slow(site: &mut Site) -> anyhow::Result<Mend> {
    site.line.set_delay(Duration::from_millis(60));
    Ok(Box::new(|site| {
        site.line.set_delay(Duration::ZERO);
        Ok(())
    }))
}

pub(super) fn unreachable(site: &mut Site) -> anyhow::Result<Mend> {
    site.line.set_closed(true);
    Ok(Box::new(|site| {
        site.line.set_closed(false);
        Ok(())
    }))
}

/// Connections break wherever they stand: also after a commit and before its answer.
pub(super) fn cut(site: &mut Site) -> anyhow::Result<Mend> {
    let line = site.line.clone();
    // Not in step with anything.
    let stop = again_and_again(Duration::from_millis(137), move || line.cut());
    Ok(Box::new(move |_| {
        stop();
        Ok(())
    }))
}

pub(super) fn terminate(site: &mut Site) -> anyhow::Result<Mend> {
    let session = site.server.session(
        "admin",
        "do $$ begin loop
             perform pg_terminate_backend(pid) from pg_stat_activity
               where usename = 'vedette';
             perform pg_sleep(0.2);
         end loop; end $$",
    )?;
    Ok(Box::new(|site| {
        end(vec![session]);
        up(site)
    }))
}

/// As a standby is, or a server whose operator has stopped all writing.
pub(super) fn read_only(site: &mut Site) -> anyhow::Result<Mend> {
    site.server.sql("alter system set default_transaction_read_only = on")?;
    site.server.sql("select pg_reload_conf()")?;
    Ok(Box::new(|site| {
        up(site)?;
        site.server.sql("begin read write; commit").and_then(|_| {
            site.server.sql("alter system reset default_transaction_read_only")?;
            site.server.sql("select pg_reload_conf()")
        })?;
        Ok(())
    }))
}

/// Others take every connection that the collectors do not hold; what they lose they do not get back.
pub(super) fn connections_taken(site: &mut Site) -> anyhow::Result<Mend> {
    site.line.cut();
    let sessions = (0..45)
        .map(|_| site.server.session("other", "select pg_sleep(600)"))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Box::new(move |site| {
        end(sessions);
        // Whoever sleeps in the server notices only when it wakes.
        site.server
            .sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'other'")
            .map(drop)
    }))
}

/// Somebody repairs the table of streams by hand and does not come to an end.
pub(super) fn locked(site: &mut Site) -> anyhow::Result<Mend> {
    let session = site
        .server
        .session("admin", "begin; lock table stream in access exclusive mode; select pg_sleep(600)")?;
    Ok(Box::new(move |site| {
        end(vec![session]);
        let ended = "select pg_terminate_backend(pid) from pg_stat_activity where query like '%lock table stream%' and pid <> pg_backend_pid()";
        site.server.sql(ended).map(drop)
    }))
}

/// Every other commit that stores events fails, when all its statements have gone well.
pub(super) fn failed_commits(site: &mut Site) -> anyhow::Result<Mend> {
    site.server.sql(
        "create function refuse() returns trigger language plpgsql as $$ begin
             if random() < 0.5 then raise exception 'refused for a test' using errcode = '40001'; end if;
             return null;
         end $$;
         create constraint trigger refuse after insert or update on stream
             deferrable initially deferred for each row execute function refuse()",
    )?;
    Ok(Box::new(|site| {
        up(site)?;
        site.server.sql("drop function refuse() cascade").map(drop)
    }))
}

pub(super) fn full_disk(site: &mut Site) -> anyhow::Result<Mend> {
    match &site.disk {
        Some(disk) => disk.fill()?,
        None => tests::skip::skip("faults::full_database_disk", "no file system can be mounted here"),
    }
    Ok(Box::new(|site| {
        if let Some(disk) = &site.disk {
            disk.make_room();
        }
        up(site)
    }))
}
