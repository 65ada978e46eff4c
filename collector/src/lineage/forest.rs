//! The shape of a tree, from rows that hosts claim. Pure: says which rows it wants, and takes them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use wire::event::Row;
use wire::id::EntityId;
use wire::limits::MAX_ANCESTORS;

use crate::store::process::ProcessRow;

/// The most processes below the one that was asked for.
pub const MAX_DESCENDANTS: usize = 1_000;
/// The most generations below.
pub const MAX_GENERATIONS: usize = 64;
/// The most rows of one answer: each image of each process has one a day.
pub const MAX_ROWS: u32 = 20_000;

/// One process of a tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// How far below the root.
    pub depth: usize,
    /// Its row: of an ancestor with the image it had at the fork, of others with the last one.
    pub row: ProcessRow,
    /// What its batch tells of it: its `process.*` and container fields.
    pub fields: Row,
    /// Whether it has ended, as far as that is known.
    pub state: State,
}

/// Whether a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its exit was seen.
    Exited {
        /// The code, where that was told.
        code: Option<i64>,
    },
    /// No exit was seen, and all was looked through.
    Running,
    /// It could not be told.
    Unknown,
}

/// What was cut from a tree, or could not be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A process is its own ancestor, as the host tells it.
    Cycle(EntityId),
    /// More ancestors than are followed.
    TooDeep,
    /// A parent of which nothing is known.
    Unknown(EntityId),
    /// More descendants than are shown.
    TooMany,
    /// So many processes are shown without command lines.
    NoDetails(usize),
    /// Which processes have ended could not be told in time.
    NoExits,
}

/// Rows that are wanted next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Those of these processes.
    Processes(Vec<EntityId>),
    /// Those of the children of these.
    ChildrenOf(Vec<EntityId>),
}

/// A tree being put together.
#[derive(Debug)]
pub(super) struct Forest {
    asked: EntityId,
    step: Step,
    /// From the one asked for upwards.
    line: Vec<ProcessRow>,
    children: HashMap<EntityId, BTreeMap<EntityId, ProcessRow>>,
    seen: HashSet<EntityId>,
    notices: Vec<Notice>,
}

#[derive(Debug)]
enum Step {
    /// The next ancestor, with the image it had.
    Up(EntityId, Option<u32>),
    /// The next generation.
    Down(Vec<EntityId>, usize),
    Done,
}

impl Forest {
    pub(super) fn new(asked: EntityId) -> Self {
        Self {
            asked,
            step: Step::Up(asked, None),
            line: Vec::new(),
            children: HashMap::new(),
            seen: HashSet::from([asked]),
            notices: Vec::new(),
        }
    }

    /// The rows to hand to [`Self::add`]; `None` when it is complete.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        match &self.step {
            Step::Up(entity, _) => Some(Wanted::Processes(vec![*entity])),
            Step::Down(parents, _) => Some(Wanted::ChildrenOf(parents.clone())),
            Step::Done => None,
        }
    }

    /// Takes the rows that were wanted.
    pub(super) fn add(&mut self, wanted: &Wanted, rows: Vec<ProcessRow>) {
        match (wanted, &self.step) {
            (Wanted::Processes(_), &Step::Up(entity, image)) => self.up(entity, image, rows),
            (Wanted::ChildrenOf(parents), &Step::Down(_, generation)) => {
                let parents: HashSet<EntityId> = parents.iter().copied().collect();
                self.down(&parents, generation, rows);
            }
            _ => self.step = Step::Done,
        }
    }

    /// The processes from the root down, and what was cut; `None` if the one asked for is not known.
    pub(super) fn finish(mut self) -> Option<(Vec<Node>, Vec<Notice>)> {
        let depth = self.line.len().checked_sub(1)?;
        let mut nodes: Vec<Node> =
            self.line.iter().rev().enumerate().map(|(depth, row)| node(depth, *row)).collect();
        let mut rest = self.children_of(self.asked, depth + 1);
        while let Some((row, depth)) = rest.pop() {
            nodes.push(node(depth, row));
            rest.extend(self.children_of(row.entity, depth + 1));
        }
        Some((nodes, self.notices))
    }

    fn up(&mut self, entity: EntityId, image: Option<u32>, rows: Vec<ProcessRow>) {
        let of = |row: &&ProcessRow| row.entity == entity;
        let then = rows.iter().filter(of).find(|row| Some(row.image) == image);
        let last = rows.iter().filter(of).max_by_key(|row| (row.image, row.received));
        let Some(row) = then.or(last).copied() else {
            if !self.line.is_empty() {
                self.notices.push(Notice::Unknown(entity));
            }
            return self.turn();
        };
        self.line.push(row);
        match row.parent {
            None => self.turn(),
            Some((parent, _)) if !self.seen.insert(parent) => {
                self.notices.push(Notice::Cycle(parent));
                self.turn();
            }
            Some(_) if self.line.len() > MAX_ANCESTORS => {
                self.notices.push(Notice::TooDeep);
                self.turn();
            }
            Some((parent, image)) => self.step = Step::Up(parent, Some(image)),
        }
    }

    fn turn(&mut self) {
        self.step = if self.line.is_empty() { Step::Done } else { Step::Down(vec![self.asked], 0) };
    }

    fn down(&mut self, parents: &HashSet<EntityId>, generation: usize, rows: Vec<ProcessRow>) {
        let mut is_cut = rows.len() >= MAX_ROWS as usize;
        let mut born: BTreeMap<EntityId, ProcessRow> = BTreeMap::new();
        for row in rows {
            let Some((parent, _)) = row.parent.filter(|(parent, _)| parents.contains(parent)) else {
                continue;
            };
            if self.seen.contains(&row.entity) {
                if !self.children.get(&parent).is_some_and(|known| known.contains_key(&row.entity)) {
                    self.note(Notice::Cycle(row.entity));
                }
                continue;
            }
            let kept = born.entry(row.entity).or_insert(row);
            if (row.image, row.received) > (kept.image, kept.received) {
                *kept = row;
            }
        }
        // The latest started are kept: what is asked for is what happens.
        let mut born: Vec<ProcessRow> = born.into_values().collect();
        born.sort_by_key(|row| std::cmp::Reverse((row.started, row.entity)));
        let n_known: usize = self.children.values().map(BTreeMap::len).sum();
        let room = MAX_DESCENDANTS.saturating_sub(n_known);
        is_cut |= born.len() > room;
        born.truncate(room);
        for row in &born {
            self.seen.insert(row.entity);
            if let Some((parent, _)) = row.parent {
                self.children.entry(parent).or_default().insert(row.entity, *row);
            }
        }
        let next: Vec<EntityId> = born.iter().map(|row| row.entity).collect();
        let last = generation + 1 >= MAX_GENERATIONS;
        if is_cut || (last && !next.is_empty()) {
            self.note(Notice::TooMany);
        }
        self.step =
            if next.is_empty() || is_cut || last { Step::Done } else { Step::Down(next, generation + 1) };
    }

    fn note(&mut self, notice: Notice) {
        // Hostile rows may have any number of cycles.
        if self.notices.len() < 16 && !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// A process's children, the last started first, so that the first is taken off the end.
    fn children_of(&mut self, parent: EntityId, depth: usize) -> Vec<(ProcessRow, usize)> {
        let children = self.children.remove(&parent).unwrap_or_default();
        let mut rows: Vec<_> = children.into_values().map(|row| (row, depth)).collect();
        rows.sort_by_key(|(row, _)| std::cmp::Reverse((row.started, row.entity)));
        rows
    }
}

fn node(depth: usize, row: ProcessRow) -> Node {
    Node { depth, row, fields: Row::default(), state: State::Unknown }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Cycle(entity) => {
                write!(f, "cut a cycle at {entity}: the host tells of a process among its own ancestors")
            }
            Notice::TooDeep => write!(f, "cut after {MAX_ANCESTORS} ancestors"),
            Notice::Unknown(entity) => {
                write!(f, "nothing is known of {entity}, the parent of the first process shown")
            }
            Notice::TooMany => {
                write!(f, "cut after {MAX_DESCENDANTS} descendants or {MAX_GENERATIONS} generations")
            }
            Notice::NoDetails(n) => write!(
                f,
                "{n} processes are shown without their command lines: too many, or no longer stored"
            ),
            Notice::NoExits => write!(f, "which of these processes have ended could not be told in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]
    use expect_test::{Expect, expect};
    use proptest::prelude::*;
    use uuid::Uuid;
    use wire::id::HostId;

    use super::*;
    use crate::store::Stamp;

    fn row(entity: u64, parent: Option<u64>) -> ProcessRow {
        ProcessRow {
            host: HostId::new(Uuid::nil()),
            received: Stamp::from_unix_us(0),
            started: Stamp::from_unix_us(entity as i64),
            entity: EntityId::new(entity),
            image: 1,
            parent: parent.map(|parent| (EntityId::new(parent), 1)),
            executable: 0,
            container: None,
            pid: entity as u32,
            user_id: None,
        }
    }

    fn built(asked: u64, rows: &[ProcessRow]) -> Option<(Vec<Node>, Vec<Notice>)> {
        let mut forest = Forest::new(EntityId::new(asked));
        let mut n_steps = 0;
        while let Some(wanted) = forest.wanted() {
            n_steps += 1;
            assert!(n_steps <= MAX_ANCESTORS + MAX_GENERATIONS + 2, "it does not end");
            let found = rows.iter().filter(|row| match &wanted {
                Wanted::Processes(entities) => entities.contains(&row.entity),
                Wanted::ChildrenOf(parents) => {
                    row.parent.is_some_and(|(parent, _)| parents.contains(&parent))
                }
            });
            let found = found.copied().collect();
            forest.add(&wanted, found);
        }
        forest.finish()
    }

    #[track_caller]
    fn check(asked: u64, rows: &[ProcessRow], expected: Expect) {
        let mut text = String::new();
        let (nodes, notices) = built(asked, rows).unwrap_or_default();
        for node in nodes {
            text += &format!("{}{}\n", "  ".repeat(node.depth), node.row.entity.number());
        }
        for notice in notices {
            text += &format!("{notice}\n");
        }
        expected.assert_eq(&text);
    }

    #[test]
    fn ancestors_then_descendants() {
        let rows = [
            row(1, None),
            row(2, Some(1)),
            row(3, Some(2)),
            row(4, Some(3)),
            row(5, Some(3)),
            row(6, Some(4)),
            row(7, Some(2)),
        ];
        check(
            3,
            &rows,
            expect![[r#"
            1
              2
                3
                  4
                    6
                  5
        "#]],
        );
    }

    #[test]
    fn cycles_are_cut_and_told() {
        check(
            1,
            &[row(1, Some(3)), row(2, Some(1)), row(3, Some(2))],
            expect![[r#"
            2
              3
                1
            cut a cycle at 0000000000000001: the host tells of a process among its own ancestors
            cut a cycle at 0000000000000002: the host tells of a process among its own ancestors
        "#]],
        );
        check(
            1,
            &[row(1, Some(1))],
            expect![[r#"
            1
            cut a cycle at 0000000000000001: the host tells of a process among its own ancestors
        "#]],
        );
    }

    #[test]
    fn an_unknown_parent_is_told() {
        check(
            2,
            &[row(2, Some(1))],
            expect![[r#"
            2
            nothing is known of 0000000000000001, the parent of the first process shown
        "#]],
        );
        check(9, &[], expect![""]);
    }

    #[test]
    fn an_ancestor_has_the_image_of_the_fork() {
        let mut later = row(1, None);
        later.image = 2;
        let (nodes, _) = built(2, &[row(1, None), later, row(2, Some(1))]).expect("a tree");
        assert_eq!(nodes[0].row.image, 1);
        let (nodes, _) = built(1, &[row(1, None), later]).expect("a tree");
        assert_eq!(nodes[0].row.image, 2);
    }

    #[test]
    fn number_and_depth_are_bounded() {
        let wide: Vec<_> = (2..3_000).map(|n| row(n, Some(1))).chain([row(1, None)]).collect();
        let (nodes, notices) = built(1, &wide).expect("a tree");
        assert_eq!((nodes.len(), notices), (MAX_DESCENDANTS + 1, vec![Notice::TooMany]));
        let deep: Vec<_> = (0..500).map(|n| row(n, n.checked_sub(1))).collect();
        let (nodes, notices) = built(250, &deep).expect("a tree");
        assert_eq!(nodes.len(), MAX_ANCESTORS + 1 + MAX_GENERATIONS);
        assert_eq!(notices, [Notice::TooDeep, Notice::TooMany]);
    }

    proptest! {
        #[test]
        fn no_rows_can_make_it_loop_or_show_twice(claims in proptest::collection::vec((0u64..12, proptest::option::of(0u64..12)), 0..40), asked in 0u64..12) {
            let rows: Vec<_> = claims.iter().map(|(entity, parent)| row(*entity, *parent)).collect();
            if let Some((nodes, _)) = built(asked, &rows) {
                let mut shown: Vec<_> = nodes.iter().map(|node| node.row.entity).collect();
                shown.sort_unstable();
                let n = shown.len();
                shown.dedup();
                prop_assert_eq!(shown.len(), n);
            }
        }
    }
}
