//! What a connection costs, across builds: a row for each build, a mark for each cell.
//!
//! The marks stand on a logarithmic scale, because an elliptic curve costs fifteen times what RSA
//! does on a client. Plotting crates (`plotters`, `charming`) draw fixed sizes or bring a script of
//! their own; a row of marks at percentages needs neither, and follows the page's width and colours.

use super::cost;
use crate::record::CellRecord;
use crate::text::shorten;
use std::collections::HashSet;
use suites::cell::{BuildName, CellId};
use suites::names;
use suites::outcome::OutcomeKind;
use wire::message::ClockUnit;

/// Marks that are closer than this part of the width stand in each other's place.
const STEP: f64 = 0.004;

/// One figure across builds.
pub(super) struct Plot<'a> {
    pub title: &'static str,
    pub ticks: Vec<Tick>,
    pub rows: Vec<Row<'a>>,
    /// The kinds of mark that occur.
    pub kinds: Vec<&'static str>,
}

/// A value on the scale.
pub(super) struct Tick {
    /// In hundredths of the width.
    pub x: String,
    pub label: String,
}

/// One build.
pub(super) struct Row<'a> {
    pub build: &'a BuildName,
    pub marks: Vec<Dot<'a>>,
    /// The median, in words.
    pub median: String,
    pub median_x: String,
}

/// One cell.
pub(super) struct Dot<'a> {
    pub cell: &'a CellId,
    /// The kind of key exchange.
    pub kind: &'static str,
    /// In hundredths of the width.
    pub x: String,
    pub label: String,
}

/// One cell's figure.
struct Point<'a> {
    cell: &'a CellRecord,
    kind: &'static str,
    value: u64,
}

/// Computing time and heap of the cells that connected; a figure that no cell has is not plotted.
pub(super) fn plots(cells: &[CellRecord]) -> Vec<Plot<'_>> {
    let connected = || cells.iter().filter(|cell| cell.outcome.result == OutcomeKind::Connected);
    // Cells of different kinds of board count different things; a run has one kind.
    let unit = connected().find_map(|cell| Some(cell.latency.as_ref()?.unit));
    let computing = connected().filter_map(|cell| {
        let latency = cell.latency.as_ref().filter(|latency| Some(latency.unit) == unit)?;
        Some(Point { cell, kind: kind(cell), value: latency.total })
    });
    let heap = connected()
        .filter_map(|cell| Some(Point { cell, kind: kind(cell), value: cell.heap_peak_bytes? }));
    let unit = unit.unwrap_or(ClockUnit::Nanoseconds);
    let plots = [
        plot("Computing until the message came back", computing.collect(), 1, |value| {
            cost::amount(unit, value)
        }),
        plot("Most heap in use", heap.collect(), 1024, |value| {
            format!("{:.1} KiB", kib(value)).replace(".0 ", " ")
        }),
    ];
    plots.into_iter().flatten().collect()
}

#[expect(clippy::cast_precision_loss, reason = "heaps are smaller than 2^52 bytes")]
fn kib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0
}

fn plot<'a>(
    title: &'static str,
    points: Vec<Point<'a>>,
    unit: u64,
    label: impl Fn(u64) -> String,
) -> Option<Plot<'a>> {
    let scale = Scale::of(points.iter().map(|point| point.value))?;
    let mut builds: Vec<&BuildName> = Vec::new();
    let mut rows: Vec<Row> = Vec::new();
    let mut kinds: Vec<&'static str> = Vec::new();
    for point in &points {
        if !builds.contains(&&point.cell.build) {
            builds.push(&point.cell.build);
        }
        if !kinds.contains(&point.kind) {
            kinds.push(point.kind);
        }
    }
    kinds.sort_unstable();
    builds.sort_by_key(|build| (build.variant(), numbers(build.stack()), build.stack()));
    for build in builds {
        let mut of: Vec<&Point> =
            points.iter().filter(|point| point.cell.build == *build).collect();
        of.sort_by_key(|point| point.value);
        let median = of.get(of.len() / 2).map_or(0, |point| point.value);
        let mut taken = HashSet::new();
        let marks = of.iter().filter(|point| taken.insert((point.kind, scale.step(point.value))));
        let mark = |point: &&Point<'a>| Dot {
            cell: &point.cell.cell,
            kind: point.kind,
            x: scale.x(point.value),
            label: shorten(
                &format!("{}, {}: {}", point.cell.client, point.cell.broker, label(point.value)),
                300,
            )
            .into_owned(),
        };
        rows.push(Row {
            build,
            marks: marks.map(mark).collect(),
            median: label(median),
            median_x: scale.x(median),
        });
    }
    let ticks =
        scale.ticks(unit).map(|value| Tick { x: scale.x(value), label: label(value) }).collect();
    Some(Plot { title, ticks, rows, kinds })
}

/// The numbers in a stack's name, so that 2.4.0 comes before 2.16.0.
fn numbers(stack: &str) -> Vec<u32> {
    stack.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

/// How a cell's keys were agreed on: what decides its cost.
fn kind(cell: &CellRecord) -> &'static str {
    let Some(suite) = cell.outcome.cipher_suite else { return "other" };
    match names::cipher_suite_name(suite) {
        _ if suite.0 >> 8 == 0x13 => "TLS1.3",
        Some(name) if name.starts_with("TLS_RSA_WITH") => "RSA",
        Some(name) if name.starts_with("TLS_ECDHE_") => "ECDHE",
        Some(name) if name.starts_with("TLS_DHE_") => "DHE",
        _ => "other",
    }
}

/// A logarithmic scale over the values that occur, with a margin at both ends.
struct Scale {
    low: f64,
    high: f64,
}

#[expect(clippy::cast_precision_loss, reason = "a place on a plot needs three digits")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ticks lie between values of u64"
)]
impl Scale {
    fn of(values: impl Iterator<Item = u64> + Clone) -> Option<Self> {
        let low = (values.clone().min()?.max(1) as f64).ln();
        let high = (values.max()?.max(1) as f64).ln();
        let margin = ((high - low) * 0.06).max(0.1);
        Some(Self { low: low - margin, high: high + margin })
    }

    fn place(&self, value: u64) -> f64 {
        ((value.max(1) as f64).ln() - self.low) / (self.high - self.low)
    }

    fn step(&self, value: u64) -> u64 {
        (self.place(value) / STEP) as u64
    }

    fn x(&self, value: u64) -> String {
        format!("{:.1}", self.place(value) * 100.0)
    }

    /// Round values on the scale, in `unit`: the fewer decades there are, the more in each.
    fn ticks(&self, unit: u64) -> impl Iterator<Item = u64> + '_ {
        let decades = (self.high - self.low) / std::f64::consts::LN_10;
        let tenths: &[u64] = match decades {
            _ if decades > 1.5 => &[10],
            _ if decades > 0.8 => &[10, 20, 50],
            _ => &[10, 15, 20, 30, 40, 50, 70],
        };
        let at = move |power: u32| {
            let of_ten = 10_u64.pow(power).saturating_mul(unit);
            tenths.iter().map(move |tenths| of_ten.saturating_mul(*tenths) / 10)
        };
        (0..15_u32).flat_map(at).filter(|value| (0.03..=0.97).contains(&self.place(*value)))
    }
}
