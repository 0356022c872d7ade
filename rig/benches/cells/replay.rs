//! The emulator without a rig: the bytes of a cell, written again by a loop that does nothing else.
//!
//! Under a fixed seed the client says the same each time, so what a broker once answered fits again:
//! the emulated core runs the same handshake to its end with no broker, no decoding and no record.
//! The order of exchange is kept by counting frames (each ends in a zero byte): the rig only ever
//! speaks when the DUT waits for it. Bytes would not do, since figures inside of frames vary.

use crate::work::Work;
use anyhow::{Context, Result, ensure};
use rig::board::{Process, qemu};
use rig::firmware::Image;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The DUT's end of the line is a running core: it is never silent for this long within a cell.
const SILENCE: Duration = Duration::from_secs(20);

/// What the rig said in one cell, and when.
pub struct Tape {
    words: Vec<Word>,
    /// Frames that the DUT sends in the whole cell.
    frames: usize,
}

struct Word {
    /// Frames that the DUT has sent before.
    after: usize,
    bytes: Vec<u8>,
}

/// Runs one cell as a session of the rig does, and keeps what passes over the link.
pub fn record(work: &Work, image: &Image) -> Result<Tape> {
    let (process, line) = boot(image)?;
    let (ours, theirs) = UnixStream::pair()?;
    let frames = AtomicUsize::new(0);
    let words = thread::scope(|scope| -> Result<Vec<Word>> {
        let upward = scope.spawn(|| {
            relay(&line, &theirs, |bytes| {
                frames.fetch_add(ends_in(bytes), Ordering::SeqCst);
            })
        });
        let downward = scope.spawn(|| {
            let mut words: Vec<Word> = Vec::new();
            let relayed = relay(&theirs, &line, |bytes| {
                let after = frames.load(Ordering::SeqCst);
                match words.last_mut() {
                    Some(word) if word.after == after => word.bytes.extend_from_slice(bytes),
                    _ => words.push(Word { after, bytes: bytes.to_vec() }),
                }
            });
            relayed.map(|()| words)
        });
        let session = work.session(ours);
        // Both relays end with the streams they read.
        line.shutdown(Shutdown::Both)?;
        theirs.shutdown(Shutdown::Both)?;
        upward.join().ok().context("a relay panicked")??;
        let words = downward.join().ok().context("a relay panicked")??;
        session.map(|()| words)
    })?;
    drop(process);
    Ok(Tape { words, frames: frames.into_inner() })
}

/// Plays the tape `count` times on one fresh emulator and says how long each but the first took:
/// the first one makes the emulator translate the code.
pub fn play(tape: &Tape, image: &Image, count: usize) -> Result<Vec<Duration>> {
    let (_process, mut line) = boot(image)?;
    let mut buffer = vec![0; 16 * 1024];
    let mut took = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        let mut frames = 0;
        for word in &tape.words {
            await_frames(&mut line, &mut buffer, &mut frames, word.after)?;
            line.write_all(&word.bytes)?;
        }
        await_frames(&mut line, &mut buffer, &mut frames, tape.frames)?;
        took.push(began.elapsed());
    }
    took.remove(0);
    Ok(took)
}

/// An emulator that has said its hello.
fn boot(image: &Image) -> Result<(Process, UnixStream)> {
    let (process, mut line) = qemu::boot(image)?;
    line.set_read_timeout(Some(SILENCE))?;
    await_frames(&mut line, &mut [0; 1024], &mut 0, 1)?;
    Ok((process, line))
}

fn await_frames(
    line: &mut UnixStream,
    buffer: &mut [u8],
    frames: &mut usize,
    wanted: usize,
) -> Result<()> {
    while *frames < wanted {
        let count = line.read(buffer).context("the emulated board fell silent")?;
        ensure!(count > 0, "the emulator ended");
        *frames += ends_in(buffer.get(..count).unwrap_or_default());
    }
    ensure!(*frames == wanted, "the client said more than on the tape: it does not repeat");
    Ok(())
}

fn ends_in(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == 0).count()
}

/// Hands bytes on until the stream ends; each is shown before it goes on.
fn relay(mut from: &UnixStream, mut to: &UnixStream, mut show: impl FnMut(&[u8])) -> Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer).context("the line fell silent")?;
        if count == 0 {
            return Ok(());
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        show(bytes);
        to.write_all(bytes)?;
    }
}
