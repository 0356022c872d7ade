//! What a cell cost its client, phase by phase: computing and waiting apart.

use crate::record::Latency;
use wire::message::ClockUnit;

/// Phases that take less than this part of both sums are told together.
const SMALL_PERMILLE: u64 = 15;

/// One phase as two bars. Their lengths are in hundredths of the longest of their kind, since the
/// two kinds differ by orders of magnitude: an emulated core computes for long, and a process of the
/// host waits for long.
pub(super) struct Bars {
    pub phase: String,
    pub compute: String,
    pub compute_percent: u64,
    pub wait: String,
    pub wait_percent: u64,
}

/// The phases that matter, and one line for all others.
pub(super) fn bars(latency: &Latency) -> Vec<Bars> {
    let phases = &latency.phases;
    let sum = |of: fn(&crate::record::PhaseLatency) -> u64| {
        phases.iter().map(of).fold(0_u64, u64::saturating_add)
    };
    let (computed, waited) = (sum(|phase| phase.compute), sum(|phase| phase.wait));
    let most_computed = phases.iter().map(|phase| phase.compute).max().unwrap_or(0);
    let most_waited = phases.iter().map(|phase| phase.wait).max().unwrap_or(0);
    let bars = |phase: String, compute: u64, wait: u64| Bars {
        phase,
        compute: amount(latency.unit, compute),
        compute_percent: permille(compute, most_computed).div_ceil(10),
        wait: amount(latency.unit, wait),
        wait_percent: permille(wait, most_waited).div_ceil(10),
    };
    let (mut shown, mut small) = (Vec::new(), (0_u64, 0_u64, 0_u64));
    for phase in phases {
        let (compute, wait) = (phase.compute, phase.wait);
        let is_small =
            permille(compute, computed) < SMALL_PERMILLE && permille(wait, waited) < SMALL_PERMILLE;
        if is_small {
            let (count, computes, waits) = small;
            small = (count + 1, computes.saturating_add(compute), waits.saturating_add(wait));
        } else {
            shown.push(bars(phase.name.replace('_', " "), compute, wait));
        }
    }
    let (count, compute, wait) = small;
    if count > 0 {
        let plural = if count == 1 { "phase" } else { "phases" };
        shown.push(bars(format!("{count} short {plural}"), compute, wait));
    }
    shown
}

fn permille(part: u64, whole: u64) -> u64 {
    let permille = u128::from(part) * 1000 / u128::from(whole.max(1));
    u64::try_from(permille).unwrap_or(1000).min(1000)
}

/// An amount of the board's clock with three digits and its unit.
pub(super) fn amount(unit: ClockUnit, amount: u64) -> String {
    let (name, scale) = match unit {
        ClockUnit::Instructions => ("instructions", ["", "k ", "M ", "G "]),
        ClockUnit::Cycles => ("cycles", ["", "k ", "M ", "G "]),
        ClockUnit::Nanoseconds => ("", ["ns", "µs", "ms", "s"]),
    };
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = amount as f64;
    let mut scale = scale.into_iter().peekable();
    let mut prefix = scale.next().unwrap_or_default();
    while value >= 1000.0
        && let Some(next) = scale.next()
    {
        value /= 1000.0;
        prefix = next;
    }
    let digits = match value {
        _ if amount < 1000 || value >= 100.0 => 0,
        _ if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {prefix}{name}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PhaseLatency;

    #[test]
    fn amounts_have_three_digits() {
        let amounts = [
            amount(ClockUnit::Nanoseconds, 7),
            amount(ClockUnit::Nanoseconds, 150_068_480),
            amount(ClockUnit::Instructions, 5_812_345),
            amount(ClockUnit::Cycles, 84_400),
        ];
        assert_eq!(amounts, ["7 ns", "150 ms", "5.81 M instructions", "84.4 k cycles"]);
    }

    #[test]
    fn short_phases_are_told_together_and_nothing_is_lost() {
        let phase =
            |name: &str, compute, wait| PhaseLatency { name: name.to_owned(), compute, wait };
        let latency = Latency {
            unit: ClockUnit::Instructions,
            total: 0,
            wall_ns: 0,
            phases: vec![
                phase("setup", 2, 0),
                phase("server_hello", 1000, 10),
                phase("client_finished", 1, 9990),
                phase("flush_buffers", 1, 0),
            ],
        };
        let bars = bars(&latency);
        let text: Vec<_> = bars
            .iter()
            .map(|bar| {
                format!(
                    "{} {}/{} {}",
                    bar.phase, bar.compute_percent, bar.wait_percent, bar.compute
                )
            })
            .collect();
        assert_eq!(
            text,
            [
                "server hello 100/1 1.00 k instructions",
                "client finished 1/100 1 instructions",
                "2 short phases 1/0 3 instructions",
            ]
        );
    }
}
