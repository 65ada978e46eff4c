//! The hash of what an image runs.

use wire::time::BootTime;

use super::{Node, Table};
use crate::hash::{Answer, FileId, Hashes, Request};

/// The most ancestors that are named to lead to an executable when its process has ended.
const MAX_WITNESSES: usize = 4;

impl Table {
    /// The file that an image runs, and what is known of its hash; asked for if nothing is. `ran` is when it was
    /// executed, where that has just happened.
    pub fn hash(&mut self, node: Node, ran: Option<BootTime>, now: BootTime) -> Option<(FileId, Answer)> {
        let file = FileId::of(&self.view(node)?)?;
        let answer = match self.hashes.get(file, ran.is_some()) {
            Some(answer) => answer,
            None => {
                let request = self.request(node, file, ran)?;
                self.hashes.ask(request, now)
            }
        };
        Some((file, answer))
    }

    /// What is known of executables' content.
    pub fn hashes(&self) -> &Hashes {
        &self.hashes
    }

    /// The same, to take its requests and to answer them.
    pub fn hashes_mut(&mut self) -> &mut Hashes {
        &mut self.hashes
    }

    fn request(&self, node: Node, file: FileId, ran: Option<BootTime>) -> Option<Request> {
        let image = self.view(node)?;
        let mnt_ns = image.namespaces.mnt;
        let sees_the_same =
            |node: &Node| self.view(*node).is_some_and(|image| image.namespaces.mnt == mnt_ns);
        let witnesses = self.ancestors(node).filter(sees_the_same).filter_map(|node| self.task(node));
        Some(Request {
            file,
            task: self.task(node)?,
            executable: image.executable.into(),
            mnt_ns,
            memfd: image.memfd,
            ran,
            witnesses: witnesses.map(|task| task.key.pid).take(MAX_WITNESSES).collect(),
        })
    }
}
