//! Whether containers have names on this host.

use super::Row;
use crate::container::resolver::{self, Fault, Source};

/// What is told of a container when nobody can be asked.
const WITHOUT: &str =
    "of containers only the id and, mostly, the runtime are told; not their names, images and pods";

/// The row about these sources, each of which is asked whether it answers.
pub(super) fn row(sources: &[Source]) -> Row {
    match resolver::look(sources) {
        Ok(found) => told(sources, &found),
        Err(error) => Row { note: error.to_string(), ..told(&[], &[]) },
    }
}

fn told(sources: &[Source], found: &[Result<(), Fault>]) -> Row {
    let all = || sources.iter().zip(found);
    let answering: Vec<String> =
        all().filter(|(_, found)| found.is_ok()).map(|(source, _)| source.to_string()).collect();
    let failing = all().filter_map(|(source, found)| match found {
        Err(fault @ (Fault::Garbled | Fault::Late)) => Some(format!("{source} {fault}")),
        _ => None,
    });
    let failing = failing.collect::<Vec<_>>().join("; ");
    let available = !answering.is_empty();
    let note = match (sources, available) {
        ([], _) => "nobody is asked: container_names is off, or there are no container_sources".to_owned(),
        (_, false) if failing.is_empty() => {
            let names = sources.iter().map(Source::to_string).collect::<Vec<_>>().join(", ");
            format!("none of these is there, or can be read: {names}")
        }
        _ => failing,
    };
    Row {
        name: "container.names".into(),
        way: answering.join(" + "),
        spare: String::new(),
        programs: Vec::new(),
        shows: "names, images and pods of containers".into(),
        available,
        note,
        blind: if available { String::new() } else { WITHOUT.into() },
        required: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: &[Result<(), Fault>]) -> Row {
        told(&Source::defaults(), found)
    }

    #[test]
    fn it_is_told_who_answers_and_who_fails() {
        let mut found = [Err(Fault::Absent); 6];
        let row = check(&found);
        assert!(!row.available && row.note.contains("none of these is there") && row.blind == WITHOUT);
        assert!(row.note.contains("docker:/run/docker.sock, podman:"), "{}", row.note);
        let [docker, podman, ..] = &mut found;
        (*docker, *podman) = (Err(Fault::Late), Ok(()));
        let row = check(&found);
        assert_eq!((row.available, row.way.as_str()), (true, "podman:/run/podman/podman.sock"));
        assert_eq!(row.note, "docker:/run/docker.sock does not answer within 2 s");
        assert_eq!(row.blind, "");
        assert!(!told(&[], &[]).available);
    }
}
