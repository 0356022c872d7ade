//! What the tests of this crate share: a checkout of their own, the built binary, waits with names.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "this is test code, helpers included")]

pub mod bench;

use brokers::Brokers;
use rig::bench::Bench;
use rig::board::{Kind, Limits, Slot};
use rig::command::LogLines;
use rig::deadline::Interrupt;
use rig::doctor;
use rig::firmware::{Builder, Image};
use rig::plan::Job;
use rig::project::Project;
use rig::run::{RunEvent, SEED, Workshop};
use rig::verdict::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use suites::{BuildName, CellId, Library};
use tempfile::TempDir;

/// Waits until `look` finds something; fails after `seconds`, naming what was waited for.
pub fn until<T>(what: &str, seconds: u64, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {seconds} s");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// State letter and parent of a process, from `/proc`.
fn process(id: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The program's name stands in parentheses and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Whether a process still runs. One that only waits to be reaped does not.
pub fn runs(id: u32) -> bool {
    process(id).is_some_and(|(state, _)| state != 'Z')
}

/// The running children of a process.
pub fn children(parent: u32) -> Vec<u32> {
    let ids = fs::read_dir("/proc").unwrap().flatten();
    ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|id| process(*id).is_some_and(|(state, of)| of == parent && state != 'Z'))
        .collect()
}

/// The running children of this process that were started as `program`.
pub fn boards(program: &Path) -> Vec<u32> {
    let started_as = |id: &u32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == program.as_os_str().as_encoded_bytes())
    };
    children(std::process::id()).into_iter().filter(started_as).collect()
}

/// How much of the processor a process has had.
pub fn processor_time(id: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The program's name stands in parentheses and may hold anything; ticks are hundredths of a second.
    let after_name = stat.rsplit_once(')')?.1.split_whitespace();
    let ticks: Vec<u64> =
        after_name.skip(11).take(2).filter_map(|word| word.parse().ok()).collect();
    Some(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
}

/// Whether a process has been stopped by a signal.
pub fn stopped(id: u32) -> bool {
    process(id).is_some_and(|(state, _)| state == 'T')
}

/// Sends a signal to one process.
pub fn signal(id: u32, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    rustix::process::kill_process(id, signal).unwrap();
}

/// Whether this kind of board can run here. With `RIG_NO_SKIP` set it must.
pub fn can_run(kind: Kind) -> bool {
    let checkup = doctor::check(kind, &Bench::default());
    let lacks: Vec<_> =
        checkup.needs.iter().filter(|need| need.found.is_none()).map(|need| need.what).collect();
    let no_skip = std::env::var_os("RIG_NO_SKIP").is_some();
    assert!(checkup.ready || !no_skip, "RIG_NO_SKIP is set, and {kind} lacks: {lacks:?}");
    if !checkup.ready {
        eprintln!("skipped: the {kind} board lacks: {}", lacks.join(", "));
    }
    checkup.ready
}

/// The image of one build, from the cache or built now.
pub fn image(kind: Kind, build: &str) -> Image {
    let project = Project::find().unwrap();
    let builder = Builder::new(project.root(), &project.cache());
    builder.image(&build.parse().unwrap(), kind.target(), &mut |_| {}).unwrap()
}

/// Images by build, as a workshop wants them.
pub fn images(images: impl IntoIterator<Item = Image>) -> BTreeMap<BuildName, Image> {
    images.into_iter().map(|image| (image.build.clone(), image)).collect()
}

/// A cell of the project's own profiles, with debug output as the thread's log has it.
pub fn job(cell: &str) -> Job {
    let library = Library::load(&Project::find().unwrap().suites()).unwrap();
    let cell: CellId = cell.parse().unwrap();
    Job {
        suite: "test".to_owned(),
        log_level: 4,
        survey: false,
        profile: library.profile(&cell.client.profile).unwrap().clone(),
        broker: library.broker(&cell.broker).unwrap().clone(),
        cell,
    }
}

/// Brokers with the project's own keys.
pub fn brokers() -> Brokers {
    Brokers::new(&Project::find().unwrap().cache().join("pki")).unwrap()
}

/// What workers share: whole logs, and the seed of `rig run`.
pub fn workshop<'a>(
    limits: Limits,
    images: &'a BTreeMap<BuildName, Image>,
    brokers: &'a Brokers,
    interrupt: &'a Interrupt,
) -> Workshop<'a> {
    Workshop { limits, log_lines: LogLines::All, images, brokers, seed: SEED, interrupt }
}

/// Runs jobs as `rig run` does, and hands back the cells in the order in which they finished.
/// `listen` is told of each as it finishes.
pub fn run(
    workshop: &Workshop<'_>,
    jobs: Vec<Job>,
    slots: Vec<Slot>,
    mut listen: impl FnMut(&Cell),
) -> Vec<Cell> {
    let mut cells = Vec::new();
    rig::run::run(workshop, jobs, slots, |event| {
        if let RunEvent::Finished(cell) = event {
            listen(&cell);
            cells.push(*cell);
        }
    });
    cells
}

/// What the shell sees of one command.
pub struct Seen {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<Output> for Seen {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, stdout, stderr } = self;
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        write!(f, "exit code: {code}\n-- stdout\n{stdout}-- stderr\n{stderr}")
    }
}

/// A checkout with suites of its own; firmware, images and keys are those of the real one.
pub struct Checkout {
    folder: TempDir,
}

impl Checkout {
    /// With one suite, `smoke`, of two clients against one broker, and without snapshots.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = Project::find().unwrap();
        let (real, own) = (project.root(), folder.path());
        for file in [
            "matrix/smoke.toml",
            "brokers/tls12-rsa-plain.toml",
            "profiles/default.toml",
            "profiles/suiteb.toml",
        ] {
            let copy = own.join("suites").join(file);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(real.join("suites").join(file), copy).unwrap();
        }
        symlink(real.join("firmware"), own.join("firmware")).unwrap();
        let cache = own.join("target/rig");
        fs::create_dir_all(&cache).unwrap();
        for part in ["images", "pki", "firmware-target", "flash-algorithms", "flash-algo-target"] {
            fs::create_dir_all(project.cache().join(part)).unwrap();
            symlink(project.cache().join(part), cache.join(part)).unwrap();
        }
        symlink(project.cache().join("firmware.lock"), cache.join("firmware.lock")).unwrap();
        Self { folder }
    }

    /// The same with snapshots of what happens here and now.
    pub fn accepted() -> Self {
        let checkout = Self::new();
        let seen = checkout.rig("run smoke --board native --accept --out accepted");
        assert_eq!(seen.code, Some(0), "{seen}");
        checkout
    }

    /// The same with a suite `long` of this many cells that connect.
    pub fn long(cells: usize) -> Self {
        let checkout = Self::new();
        let names: Vec<_> = (0..cells).map(|number| format!("broker-{number:02}")).collect();
        let plain = fs::read(checkout.path("suites/brokers/tls12-rsa-plain.toml")).unwrap();
        for name in &names {
            fs::write(checkout.path(&format!("suites/brokers/{name}.toml")), &plain).unwrap();
        }
        let suite = format!(
            "summary = 'many cells'\n[[cells]]\nclients = ['mbedtls-2.4.0/rsa-16384+default']\n\
             brokers = {names:?}\n"
        );
        fs::write(checkout.path("suites/matrix/long.toml"), suite).unwrap();
        checkout
    }

    /// A path in it.
    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// The built `rig`, ready to be run at the top of the checkout.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rig"));
        command
            .args(line.split_whitespace())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("CLICOLOR_FORCE");
        command
    }

    /// Runs the built `rig` to its end.
    pub fn rig(&self, line: &str) -> Seen {
        self.command(line).output().unwrap().into()
    }

    /// Starts the suite `long` and waits until some cells are finished; the others are not.
    pub fn under_way(&self, kind: Kind, jobs: usize) -> Child {
        let line = format!("run long --board {kind} --jobs {jobs} --out made");
        let mut rig = self.command(&line).spawn().unwrap();
        let cells = self.path("made/cells.jsonl");
        until("the first finished cells", 120, || {
            assert_eq!(rig.try_wait().unwrap(), None, "the run ended too early");
            let text = fs::read(&cells).unwrap_or_default();
            (text.iter().filter(|byte| **byte == b'\n').count() >= 2).then_some(())
        });
        rig
    }

    /// Runs the built `rig` as on a machine that has no program at all.
    pub fn rig_on_a_bare_machine(&self, line: &str) -> Seen {
        let mut command = self.command(line);
        command.env_clear().env("PATH", self.path("nothing")).env("HOME", self.path("nothing"));
        command.output().unwrap().into()
    }

    /// Compares text with the snapshot `name`, leaving out what differs between two runs.
    pub fn compare(&self, name: &str, text: impl fmt::Display) {
        let own = fs::canonicalize(self.folder.path()).unwrap();
        compare(name, text, &[own.as_path(), self.folder.path()]);
    }
}

fn forbid_others(schema: &mut serde_json::Value) {
    use serde_json::Value;
    match schema {
        Value::Object(fields) => {
            // A part of an `allOf` or `oneOf` sees only its own fields.
            let alone = !fields.contains_key("oneOf") && !fields.contains_key("allOf");
            if fields.contains_key("properties") && alone {
                fields.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
            }
            let parts = ["oneOf", "allOf", "anyOf"];
            let whole = fields.iter_mut().filter(|(key, _)| !parts.contains(&key.as_str()));
            whole.for_each(|(_, value)| forbid_others(value));
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_others),
        _ => {}
    }
}

/// Holds what a command printed for programs against the shipped schema, in which no field may be
/// missing: a reader may ignore those that it does not know, but here each would be a forgotten one.
pub fn check(name: &str, document: &serde_json::Value) {
    let root = Project::find().unwrap();
    let file = root.root().join(format!("reports/schema/{name}.schema.json"));
    let mut schema = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    forbid_others(&mut schema);
    let schema = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = schema
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}");
}

/// Compares text with the snapshot `name`; `folders` are shown as `[here]`.
pub fn compare(name: &str, text: impl fmt::Display, folders: &[&Path]) {
    let mut text = text.to_string();
    for folder in folders {
        text = text.replace(&*folder.to_string_lossy(), "[here]");
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("../snapshots");
    for (pattern, shown) in [
        (r"(?m)^(building (firmware|the flash)|waiting for another rig) .*\n", ""),
        (r"\d{8}-\d{6}-[0-9a-f]{4}", "[run]"),
        (r"\d+\.\d s\b", "[time]"),
        (r"\d+\.\d\d ms", "[time]"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:[port]"),
        (r"port \d+ on", "port [port] on"),
        (r"\(image [0-9a-f]{16}\)", "(image [id])"),
    ] {
        settings.add_filter(pattern, shown);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}
