//! The run in words, for somebody who decides what to change: what needs a look, what stops clients
//! and what would have to change, who reaches whom.

use super::matrix::Mark;
use crate::alike::{Alike, alike};
use crate::diagnosis::{Cause, Diagnosis};
use crate::record::{CellRecord, Verdict};
use crate::text::shorten;
use crate::words;
use crate::writers::Recorded;
use std::collections::BTreeMap;
use std::collections::HashMap;
use suites::cell::{CellId, ClientName};
use suites::outcome::OutcomeKind;

/// How many cells of one verdict are listed before the reader is sent to the matrix.
const LISTED: usize = 25;
/// Sentences are cut here; a cell's panel has more of them.
const SENTENCE: usize = 600;

/// The run in words.
pub(super) struct Findings<'a> {
    /// Numbers of cells that connected, and that did not.
    pub connected: usize,
    pub failed: usize,
    /// Planned cells that the run did not come to.
    pub unfinished: usize,
    /// By verdict, those that need a look.
    pub looks: Vec<Look<'a>>,
    /// What stops clients, the most frequent first.
    pub reasons: Vec<Reason<'a>>,
    /// Who reaches whom.
    pub reach: Vec<Reach<'a>>,
    /// Brokers that no client reaches, though some tried.
    pub unreached: Vec<&'a str>,
}

/// Cells that are not as they should be.
pub(super) struct Look<'a> {
    pub verdict: &'static str,
    pub title: &'static str,
    /// How many.
    pub count: usize,
    /// Those to which the same happened.
    pub groups: Vec<Looked<'a>>,
    /// The others.
    pub cells: Vec<Looked<'a>>,
    /// How many of the others are not listed.
    pub more: usize,
}

/// One of them, or many to which the same happened.
pub(super) struct Looked<'a> {
    pub mark: Mark<'a>,
    pub what: String,
    /// What they have in common.
    pub who: String,
    /// Named, up to [`LISTED`].
    pub cells: Vec<&'a CellId>,
    /// How many more there are.
    pub more: usize,
}

/// One cause.
pub(super) struct Reason<'a> {
    pub cause: &'static str,
    pub cells: usize,
    pub sentences: Vec<Sentence<'a>>,
}

/// One sentence that explains cells, what would change them, and the cells by client.
pub(super) struct Sentence<'a> {
    pub summary: String,
    pub fix: Vec<String>,
    pub cells: usize,
    pub clients: Vec<(&'a ClientName, Vec<&'a CellRecord>)>,
}

/// How far one client gets.
pub(super) struct Reach<'a> {
    pub client: &'a ClientName,
    pub connected: usize,
    pub tried: usize,
    /// What stops it, and how often.
    pub causes: Vec<(&'static str, usize)>,
}

impl Reach<'_> {
    /// The part that connected, in hundredths.
    pub fn percent(&self) -> usize {
        self.connected * 100 / self.tried.max(1)
    }
}

impl<'a> Findings<'a> {
    pub fn of(recorded: &'a Recorded) -> Self {
        let cells = &recorded.cells;
        let connected = cells.iter().filter(|cell| connected(cell)).count();
        let failed = cells.iter().filter(|cell| tried(cell)).count() - connected;
        Self {
            connected,
            failed,
            unfinished: recorded.unfinished().len(),
            looks: looks(cells),
            reasons: reasons(cells),
            reach: reach(cells),
            unreached: unreached(cells),
        }
    }

    /// The first sentence.
    pub fn headline(&self) -> String {
        let tried = self.connected + self.failed;
        let Self { connected, failed, .. } = self;
        let reasons = self.reasons.len();
        let for_reasons = if reasons == 1 {
            "for one reason".to_owned()
        } else {
            format!("for {reasons} reasons")
        };
        match (tried, failed) {
            (0, _) => "No cell came to a result.".to_owned(),
            (1, 0) => "The one cell connects.".to_owned(),
            (_, 0) => format!("All {tried} cells connect."),
            _ if *connected == 0 => format!("None of {tried} cells connects, {for_reasons}."),
            _ => format!("{connected} of {tried} cells connect; {failed} do not, {for_reasons}."),
        }
    }
}

fn connected(cell: &CellRecord) -> bool {
    cell.outcome.result == OutcomeKind::Connected
}

/// Whether the cell has a result of its client's.
fn tried(cell: &CellRecord) -> bool {
    use OutcomeKind::{Connected, Failed, TimedOut};
    matches!(cell.outcome.result, Connected | Failed | TimedOut)
}

fn looks(cells: &[CellRecord]) -> Vec<Look<'_>> {
    let titles = [
        (Verdict::Surprise, "Not as predicted"),
        (Verdict::Changed, "Changed since the snapshot"),
        (Verdict::Fault, "Faults of the rig: they say nothing about the client"),
        (Verdict::New, "New: there is no snapshot yet"),
    ];
    let look = |(verdict, title): (Verdict, &'static str)| {
        let all: Vec<_> = cells.iter().filter(|cell| cell.verdict == verdict).collect();
        let count = all.len();
        let alike = alike(all, |cell| &cell.cell, words::way);
        let (groups, single): (Vec<_>, Vec<_>) = alike.iter().partition(|one| one.is_group());
        Look {
            verdict: super::matrix::verdict_key(verdict),
            title,
            count,
            more: single.len().saturating_sub(LISTED),
            groups: groups.into_iter().filter_map(together).collect(),
            cells: single.into_iter().take(LISTED).filter_map(together).collect(),
        }
    };
    titles.into_iter().map(look).filter(|look| look.count > 0).collect()
}

fn together<'a>(alike: &Alike<'a, CellRecord>) -> Option<Looked<'a>> {
    let first = *alike.cells.first()?;
    Some(Looked {
        mark: Mark::of(first),
        what: match alike.is_group() {
            true => shorten(&words::together(&alike.cells), SENTENCE).into_owned(),
            false => looked(first),
        },
        who: alike.who.clone(),
        cells: alike.cells.iter().take(LISTED).map(|cell| &cell.cell).collect(),
        more: alike.cells.len().saturating_sub(LISTED),
    })
}

/// What is to be said of a cell that needs a look.
fn looked(cell: &CellRecord) -> String {
    let text = match cell.verdict {
        Verdict::Surprise => words::surprises(cell),
        Verdict::Changed => words::changes(cell),
        _ => cell.note.clone().unwrap_or_else(|| words::outcome(&cell.outcome).trim().to_owned()),
    };
    shorten(&text, SENTENCE).into_owned()
}

fn reasons(cells: &[CellRecord]) -> Vec<Reason<'_>> {
    let mut reasons: Vec<Reason> = Vec::new();
    let mut places: HashMap<Cause, usize> = HashMap::new();
    let mut sentences: HashMap<(Cause, &str, &[String]), usize> = HashMap::new();
    for cell in cells.iter().filter(|cell| tried(cell) && !connected(cell)) {
        let Some(Diagnosis { cause, summary, fix, .. }) = &cell.diagnosis else { continue };
        let place = *places.entry(*cause).or_insert_with(|| {
            reasons.push(Reason { cause: cause.key(), cells: 0, sentences: Vec::new() });
            reasons.len() - 1
        });
        let Some(reason) = reasons.get_mut(place) else { continue };
        reason.cells += 1;
        let at = *sentences.entry((*cause, summary, fix)).or_insert_with(|| {
            let shown = |text: &String| shorten(text, SENTENCE).into_owned();
            reason.sentences.push(Sentence {
                summary: shown(summary),
                fix: fix.iter().map(shown).collect(),
                cells: 0,
                clients: Vec::new(),
            });
            reason.sentences.len() - 1
        });
        let Some(sentence) = reason.sentences.get_mut(at) else { continue };
        sentence.cells += 1;
        match sentence.clients.iter_mut().find(|(client, _)| **client == cell.client) {
            Some((_, cells)) => cells.push(cell),
            None => sentence.clients.push((&cell.client, vec![cell])),
        }
    }
    for reason in &mut reasons {
        reason.sentences.sort_by_key(|sentence| std::cmp::Reverse(sentence.cells));
    }
    // The case that gives its victims the least to go by comes first, as on the console, and what
    // nobody can act on last.
    let rank = |cause: &str| match cause {
        _ if cause == Cause::NoCiphersuiteOffered.key() => 0,
        _ if cause == Cause::InsufficientEvidence.key() => 2,
        _ => 1,
    };
    reasons.sort_by_key(|reason| (rank(reason.cause), std::cmp::Reverse(reason.cells)));
    reasons
}

fn reach(cells: &[CellRecord]) -> Vec<Reach<'_>> {
    let mut reach: Vec<Reach> = Vec::new();
    let mut places: HashMap<&ClientName, usize> = HashMap::new();
    for cell in cells.iter().filter(|cell| tried(cell)) {
        let place = *places.entry(&cell.client).or_insert_with(|| {
            reach.push(Reach { client: &cell.client, connected: 0, tried: 0, causes: Vec::new() });
            reach.len() - 1
        });
        let Some(of) = reach.get_mut(place) else { continue };
        of.tried += 1;
        if connected(cell) {
            of.connected += 1;
        } else if let Some(diagnosis) = &cell.diagnosis {
            let key = diagnosis.cause.key();
            match of.causes.iter_mut().find(|(cause, _)| *cause == key) {
                Some((_, count)) => *count += 1,
                None => of.causes.push((key, 1)),
            }
        }
    }
    for of in &mut reach {
        of.causes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    }
    reach
}

fn unreached(cells: &[CellRecord]) -> Vec<&str> {
    let mut reached: BTreeMap<&str, bool> = BTreeMap::new();
    for cell in cells.iter().filter(|cell| tried(cell)) {
        *reached.entry(&cell.broker).or_default() |= connected(cell);
    }
    reached.into_iter().filter(|(_, reached)| !reached).map(|(broker, _)| broker).collect()
}
