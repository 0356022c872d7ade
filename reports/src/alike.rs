//! Cells that something happened to in the same way, as one.
//!
//! One line of a broker's profile is edited, and a hundred cells change. A reader wants to hear once
//! what changed, of how many cells, and what they have in common, since that is where the reason lies.
//!
//! ```text
//! cells --in the same way--> same words --in common--> broker, client, build, stack or profile
//! ```

use std::collections::BTreeSet;
use suites::cell::CellId;

/// So many cells at least are told as one; fewer are as quickly read one by one.
pub const FROM: usize = 5;

/// So many of them are named.
pub const EXAMPLES: usize = 3;

/// Cells that are told as one, or a single one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alike<'a, T> {
    /// In the order given.
    pub cells: Vec<&'a T>,
    /// What they have in common and how many they are: `116 clients with broker emqx-5`.
    pub who: String,
}

impl<T> Alike<'_, T> {
    /// Whether it is told as one.
    #[must_use]
    pub fn is_group(&self) -> bool {
        self.cells.len() >= FROM
    }

    /// How many cells are not among the examples.
    #[must_use]
    pub fn more(&self) -> usize {
        self.cells.len().saturating_sub(EXAMPLES)
    }
}

/// Puts cells together of which `way` says the same and whose names share a part. The largest group
/// comes first, and after all groups the single cells in the order given.
pub fn alike<'a, T>(
    cells: impl IntoIterator<Item = &'a T>,
    id: impl Fn(&T) -> &CellId,
    way: impl Fn(&T) -> String,
) -> Vec<Alike<'a, T>> {
    let mut ways: Vec<(String, Vec<(usize, &'a T)>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (place, cell) in cells.into_iter().enumerate() {
        let said = way(cell);
        let at = *places.entry(said.clone()).or_insert_with(|| {
            ways.push((said, Vec::new()));
            ways.len() - 1
        });
        if let Some((_, members)) = ways.get_mut(at) {
            members.push((place, cell));
        }
    }
    let (mut groups, mut single) = (Vec::new(), Vec::new());
    for part in ways.into_iter().flat_map(|(_, members)| parts(members, &id)) {
        match part.len() >= FROM {
            true => {
                let cells: Vec<_> = part.into_iter().map(|(_, cell)| cell).collect();
                let who = who(&cells.iter().map(|cell| id(cell)).collect::<Vec<_>>());
                groups.push(Alike { cells, who });
            }
            false => single.extend(part),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.cells.len()));
    single.sort_by_key(|(place, _)| *place);
    groups.extend(single.into_iter().map(|(_, cell)| {
        let CellId { client, broker } = id(cell);
        Alike { cells: vec![cell], who: format!("{client} with {broker}") }
    }));
    groups
}

/// Cells with nothing in common are told broker by broker or client by client, whichever is fewer,
/// if that leaves them in large groups; else they stay together.
fn parts<'a, T>(
    members: Vec<(usize, &'a T)>,
    id: &impl Fn(&T) -> &CellId,
) -> Vec<Vec<(usize, &'a T)>> {
    let ids: Vec<_> = members.iter().map(|(_, cell)| id(cell)).collect();
    if members.len() < FROM || common(&ids).is_some() {
        return vec![members];
    }
    let brokers: BTreeSet<_> = ids.iter().map(|id| id.broker.clone()).collect();
    let clients: BTreeSet<_> = ids.iter().map(|id| id.client.to_string()).collect();
    let by_broker = brokers.len() <= clients.len();
    if brokers.len().min(clients.len()) * FROM > members.len() {
        return vec![members];
    }
    let of = |cell: &CellId| match by_broker {
        true => cell.broker.clone(),
        false => cell.client.to_string(),
    };
    let names = if by_broker { brokers } else { clients };
    let part = |name| members.iter().filter(|(_, cell)| of(id(cell)) == name).copied().collect();
    names.into_iter().map(part).collect()
}

/// What all of these share, the closest first.
fn common(ids: &[&CellId]) -> Option<String> {
    let same = |part: &dyn Fn(&CellId) -> String| {
        let first = part(ids.first()?);
        ids.iter().all(|id| part(id) == first).then_some(first)
    };
    let broker = || same(&|id| id.broker.clone()).map(|name| format!("broker {name}"));
    let client = || same(&|id| id.client.to_string()).map(|name| format!("client {name}"));
    let build = || same(&|id| id.client.build.to_string()).map(|name| format!("build {name}"));
    let profile = || same(&|id| id.client.profile.clone()).map(|name| format!("profile {name}"));
    let stack =
        || same(&|id| id.client.build.stack().to_owned()).map(|name| format!("stack {name}"));
    broker().or_else(client).or_else(build).or_else(profile).or_else(stack)
}

fn who(ids: &[&CellId]) -> String {
    let brokers = ids.iter().map(|id| &id.broker).collect::<BTreeSet<_>>().len();
    let clients = ids.iter().map(|id| id.client.to_string()).collect::<BTreeSet<_>>().len();
    let count =
        |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (c, b) = (count(clients, "client"), count(brokers, "broker"));
    match common(ids) {
        Some(broker) if brokers == 1 => format!("{c} with {broker}"),
        Some(client) if clients == 1 => format!("{client} with {b}"),
        Some(part) => format!("{part}: {c}, {b}"),
        None => format!("{c}, {b}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells by name, each with what happened to it.
    fn told(cells: &[(&str, &str)]) -> Vec<(String, usize)> {
        let cells: Vec<(CellId, String)> =
            cells.iter().map(|(id, way)| (id.parse().unwrap(), (*way).to_owned())).collect();
        let groups = alike(&cells, |(id, _)| id, |(_, way)| way.clone());
        assert_eq!(groups.iter().map(|group| group.cells.len()).sum::<usize>(), cells.len());
        groups.into_iter().map(|group| (group.who, group.cells.len())).collect()
    }

    fn cells<'a>(names: &'a [String], way: &'a str) -> Vec<(&'a str, &'a str)> {
        names.iter().map(|name| (name.as_str(), way)).collect()
    }

    fn names(clients: &[&str], brokers: std::ops::Range<usize>) -> Vec<String> {
        let brokers: Vec<_> = brokers.map(|at| format!("broker-{at}")).collect();
        let all = clients
            .iter()
            .flat_map(|client| brokers.iter().map(move |broker| format!("{client}/{broker}")));
        all.collect()
    }

    #[test]
    fn what_cells_share_is_named_once() {
        let five = ["s/a+x", "s/a+y", "s/b+x", "s/b+y", "t/a+x"];
        let one_broker = names(&five, 0..1);
        assert_eq!(told(&cells(&one_broker, "w")), [("5 clients with broker broker-0".into(), 5)]);
        let one_client = names(&five[..1], 0..7);
        assert_eq!(told(&cells(&one_client, "w")), [("client s/a+x with 7 brokers".into(), 7)]);
        let one_build = names(&five[..2], 0..3);
        assert_eq!(told(&cells(&one_build, "w")), [("build s/a: 2 clients, 3 brokers".into(), 6)]);
        let profile = names(&["s/a+x", "t/a+x"], 0..3);
        assert_eq!(told(&cells(&profile, "w")), [("profile x: 2 clients, 3 brokers".into(), 6)]);
        let stack = names(&["s/a+x", "s/b+y"], 0..3);
        assert_eq!(told(&cells(&stack, "w")), [("stack s: 2 clients, 3 brokers".into(), 6)]);
    }

    #[test]
    fn few_cells_and_different_ways_stay_apart_and_in_order() {
        let four = names(&["s/a+x"], 0..4);
        let mut mixed = cells(&four, "w");
        mixed.insert(1, ("s/a+x/other", "v"));
        let told = told(&mixed);
        let who: Vec<_> = told.iter().map(|(who, _)| who.as_str()).collect();
        assert_eq!(who[..2], ["s/a+x with broker-0", "s/a+x with other"]);
        assert_eq!(told.len(), 5);
    }

    #[test]
    fn cells_that_share_nothing_are_told_by_whichever_is_fewer() {
        let many = ["s/a+x", "t/b+y", "u/c+z", "v/d+w", "w/e+v", "x/f+u"];
        let two_brokers = names(&many, 0..2);
        let by_broker = told(&cells(&two_brokers, "w"));
        assert_eq!(by_broker.len(), 2);
        assert_eq!(by_broker[0], ("6 clients with broker broker-0".into(), 6));
        // Of a whole matrix nothing smaller can be said.
        let scattered: Vec<_> =
            many.iter().enumerate().map(|(at, client)| format!("{client}/broker-{at}")).collect();
        assert_eq!(told(&cells(&scattered, "w")), [("6 clients, 6 brokers".into(), 6)]);
    }
}
