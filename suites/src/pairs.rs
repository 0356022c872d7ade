//! Pairwise plans (covering arrays of strength 2): a few rows that hold every pair of values which
//! any two columns of all rows hold.
//!
//! Most faults of a combination are those of two of its parts, so a plan that has all pairs finds
//! most at a fraction of the cells. The rows to choose from are given: not every combination of
//! values exists (a client that nobody has named), and generators that make up rows of their own
//! would have to be told all of those that do not. Hence a greedy choice of our own.

use std::collections::HashMap;

/// The places of the chosen rows, ascending. The same rows always give the same choice.
///
/// Greedy: in the order of the rows, first those that bring three new pairs, then two, then one;
/// with three columns no row brings more.
#[must_use]
pub fn pairwise(rows: &[[&str; 3]]) -> Vec<usize> {
    let mut numbers = HashMap::new();
    // Each row's three pairs as numbers.
    let pairs: Vec<[usize; 3]> = rows
        .iter()
        .map(|[a, b, c]| {
            [(0, *a, *b), (1, *a, *c), (2, *b, *c)].map(|pair| {
                let next = numbers.len();
                *numbers.entry(pair).or_insert(next)
            })
        })
        .collect();
    let mut covered = vec![false; numbers.len()];
    let mut chosen = Vec::new();
    for least in [3, 2, 1] {
        for (row, pairs) in pairs.iter().enumerate() {
            let fresh = |pair: &&usize| covered.get(**pair) == Some(&false);
            if pairs.iter().filter(fresh).count() < least {
                continue;
            }
            for pair in pairs {
                if let Some(covered) = covered.get_mut(*pair) {
                    *covered = true;
                }
            }
            chosen.push(row);
        }
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn pairs(rows: impl Iterator<Item = [String; 3]>) -> HashSet<(usize, String, String)> {
        rows.flat_map(|[a, b, c]| [(0, a.clone(), b.clone()), (1, a, c.clone()), (2, b, c)])
            .collect()
    }

    proptest! {
        #[test]
        fn no_pair_is_lost_and_no_row_is_idle(
            rows in prop::collection::vec(prop::array::uniform3("[a-e]"), 0..80)
        ) {
            let texts: Vec<[&str; 3]> =
                rows.iter().map(|row| [&*row[0], &*row[1], &*row[2]]).collect();
            let chosen = pairwise(&texts);
            let taken = chosen.iter().map(|row| rows[*row].clone());
            prop_assert_eq!(pairs(taken), pairs(rows.iter().cloned()));
            prop_assert!(chosen.windows(2).all(|two| two[0] < two[1]));
        }
    }

    #[test]
    fn of_a_whole_product_about_the_least_possible_is_chosen() {
        let names: Vec<String> = (0..30).map(|number| number.to_string()).collect();
        let mut rows = Vec::new();
        for a in &names[..6] {
            for b in &names[..10] {
                rows.extend(names.iter().map(|c| [a.as_str(), b.as_str(), c.as_str()]));
            }
        }
        // No fewer than the pairs of the two widest columns.
        let chosen = pairwise(&rows).len();
        assert!((300..=400).contains(&chosen), "{chosen} of {}", rows.len());
    }
}
