//! A product's processes: started, probed until they serve, stopped by their own handles.
//!
//! One thread per product owns its processes from start to stop. It has to be one that lives as
//! long as they do, because the kernel kills them when the thread that started them ends
//! (`setpriv --pdeathsig`): a rig that is killed leaves nothing behind.

use super::{Product, ProductError, Recipe, start_error};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// RabbitMQ takes 10 s on a quiet machine.
const START_LIMIT: Duration = Duration::from_secs(90);
/// Between two probes of a product that is starting.
const PROBE_PAUSE: Duration = Duration::from_millis(10);
const PROBE_LIMIT: Duration = Duration::from_secs(1);
/// How much of a log is quoted, in bytes.
const LOG_QUOTE: usize = 2_000;
/// How much of a log is looked at, in bytes. RabbitMQ has said 50 KB when it listens.
const LOG_READ: u64 = 1 << 20;

/// A folder of one running product, removed with it.
pub(super) struct WorkFolder(PathBuf);

impl WorkFolder {
    /// Makes `<work>/<process>-<port>-<name>`, and removes what killed rigs have left.
    pub(super) fn new(work: &Path, name: &str, port: u16) -> Result<Self, ProductError> {
        for entry in fs::read_dir(work).into_iter().flatten().flatten() {
            let file = entry.file_name();
            let process =
                file.to_str().and_then(|name| name.split('-').next()?.parse::<u32>().ok());
            if process.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists()) {
                let _another_rig_was_faster = fs::remove_dir_all(entry.path());
            }
        }
        let folder = work.join(format!("{}-{port}-{name}", std::process::id()));
        // Products read paths in their own ways: give them plain ones.
        fs::create_dir_all(&folder)
            .and_then(|()| fs::canonicalize(&folder))
            .map(Self)
            .map_err(|source| ProductError::Files { path: folder, source })
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        let _left_for_the_next_start = fs::remove_dir_all(&self.0);
    }
}

/// A product that serves. Dropping it stops its processes.
pub(crate) struct Running {
    product: Product,
    address: SocketAddr,
    log: PathBuf,
    stop: Option<mpsc::Sender<()>>,
    keeper: Option<JoinHandle<()>>,
    folder: WorkFolder,
}

impl Running {
    pub(super) fn start(
        product: Product,
        recipe: Recipe,
        port: u16,
        folder: WorkFolder,
        log: PathBuf,
    ) -> Result<Self, ProductError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = mpsc::channel();
        let keeper = {
            let (log, folder) = (log.clone(), folder.path().to_owned());
            thread::Builder::new()
                .name(format!("product-{port}"))
                .spawn(move || keep(product, &recipe, &folder, address, &log, &tell, &stopped))
                .map_err(|source| start_error(product.name(), source))?
        };
        let stop = Some(stop);
        let running = Self { product, address, log, stop, keeper: Some(keeper), folder };
        match told.recv() {
            Ok(Ok(())) => Ok(running),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(start_error(product.name(), io::Error::other("its thread ended"))),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn product(&self) -> Product {
        self.product
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(keeper) = self.keeper.take() {
            let _panicked: Result<(), _> = keeper.join();
        }
    }
}

fn keep(
    product: Product,
    recipe: &Recipe,
    folder: &Path,
    address: SocketAddr,
    log: &Path,
    tell: &mpsc::Sender<Result<(), ProductError>>,
    stopped: &mpsc::Receiver<()>,
) {
    let mut processes = Vec::new();
    // The log of an earlier try, or of an earlier broker of this name, is kept.
    let from = fs::metadata(log).map_or(0, |log| log.len());
    let says_so = || said_since(log, from).contains(recipe.ready);
    let started = launch(recipe, folder, log, &mut processes)
        .and_then(|()| serves(product, &mut processes, address, log, says_so));
    let goes_on = started.is_ok();
    if tell.send(started).is_ok() && goes_on {
        // Ends when the sender is dropped.
        let _dropped = stopped.recv();
    }
    for mut process in processes.into_iter().rev() {
        let _already_gone = process.kill();
        let _reaped = process.wait();
    }
}

fn launch(
    recipe: &Recipe,
    folder: &Path,
    log: &Path,
    processes: &mut Vec<Child>,
) -> Result<(), ProductError> {
    let files = |source| ProductError::Files { path: log.to_owned(), source };
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).map_err(files)?;
    }
    let log = File::options().create(true).append(true).open(log).map_err(files)?;
    let main = (recipe.program.clone(), recipe.arguments.clone());
    for (program, arguments) in recipe.before.iter().chain([&main]) {
        let mut command = bound_to_us(program, arguments);
        command
            .envs(recipe.environment.iter().map(|(key, value)| (key, value)))
            // Where it leaves what it should not, such as dumps of its memory.
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(files)?)
            .stderr(log.try_clone().map_err(files)?);
        let started = command.spawn();
        processes.push(started.map_err(|error| start_error(&program.to_string_lossy(), error))?);
    }
    Ok(())
}

/// The command, killed by the kernel if this thread ends without having stopped it.
fn bound_to_us(program: &Path, arguments: &[OsString]) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if !setpriv.is_file() {
        let mut command = Command::new(program);
        command.args(arguments);
        return command;
    }
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(arguments);
    command
}

/// Waits until the product says that it listens and `address` takes connections.
fn serves(
    product: Product,
    processes: &mut [Child],
    address: SocketAddr,
    log: &Path,
    says_so: impl Fn() -> bool,
) -> Result<(), ProductError> {
    let deadline = Instant::now() + START_LIMIT;
    let not_ready = |what: String| {
        let log = tail(log);
        Err(ProductError::NotReady { product: product.name(), what, log })
    };
    loop {
        for process in &mut *processes {
            if let Ok(Some(status)) = process.try_wait() {
                return not_ready(format!("ended by itself ({status})"));
            }
        }
        if says_so() && TcpStream::connect_timeout(&address, PROBE_LIMIT).is_ok() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return not_ready(format!("does not listen after {} s", START_LIMIT.as_secs()));
        }
        thread::park_timeout(PROBE_PAUSE);
    }
}

/// What stands in a log behind its first `from` bytes.
pub(super) fn said_since(log: &Path, from: u64) -> String {
    let mut said = Vec::new();
    if let Ok(mut log) = File::open(log) {
        let _from_the_start = log.seek(SeekFrom::Start(from));
        let _as_far_as_it_goes = log.take(LOG_READ).read_to_end(&mut said);
    }
    String::from_utf8_lossy(&said).into_owned()
}

fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let from = bytes.len().saturating_sub(LOG_QUOTE);
    String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).trim().to_owned()
}
