//! How fast a log is read, and that ten times the log takes ten times as long.
//!
//! ```sh
//! cargo bench -p reports --bench explain
//! ```

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark says what it measured")]

use reports::explain::{Beside, explain};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

/// The quickest of a few runs, which is what the machine can do undisturbed.
fn quickest(log: &[u8]) -> Duration {
    (0..5)
        .map(|_| {
            let began = Instant::now();
            black_box(explain(black_box(log), &Beside::default()));
            began.elapsed()
        })
        .min()
        .unwrap_or_default()
}

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs");
    let real = std::fs::read(folder.join("connack.log")).unwrap();
    let mut state = 0x7280_u64;
    let noise = std::iter::repeat_with(|| {
        // xorshift64: any noise will do, as long as it is the same each time.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    });
    let noise: Vec<u8> = noise.take(10 << 20).collect();
    let lines: Vec<u8> = real.iter().copied().cycle().take(10 << 20).collect();
    for (name, log) in [("a real log", &real), ("noise", &noise), ("real logs in a row", &lines)] {
        for length in [log.len() / 10, log.len()] {
            let took = quickest(log.get(..length).unwrap_or_default());
            let rate = length as f64 / took.as_secs_f64() / 1e6;
            println!(
                "{name:20} {length:9} bytes {:9.2} ms {rate:7.1} MB/s",
                took.as_secs_f64() * 1e3
            );
        }
    }
}
