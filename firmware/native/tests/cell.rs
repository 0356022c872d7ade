//! The native DUT on a real pseudo-terminal, driven frame by frame as the rig drives it.
//!
//! The TLS library is whatever build the binary holds; without `RIG_BUILD` that is the forum
//! thread's, `mbedtls-2.4.0/rsa-16384`, whose Suite B preset leaves no cipher suite to offer.

#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may; clippy grants it to functions marked as tests, not to their helpers"
)]

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::error::Error;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command as Process, Stdio};
use std::time::Duration;
use wire::frame::{MAX_FRAME, Scratch, encode};
use wire::message::{
    CellCommand, CellResult, ClockUnit, Closing, Ending, HostName, MaxFragmentLength, Mqtt, Phase,
    Preset, Verify,
};
use wire::{Command, Decoder, Event, Found, Token};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// How long the DUT may be silent, or take to end.
const DEADLINE: Duration = Duration::from_secs(20);

/// `MBEDTLS_ERR_SSL_CONN_EOF`.
const CONN_EOF: i32 = -0x7280;

/// The rig's side: the terminal's master and the process on its slave.
struct Rig {
    port: Option<File>,
    child: Child,
    decoder: Decoder,
    input: Vec<u8>,
}

/// What one cell told.
#[derive(Debug, PartialEq)]
struct Told {
    written: Vec<u8>,
    phases: Vec<Phase>,
    compute: u64,
    wait: u64,
    logs: usize,
    closed: bool,
    result: CellResult,
}

impl Rig {
    /// Starts the DUT and waits until it has said hello.
    fn start() -> Outcome<Self> {
        // Closed on exec: a DUT that holds its own line's other end never sees a hang-up.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let path = ptsname(&master, Vec::new())?;
        let path = OsStr::from_bytes(path.as_bytes());
        // A master without any slave reports a hang-up, so keep one until the DUT has its own.
        let no_control = OFlags::NOCTTY.bits().cast_signed();
        let slave = OpenOptions::new().read(true).custom_flags(no_control).open(path)?;
        let child =
            Process::new(env!("CARGO_BIN_EXE_native")).arg(path).stdin(Stdio::null()).spawn()?;
        let mut rig =
            Self { port: Some(master.into()), child, decoder: Decoder::new(), input: Vec::new() };
        let library = rig.next(|token, event| match event {
            Event::Identity(identity) => {
                assert_eq!(token, Token::NONE);
                assert_eq!((identity.board, identity.clock), ("native", ClockUnit::Nanoseconds));
                identity.library.to_owned()
            }
            other => panic!("before the hello came {other:?}"),
        })?;
        assert!(library.starts_with("mbed TLS "), "{library}");
        drop(slave);
        Ok(rig)
    }

    fn port(&mut self) -> Outcome<&mut File> {
        Ok(self.port.as_mut().ok_or("the line is closed")?)
    }

    fn send(&mut self, token: Token, command: &Command<'_>) -> Outcome {
        let (mut scratch, mut out) = (Scratch::new(), [0; MAX_FRAME]);
        let length = encode(token, command, &mut scratch, &mut out)?;
        Ok(self.port()?.write_all(&out[..length])?)
    }

    /// Waits for the next frame. Noise fails the test: a pseudo-terminal loses nothing.
    fn next<T>(&mut self, take: impl FnOnce(Token, Event<'_>) -> T) -> Outcome<T> {
        loop {
            let mut rest = self.input.as_slice();
            let before = rest.len();
            let found = self.decoder.next(&mut rest);
            let taken = before - rest.len();
            match found {
                Some(Found::Frame(frame)) => {
                    let told = take(frame.token, frame.message()?);
                    self.input.drain(..taken);
                    return Ok(told);
                }
                Some(Found::Noise(error, bytes)) => {
                    return Err(format!("{error}: {}", bytes.escape_ascii()).into());
                }
                None => {}
            }
            let mut buffer = [0; 4096];
            let port = self.port()?;
            wait_for("a frame", port)?;
            let count = port.read(&mut buffer)?;
            self.input.clear();
            self.input.extend_from_slice(&buffer[..count]);
        }
    }

    /// Runs one cell against a broker that answers every read with this.
    fn run(&mut self, token: Token, cell: CellCommand<'_>, answer: &Command<'_>) -> Outcome<Told> {
        self.send(token, &Command::Run(cell))?;
        self.follow(token, answer)
    }

    fn follow(&mut self, token: Token, answer: &Command<'_>) -> Outcome<Told> {
        let (mut written, mut phases, mut logs, mut closed) = (Vec::new(), Vec::new(), 0, false);
        let (mut compute, mut wait) = (0, 0);
        loop {
            enum Step {
                Nothing,
                Connected,
                Answer,
                Done(CellResult),
            }
            let step = self.next(|theirs, event| {
                assert_eq!(theirs, token);
                match event {
                    Event::Connect => return Step::Connected,
                    Event::Read { at_most } => {
                        assert!(at_most > 0);
                        return Step::Answer;
                    }
                    Event::Done(result) => return Step::Done(result),
                    Event::Write(bytes) => written.extend_from_slice(bytes),
                    Event::Close => closed = true,
                    Event::Log(_) => logs += 1,
                    Event::Phase(mark) => {
                        phases.push(mark.phase);
                        compute += mark.compute;
                        wait += mark.wait;
                    }
                    Event::Secret(_) => panic!("a secret before anything was agreed on"),
                    Event::Identity(_) => panic!("an identity in the middle of a cell"),
                }
                Step::Nothing
            })?;
            match step {
                Step::Nothing => {}
                Step::Connected => self.send(token, &Command::Connected)?,
                Step::Answer => self.send(token, answer)?,
                Step::Done(result) => {
                    return Ok(Told { written, phases, compute, wait, logs, closed, result });
                }
            }
        }
    }

    /// Hangs up and waits for the DUT to end by itself.
    fn hang_up(mut self) -> Outcome {
        self.port = None;
        let pid = Pid::from_child(&self.child);
        wait_for("the DUT's end", &pidfd_open(pid, PidfdFlags::empty())?)?;
        let status = self.child.wait()?;
        assert!(status.success(), "{status}");
        Ok(())
    }
}

fn wait_for(what: &str, source: &impl AsFd) -> Outcome {
    let patience = Timespec::try_from(DEADLINE)?;
    match poll(&mut [PollFd::new(source, PollFlags::IN)], Some(&patience))? {
        0 => Err(format!("waited {DEADLINE:?} for {what}").into()),
        _ => Ok(()),
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // After a test that went well it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn suite_b() -> CellCommand<'static> {
    CellCommand {
        seed: 1,
        preset: Preset::SuiteB,
        min_version: None,
        max_version: None,
        cipher_suites: None,
        verify: Verify::None,
        ca: &[],
        host_name: HostName::NotSet,
        max_fragment_length: MaxFragmentLength::AsSdk,
        extended_master_secret: true,
        encrypt_then_mac: true,
        session_tickets: true,
        reconnect: false,
        own_certificate: None,
        psk: None,
        log_level: 0,
        log_only: "",
        mqtt: Mqtt { client_id: "rig", topic: "rig/echo", payload: b"hello" },
    }
}

fn forum_build() -> CellCommand<'static> {
    CellCommand { preset: Preset::Default, ..suite_b() }
}

/// What remains of a cell when its times, which no two runs share, are taken out.
fn timeless(told: Told) -> Told {
    let result = CellResult { compute: 0, wait: 0, ..told.result };
    Told { compute: 0, wait: 0, result, ..told }
}

#[test]
fn suite_b_offers_nothing_and_fails_at_the_server_hello() -> Outcome {
    let mut rig = Rig::start()?;
    let told = rig.run(Token(1), suite_b(), &Command::Closed(Closing::Fin))?;
    assert_eq!(told.result.ending, Ending::Tls(CONN_EOF));
    assert_eq!(told.result.stage, Phase::ServerHello);
    assert_eq!((told.result.version, told.result.cipher_suite), (None, None));
    assert_eq!((told.result.verify_flags, told.result.connack), (None, None));
    assert_eq!(told.result.dropped_frames, 0);
    assert!(told.closed);
    assert_eq!(
        told.phases,
        [
            Phase::TcpConnect,
            Phase::Setup,
            Phase::HelloRequest,
            Phase::ClientHello,
            Phase::ServerHello
        ]
    );
    assert_eq!((told.result.compute, told.result.wait), (told.compute, told.wait));
    // Whole record buffers are a part of the heap: 2 x 16 KiB in this build.
    assert!(told.result.heap_peak > 32 * 1024, "{}", told.result.heap_peak);
    assert_eq!(told.result.stack_peak, None);

    // Record header 5, handshake header 4, version 2, random 32, empty session identifier 1; then
    // the suites: length 2 and the renegotiation marker alone.
    let hello = &told.written;
    assert_eq!(hello.len(), 74, "{}", hello.escape_ascii());
    assert_eq!(hello[..3], [0x16, 0x03, 0x03]);
    assert_eq!(hello[43..48], [0x00, 0x00, 0x02, 0x00, 0xff]);
    rig.hang_up()
}

#[test]
fn fifty_cells_are_alike() -> Outcome {
    let mut rig = Rig::start()?;
    // A log makes the cells longer than the line's buffers.
    let cell = CellCommand { log_level: 3, ..suite_b() };
    let first = timeless(rig.run(Token(1), cell.clone(), &Command::Closed(Closing::Fin))?);
    assert!(first.logs > 0);
    for token in 2..=50 {
        let next = rig.run(Token(token), cell.clone(), &Command::Closed(Closing::Fin))?;
        assert_eq!(timeless(next), first);
    }
    rig.hang_up()
}

#[test]
fn a_filtered_log_holds_what_was_asked_for_and_the_errors() -> Outcome {
    let mut rig = Rig::start()?;
    let fin = Command::Closed(Closing::Fin);
    let logged = |log_only| CellCommand { log_level: 4, log_only, ..suite_b() };
    let all = rig.run(Token(1), logged(""), &fin)?.logs;
    let errors = rig.run(Token(2), logged("no line says this\n\n"), &fin)?.logs;
    let quoted = rig.run(Token(3), logged("no line says this\ngot 1 ciphersuites"), &fin)?.logs;
    // The library's word for the end of the handshake, and the DUT's own.
    assert!(0 < errors && errors < all, "{errors} of {all} lines");
    assert_eq!(quoted, errors + 1);
    rig.hang_up()
}

#[test]
fn another_seed_gives_another_random() -> Outcome {
    let mut rig = Rig::start()?;
    let fin = Command::Closed(Closing::Fin);
    let one = rig.run(Token(1), suite_b(), &fin)?.written;
    let two = rig.run(Token(2), CellCommand { seed: 2, ..suite_b() }, &fin)?.written;
    assert_eq!(one.len(), two.len());
    assert_ne!(one, two);
    rig.hang_up()
}

#[test]
fn a_reset_and_an_abort_are_told_apart() -> Outcome {
    let mut rig = Rig::start()?;
    let reset = rig.run(Token(1), forum_build(), &Command::Closed(Closing::Reset))?.result;
    assert_eq!((reset.ending, reset.stage), (Ending::Tls(-0x0050), Phase::ServerHello));
    let aborted = rig.run(Token(2), forum_build(), &Command::Abort)?.result;
    assert_eq!((aborted.ending, aborted.stage), (Ending::Aborted, Phase::ServerHello));
    // Bytes that are no TLS, left over in the client when it fails, do not reach the next cell.
    let noise = rig.run(Token(3), forum_build(), &Command::Data(&[0x48; 1024]))?.result;
    assert!(matches!(noise.ending, Ending::Tls(_)), "{noise:?}");
    let again = rig.run(Token(4), forum_build(), &Command::Closed(Closing::Reset))?.result;
    assert_eq!((again.ending, again.stage), (reset.ending, reset.stage));
    rig.hang_up()
}

#[test]
fn strangers_and_damage_are_dropped_and_counted() -> Outcome {
    let mut rig = Rig::start()?;
    // Damage while idle, an answer nobody awaits, and strangers between question and answer.
    rig.port()?.write_all(b"\0\x05no frame at all\0\xff\xff\0")?;
    rig.send(Token(8), &Command::Connected)?;
    rig.send(Token(9), &Command::Run(suite_b()))?;
    rig.send(Token(8), &Command::ConnectFailed)?;
    rig.send(Token(8), &Command::Run(suite_b()))?;
    rig.send(Token(9), &Command::Data(b"nobody asked"))?;
    rig.port()?.write_all(b"\x01\x02\0")?;
    let told = rig.follow(Token(9), &Command::Closed(Closing::Fin))?;
    assert_eq!(
        (told.result.ending, told.result.stage),
        (Ending::Tls(CONN_EOF), Phase::ServerHello)
    );
    assert_eq!(told.result.dropped_frames, 2 + 1 + 3 + 1);

    // The count starts again, and a question is answered under its own token.
    rig.send(Token(77), &Command::Identify)?;
    let token = rig.next(|token, event| matches!(event, Event::Identity(_)).then_some(token))?;
    assert_eq!(token, Some(Token(77)));
    let told = rig.run(Token(10), suite_b(), &Command::Closed(Closing::Fin))?;
    assert_eq!(told.result.dropped_frames, 0);
    rig.hang_up()
}

#[test]
fn no_connection_and_nothing_to_close() -> Outcome {
    let mut rig = Rig::start()?;
    rig.send(Token(1), &Command::Run(suite_b()))?;
    assert!(rig.next(|_, event| matches!(event, Event::Connect))?);
    rig.send(Token(1), &Command::ConnectFailed)?;
    let told = rig.follow(Token(1), &Command::Abort)?;
    assert_eq!(told.result.ending, Ending::NotConnected);
    assert_eq!(told.result.stage, Phase::TcpConnect);
    assert_eq!(told.phases, [Phase::TcpConnect]);
    assert!(!told.closed);
    assert!(told.written.is_empty());
    rig.hang_up()
}
