//! Which batches have each of a segment's terms.
//!
//! For each term: twice the number of batches listed, plus one if those are listed that do not have it; then how far
//! each is after the one before.

/// Writes the terms of batches, each as positions, ascending.
pub(super) fn write(batches: &[&[u16]]) -> Vec<u32> {
    let n_terms =
        batches.iter().filter_map(|terms| terms.last()).max().map_or(0, |most| usize::from(*most) + 1);
    let mut with: Vec<Vec<u32>> = vec![Vec::new(); n_terms];
    for (batch, terms) in (0..).zip(batches) {
        for term in *terms {
            with.get_mut(usize::from(*term)).into_iter().for_each(|with| with.push(batch));
        }
    }
    let mut written = Vec::new();
    for with in with {
        let most = 2 * with.len() > batches.len();
        let listed = if most {
            let mut with = with.into_iter().peekable();
            (0..batches.len() as u32).filter(|batch| with.next_if_eq(batch).is_none()).collect()
        } else {
            with
        };
        written.push(2 * listed.len() as u32 + u32::from(most));
        let mut next = 0;
        for batch in listed {
            written.push(batch - next);
            next = batch + 1;
        }
    }
    written
}

/// Reads what [`write()`] wrote; `None` where it is damaged.
pub(super) fn read(written: &[u32], n_batches: usize) -> Option<Vec<Vec<u16>>> {
    let mut batches = vec![Vec::new(); n_batches];
    let mut written = written.iter().copied();
    let mut term = 0_u32;
    while let Some(head) = written.next() {
        let position = u16::try_from(term).ok()?;
        let mut next = 0_usize;
        for _ in 0..head / 2 {
            let batch = next.checked_add(written.next()? as usize)?;
            let between = batches.get_mut(next..=batch)?;
            let (listed, others) = between.split_last_mut()?;
            if head % 2 == 0 {
                listed.push(position);
            } else {
                others.iter_mut().for_each(|terms| terms.push(position));
            }
            next = batch + 1;
        }
        if head % 2 == 1 {
            batches.get_mut(next..)?.iter_mut().for_each(|terms| terms.push(position));
        }
        term += 1;
    }
    Some(batches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(batches: &[&[u16]]) -> usize {
        let written = write(batches);
        assert_eq!(read(&written, batches.len()).expect("it was just written"), batches);
        for end in 0..written.len() {
            // Either too short, or with fewer terms.
            assert_ne!(
                read(written.get(..end).unwrap_or_default(), batches.len()).as_deref(),
                Some(&batches.iter().map(|b| b.to_vec()).collect::<Vec<_>>()[..])
            );
        }
        written.len()
    }

    #[test]
    fn terms_come_back() {
        assert_eq!(check(&[]), 0);
        assert_eq!(check(&[&[], &[]]), 0);
        check(&[&[0, 3], &[1, 3], &[3], &[0, 2, 3]]);
        check(&[&[7], &[], &[0, 7], &[7]]);
        let all: &[u16] = &[0, 1, 2, 3];
        assert_eq!(check(&[all; 60]), 4, "what all have takes one number each");
    }

    #[test]
    fn damage_is_no_answer() {
        for written in [&[2, 5][..], &[4, 0], &[3, 9], &[u32::MAX], &[2, u32::MAX], &[6, 0, 0, 0]] {
            assert_eq!(read(written, 2), None, "{written:?}");
        }
    }
}
