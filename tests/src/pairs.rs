//! What measurements in pairs say: who comes when in a round, the median of ratios, and how far it can be trusted.

/// The order of `n` conditions in a round: each round begins with another one, and every second goes backwards, so
/// that what drifts, or lasts into the next measurement, meets all alike.
pub fn order(round: usize, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    if n > 0 {
        order.rotate_left(round / 2 % n);
    }
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// The middle value, or the mean of the two in the middle; `None` of none.
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let (middle, n) = (sorted.len() / 2, sorted.len());
    let upper = sorted.get(middle)?;
    if n % 2 == 1 {
        return Some(*upper);
    }
    Some(f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, *upper))
}

/// Where the true median lies with a probability of at least 95 %, whatever the distribution: between two of the
/// values, as each is below the true median with probability 1/2 (Conover, Practical Nonparametric Statistics, 3.2).
/// `None` for less than six, which cannot say so much.
pub fn interval(values: &[f64]) -> Option<(f64, f64)> {
    let sorted = sorted(values);
    let cut = n_cut(sorted.len())?;
    Some((*sorted.get(cut)?, *sorted.get(sorted.len().checked_sub(cut + 1)?)?))
}

/// How many values are left out at each end: the most for which their chance to be on one side is at most 2.5 %.
fn n_cut(n: usize) -> Option<usize> {
    let mut chance = 0.5_f64.powi(i32::try_from(n).ok()?);
    let mut below = 0.0;
    for k in 0..n {
        below += chance;
        if below > 0.025 {
            return k.checked_sub(1);
        }
        chance *= (n - k) as f64 / (k + 1) as f64;
    }
    None
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_has_every_place_and_both_neighbours() {
        assert_eq!(order(0, 3), [0, 1, 2]);
        assert_eq!(order(1, 3), [2, 1, 0]);
        assert_eq!(order(2, 3), [1, 2, 0]);
        assert_eq!(order(3, 3), [0, 2, 1]);
        for place in 0..3 {
            let mut there: Vec<_> = (0..6).filter_map(|round| order(round, 3).get(place).copied()).collect();
            there.sort_unstable();
            assert_eq!(there, [0, 0, 1, 1, 2, 2]);
        }
        assert_eq!(order(5, 0), [0; 0]);
    }

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 9.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn intervals_are_those_of_the_tables() {
        let upto = |n: u32| (1..=n).map(f64::from).collect::<Vec<_>>();
        assert_eq!(interval(&upto(5)), None);
        assert_eq!(interval(&upto(6)), Some((1.0, 6.0)));
        assert_eq!(interval(&upto(9)), Some((2.0, 8.0)));
        assert_eq!(interval(&upto(20)), Some((6.0, 15.0)));
        assert_eq!(interval(&upto(100)), Some((40.0, 61.0)));
    }
}
