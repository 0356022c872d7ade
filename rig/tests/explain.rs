//! Pasted logs against real cells: a device's log alone must lead to the cell's own diagnosis, or to
//! none; and what hides behind -0x7280.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are test code"
)]

mod common;

use common::{Checkout, brokers, image, images, job, run};
use reports::Cause;
use reports::explain::{Beside, explain};
use rig::board::{Kind, Slot};
use rig::command::LogLines;
use rig::deadline::Interrupt;
use rig::firmware::Builder;
use rig::plan::{self, Job, Shard};
use rig::project::Project;
use rig::run::{SEED, Workshop};
use rig::verdict::Cell;
use rstest::rstest;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use suites::Library;
use suites::broker::OnReject;

/// Runs jobs on the native board, as many at a time as there are slots.
fn cells(jobs: Vec<Job>) -> Vec<Cell> {
    let builds: BTreeSet<_> = jobs.iter().map(|job| job.cell.client.build.clone()).collect();
    let images = images(builds.iter().map(|build| image(Kind::Native, build.as_str())));
    let (brokers, interrupt) = (brokers(), Interrupt::default());
    let workshop = Workshop {
        limits: Kind::Native.limits(),
        log_lines: LogLines::All,
        images: &images,
        brokers: &brokers,
        seed: SEED,
        interrupt: &interrupt,
    };
    run(&workshop, jobs, vec![Slot::Native, Slot::Native], |_| {})
}

/// How the logs of some cells compare with the cells' own diagnoses.
#[derive(Debug, Default, PartialEq, Eq)]
struct Agreement {
    cells: usize,
    equal: usize,
    unproven: usize,
    /// Of the unproven ones those whose cause is among the candidates.
    named: usize,
    /// Cells whose log explains something else than what happened.
    wrong: Vec<String>,
}

impl Agreement {
    fn add(&mut self, cells: &[Cell], with_broker: bool, logs: &mut Logs) {
        let library = Library::load(&Project::find().unwrap().suites()).unwrap();
        for cell in cells {
            let Some(diagnosis) = &cell.record.diagnosis else { continue };
            let log = cell.transcript.device_log();
            let broker = with_broker.then(|| library.broker(&cell.record.broker).unwrap());
            let seen = explain(log.as_bytes(), &Beside { config: None, broker }).diagnosis;
            self.cells += 1;
            if seen.cause == diagnosis.cause {
                self.equal += 1;
            } else if seen.cause == Cause::InsufficientEvidence {
                self.unproven += 1;
                self.named += usize::from(seen.candidates.contains(&diagnosis.cause));
            } else {
                let cell = &cell.record.cell;
                self.wrong.push(format!("{cell}: {} for {}", seen.cause, diagnosis.cause));
            }
            logs.add(&log, diagnosis.cause, seen.cause);
        }
    }
}

/// The logs of some cells, alone, by what is in them: how often each cause is behind the very same
/// letters, and how many of those were explained so.
///
/// Server's random numbers make every later log one of its own, so this finds only those that end
/// before a ServerHello; there are more that nobody could tell apart.
#[derive(Debug, Default)]
struct Logs(BTreeMap<u64, BTreeMap<&'static str, (usize, usize)>>);

impl Logs {
    fn add(&mut self, log: &str, cause: Cause, seen: Cause) {
        // All logs of a large suite would be gigabytes.
        let mut hasher = DefaultHasher::new();
        log.hash(&mut hasher);
        let causes = self.0.entry(hasher.finish()).or_default();
        let (cells, equal) = causes.entry(cause.key()).or_default();
        *cells += 1;
        *equal += usize::from(seen == cause);
    }

    /// Of the logs that only one cause is behind: how many, and how many were explained.
    fn telling(&self) -> (usize, usize) {
        let of_one = self.0.values().filter(|causes| causes.len() == 1);
        of_one.flat_map(BTreeMap::values).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

/// All jobs of these suites whose cell's name contains `filter`, at each debug level.
fn jobs(suites: &[&str], filter: &str, level: u8, shard: Option<Shard>) -> Vec<Job> {
    let project = Project::find().unwrap();
    let library = Library::load(&project.suites()).unwrap();
    let builds = Builder::new(project.root(), &project.cache()).builds().unwrap();
    let suites: Vec<_> = suites.iter().map(ToString::to_string).collect();
    let mut jobs = plan::expand(&library, &builds, &suites, &[filter.to_owned()], shard).unwrap();
    for job in &mut jobs {
        job.log_level = level;
        // A survey keeps error lines alone; people paste more.
        job.survey = false;
    }
    jobs
}

/// Nothing is explained wrongly at any level. A log that holds every byte of the handshake is, beside
/// the broker's profile, explained as the cell is in 98 of 100 cells. Without the profile it cannot be:
/// a broker that shares no suite says the same as one whose key, curve or signature does not fit. Then
/// the cell's cause is one of the candidates.
fn check(suites: &[&str], filter: &str) {
    for level in 1..=4 {
        let cells = cells(jobs(suites, filter, level, None));
        let (mut alone, mut beside, mut logs) = <(Agreement, Agreement, Logs)>::default();
        alone.add(&cells, false, &mut logs);
        eprintln!("level {level}, the log alone: {alone:?}");
        assert_eq!(alone.wrong, Vec::<String>::new(), "level {level}");
        beside.add(&cells, true, &mut Logs::default());
        eprintln!("level {level}, with --broker: {beside:?}");
        assert_eq!(beside.wrong, Vec::<String>::new(), "level {level}, with the broker's profile");
        if level == 4 {
            assert!(beside.equal * 100 >= beside.cells * 98, "{beside:?}");
            assert!(alone.equal * 100 >= alone.cells * 80, "{alone:?}");
            assert!(alone.named * 100 >= alone.unproven * 95, "{alone:?}");
        }
    }
}

#[test]
fn a_log_alone_leads_to_the_cells_diagnosis_or_to_none() {
    check(&["forum", "misbehaviour", "certificates"], "mbedtls-2.4.0/rsa-16384+");
}

/// Of the suite that holds every client and every broker one cell in so many is read back; with
/// RIG_EXPLAIN=all every one, which takes ten minutes:
///
/// ```sh
/// RIG_EXPLAIN=all cargo test -p rig --test explain -- --nocapture full
/// ```
const SAMPLE: Shard = Shard { index: 1, of: 24 };

#[rstest]
fn the_logs_of_full(#[values(1, 2, 3, 4)] level: u8) {
    let whole = std::env::var("RIG_EXPLAIN").is_ok_and(|wanted| wanted == "all");
    let products = ["mosquitto-", "rabbitmq-", "aedes-"];
    let mut jobs = jobs(&["full"], "mbedtls-", level, (!whole).then_some(SAMPLE));
    jobs.retain(|job| !products.iter().any(|product| job.cell.broker.starts_with(product)));
    let (mut alone, mut beside, mut logs) = <(Agreement, Agreement, Logs)>::default();
    // In parts, so that their logs need not be in memory all at once.
    while !jobs.is_empty() {
        let rest = jobs.split_off(jobs.len().min(2000));
        let cells = cells(std::mem::replace(&mut jobs, rest));
        alone.add(&cells, false, &mut logs);
        beside.add(&cells, true, &mut Logs::default());
    }
    let (telling, explained) = logs.telling();
    eprintln!("level {level}, the log alone: {alone:?}\nwith --broker: {beside:?}");
    eprintln!("{telling} logs are those of one cause alone, and {explained} of them are explained");
    assert!(alone.cells > 0);
    assert_eq!((alone.wrong, beside.wrong), (Vec::new(), Vec::new()));
    // A part may hold more than its share of brokers that close without a word, and fewer of those
    // cells that show that one log may have several causes.
    if whole && level == 4 {
        let enough = |part: usize, of: usize| part * 100 >= of * 98;
        assert!(enough(beside.equal, beside.cells), "{} of {}", beside.equal, beside.cells);
        // The rest is told apart only by what this library of brokers happens to hold: one broker that
        // closes without a word at some place is not all that do.
        assert!(explained * 100 >= telling * 95, "{explained} of {telling}");
    }
}

/// Cell, and the cause behind the one error that says nothing. Each broker closes without a word.
const BEHIND_CONN_EOF: [(&str, Cause); 14] = [
    ("mbedtls-2.4.0/rsa-16384+suiteb/hivemq-cloud-2021", Cause::NoCiphersuiteOffered),
    ("mbedtls-2.4.0/rsa-16384+default/tls12-only-ecdhe", Cause::NoSharedCiphersuite),
    ("mbedtls-2.4.0/rsa-16384+default/ec-certificate", Cause::CertificateKeyTypeMismatch),
    ("mbedtls-2.4.0/rsa-16384+default/only-tls1.3", Cause::ServerRequiresNewerVersion),
    ("mbedtls-3.6/all-16384+tls13-only/tls12-rsa-plain", Cause::ClientRequiresNewerVersion),
    ("mbedtls-2.4.0/all-16384+default/group-x25519", Cause::NoSharedGroup),
    ("mbedtls-2.4.0/all-16384+default/signatures-pss-only", Cause::NoSharedSignatureAlgorithm),
    ("mbedtls-2.4.0/rsa-16384+default/sni-required", Cause::SniRequired),
    ("mbedtls-2.4.0/rsa-16384+default/mtls-required", Cause::ClientCertRequired),
    ("mbedtls-2.4.0/rsa-16384+client-unknown/mtls-required", Cause::ClientCertRejected),
    ("mbedtls-2.4.0/all-16384+psk/suite-psk-aes128-sha256", Cause::PskUnknown),
    ("mbedtls-2.4.0/rsa-16384+default/plain-mqtt-answer", Cause::NotTls),
    ("mbedtls-2.4.0/rsa-16384+default/close-certificate", Cause::PeerClosed),
    ("mbedtls-2.4.0/rsa-16384+default/truncate-client-hello", Cause::PeerClosed),
];

#[test]
fn thirteen_causes_hide_behind_one_error() {
    let mut wanted = BTreeMap::new();
    let jobs = BEHIND_CONN_EOF.iter().map(|(cell, cause)| {
        let mut job = job(cell);
        job.broker.on_reject = OnReject::Close;
        if let Some(psk) = &mut job.broker.psk {
            // Another key than the client's under the same identity.
            psk.key = "ff".repeat(16);
        }
        wanted.insert(job.cell.clone(), *cause);
        job
    });
    let mut cells = cells(jobs.collect());
    cells.sort_by(|a, b| a.record.cell.cmp(&b.record.cell));
    let mut text = String::new();
    for cell in &cells {
        let (record, wanted) = (&cell.record, wanted[&cell.record.cell]);
        assert_eq!(
            record.outcome.error.as_deref(),
            Some("-0x7280"),
            "{}: {:?}",
            record.cell,
            record.outcome
        );
        let diagnosis = record.diagnosis.as_ref().unwrap();
        assert_eq!(diagnosis.cause, wanted, "{}: {diagnosis:#?}", record.cell);
        let _ = writeln!(text, "{}\n  {}: {}", record.cell, diagnosis.cause, diagnosis.summary);
        for line in &diagnosis.evidence {
            let _ = writeln!(text, "    {line}");
        }
        for line in &diagnosis.fix {
            let _ = writeln!(text, "    fix: {line}");
        }
        // From the log alone the same, or nothing with the cause among the candidates.
        let log = cell.transcript.device_log();
        let alone = explain(log.as_bytes(), &Beside::default()).diagnosis;
        let named = alone.cause == Cause::InsufficientEvidence;
        assert!(alone.cause == wanted || named, "{}: {alone:#?}", record.cell);
        let _ = writeln!(text, "  the log alone: {}", alone.cause);
    }
    let causes: BTreeSet<_> = BEHIND_CONN_EOF.iter().map(|(_, cause)| cause.key()).collect();
    assert!(causes.len() >= 12, "{causes:?}");
    common::compare("behind_conn_eof", text, &[]);
}

/// The command as a person types it.
#[test]
fn the_command() {
    let checkout = Checkout::new();
    let log = Project::find().unwrap().root().join("reports/tests/logs/the_thread.log");
    std::fs::copy(log, checkout.path("device.log")).unwrap();
    let header = Project::find().unwrap().root().join("firmware/mbedtls/sets/sdk_rsa.h");
    std::fs::copy(header, checkout.path("config_rsa.h")).unwrap();
    std::fs::write(checkout.path("one.log"), "mbedtls_ssl_handshake returned -0x7280\n").unwrap();
    std::fs::write(checkout.path("empty.log"), "").unwrap();
    std::fs::write(checkout.path("other.h"), "#define OTHER 1\n").unwrap();
    let mut text = String::new();
    for line in [
        "explain --help",
        "explain device.log",
        "explain device.log --config config_rsa.h --broker tls12-rsa-plain",
        "explain one.log",
        "explain one.log --format json",
        "explain empty.log",
        "explain missing.log",
        "explain one.log --config other.h",
        "explain one.log --broker tls12-rsa-plane",
    ] {
        let seen = checkout.rig(line);
        let _ = writeln!(text, "$ rig {line}\n{seen}");
    }
    checkout.compare("explain", text);
}

/// What is handed over in place of a log, or in a dress of its own.
#[test]
fn what_is_no_log_is_told_apart() {
    let checkout = Checkout::new();
    let write = |name: &str, bytes: &[u8]| std::fs::write(checkout.path(name), bytes).unwrap();
    let line = "I (812) tls: mbedtls_ssl_handshake returned -0x5d80 (r\u{e9}seau)\r\n";
    let wide = |order: fn(u16) -> [u8; 2]| line.encode_utf16().flat_map(order).collect::<Vec<_>>();
    write("powershell.log", &[&[0xff, 0xfe][..], &wide(u16::to_le_bytes)].concat());
    write("big-endian.log", &[&[0xfe, 0xff][..], &wide(u16::to_be_bytes)].concat());
    write("no-mark.log", &wide(u16::to_le_bytes));
    write("utf8-mark.log", &[b"\xef\xbb\xbf", line.as_bytes()].concat());
    // Wrong speed at first, then the log.
    write(
        "noise.log",
        &[&[0, 0xfe, 0x80, 3, 0xe0, 0x1c].repeat(4), &b"\n"[..], line.as_bytes()].concat(),
    );
    write("device.log.gz", b"\x1f\x8b\x08\x00rest");
    write("capture.pcap", b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00");
    write("capture.pcapng", b"\x0a\x0d\x0d\x0a\x1c\x00\x00\x00");
    write("firmware.elf", b"\x7fELF\x01\x01\x01");
    write("screen.png", b"\x89PNG\r\n\x1a\n");
    write("flash.bin", &[&[0, 1, 2, 3, 0x80, 0xff].repeat(200), line.as_bytes()].concat());
    std::fs::create_dir_all(checkout.path("logs")).unwrap();
    std::fs::create_dir_all(checkout.path("a-run")).unwrap();
    write("a-run/cells.jsonl", b"");
    // 200 MB that take no room on the disk.
    std::fs::File::create(checkout.path("huge.log")).unwrap().set_len(200 << 20).unwrap();
    let mut text = String::new();
    for file in [
        "powershell.log",
        "device.log.gz",
        "capture.pcap",
        "capture.pcapng",
        "firmware.elf",
        "screen.png",
        "flash.bin",
        "logs",
        "a-run",
        "/dev/zero",
        "huge.log",
    ] {
        let seen = checkout.rig(&format!("explain {file}"));
        let _ = writeln!(text, "$ rig explain {file}\n{seen}");
    }
    // Through a pipe nobody knows beforehand how much there is.
    let huge = std::fs::File::open(checkout.path("huge.log")).unwrap();
    let piped: common::Seen = checkout.command("explain").stdin(huge).output().unwrap().into();
    let _ = writeln!(text, "$ cat huge.log | rig explain\n{piped}");
    checkout.compare("explain_no_log", text);
    let first = checkout.rig("explain powershell.log");
    assert!(first.stdout.starts_with("hostname_not_set: "), "{first}");
    for file in ["big-endian.log", "no-mark.log", "utf8-mark.log"] {
        assert_eq!(checkout.rig(&format!("explain {file}")).stdout, first.stdout, "{file}");
    }
    let noise = checkout.rig("explain noise.log");
    assert!(noise.stdout.starts_with("hostname_not_set: "), "{noise}");
}

/// Who may read anything, as root may, is not told that he may not.
#[test]
fn a_log_that_may_not_be_read_is_told_so() {
    use std::os::unix::fs::PermissionsExt as _;
    let checkout = Checkout::new();
    let file = checkout.path("secret.log");
    std::fs::write(&file, "mbedtls_ssl_handshake returned -0x7280\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    let seen = checkout.rig("explain secret.log");
    match std::fs::File::open(&file) {
        Ok(_) => assert_eq!(seen.code, Some(0), "{seen}"),
        Err(_) => {
            assert_eq!(seen.code, Some(2), "{seen}");
            assert!(seen.stderr.contains("Permission denied"), "{seen}");
        }
    }
}

/// On a terminal it says what it waits for, and does not just hang.
#[test]
fn on_a_terminal_it_asks_for_the_log() {
    use serialport::SerialPort as _;
    use std::io::{BufRead as _, BufReader};
    let (_master, slave) = serialport::TTYPort::pair().unwrap();
    let terminal = std::fs::File::open(slave.name().unwrap()).unwrap();
    let mut child = Checkout::new().command("explain").stdin(terminal).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    insta::assert_snapshot!(said.trim_end(), @"paste the log here and end it with Ctrl-D on a line of its own, or name a file: `cargo rig explain device.log`");
}

/// A log comes from a pipe as well as from a file, with the same words.
#[test]
fn a_log_comes_through_a_pipe() {
    use std::io::Write as _;
    use std::process::Stdio;
    let checkout = Checkout::new();
    let log =
        std::fs::read(Project::find().unwrap().root().join("reports/tests/logs/http.log")).unwrap();
    std::fs::write(checkout.path("http.log"), &log).unwrap();
    let file = checkout.rig("explain http.log");
    let mut child = checkout.command("explain -").stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&log).unwrap();
    let piped: common::Seen = child.wait_with_output().unwrap().into();
    assert_eq!((piped.code, &piped.stdout), (Some(0), &file.stdout), "{piped}");
    assert!(piped.stdout.starts_with("not_tls: "), "{piped}");
}
