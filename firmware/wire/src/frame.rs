//! One message in one frame, and frames found again in a byte stream.
//!
//! Before COBS a frame is, in this order and little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | protocol version, [`PROTOCOL_VERSION`] |
//! | 4 | token of the cell this frame belongs to, [`Token`] |
//! | 2 | length of the message in bytes |
//! | n | the message, `postcard` encoded |
//! | 4 | CRC-32 (ISO-HDLC) of all bytes before it |
//!
//! COBS then removes every 0x00, and one 0x00 ends the frame. A reader that joins in the middle,
//! or that lost a byte, is back in step at the next 0x00. What could not be read is handed on as
//! [`Found::Noise`], never swallowed: a boot message or a panic text of the DUT arrives that way.

use serde::{Deserialize, Serialize};

/// Version of frame layout and messages. Both sides must agree; there is no negotiation.
pub const PROTOCOL_VERSION: u8 = 5;

/// Longest encoded message in bytes. A cell's command carries a CA certificate, so it is roomy.
pub const MAX_MESSAGE: usize = 6 * 1024;

const HEADER: usize = 1 + 4 + 2;
const TRAILER: usize = 4;
const RAW_MAX: usize = HEADER + MAX_MESSAGE + TRAILER;

/// Longest frame on the line in bytes, COBS overhead and final 0x00 included.
pub const MAX_FRAME: usize = RAW_MAX + RAW_MAX.div_ceil(254) + 1;

/// The checksum of a frame.
pub const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// Names the cell that a frame belongs to.
///
/// The rig picks one at random for each cell. A frame that carries another token is left over from
/// an earlier cell: it is dropped and counted, so one bad moment cannot shift later results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Token(pub u32);

impl Token {
    /// What the DUT uses before it has been given a cell.
    pub const NONE: Self = Self(0);
}

/// One frame whose length, version and CRC are right. The message is still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The cell it belongs to.
    pub token: Token,
    message: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Decodes the message.
    ///
    /// # Errors
    /// [`FrameError::Message`] if the bytes are not a message of this protocol version.
    pub fn message<T: Deserialize<'a>>(&self) -> Result<T, FrameError> {
        postcard::from_bytes(self.message).map_err(|_| FrameError::Message)
    }
}

/// Why bytes could not be read as a frame, or a message not be packed into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// The bytes up to the 0x00 are not COBS, or too few for a header.
    Malformed,
    /// The length field disagrees with the bytes that came.
    Length,
    /// The CRC does not match: a byte was damaged or lost.
    Checksum,
    /// The other side speaks another protocol version, the one given.
    Version(u8),
    /// More bytes without a 0x00 than any frame has.
    TooLong,
    /// The message cannot be decoded, or does not fit into [`MAX_MESSAGE`] bytes.
    Message,
}

impl core::fmt::Display for FrameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Malformed => f.write_str("bytes that are not a frame"),
            Self::Length => f.write_str("a frame whose length field is wrong"),
            Self::Checksum => f.write_str("a frame with a wrong checksum"),
            Self::Version(theirs) => write!(
                f,
                "a frame of link protocol version {theirs}, where this side speaks {PROTOCOL_VERSION}"
            ),
            Self::TooLong => f.write_str("a run of bytes longer than any frame"),
            Self::Message => f.write_str("a frame whose message cannot be read"),
        }
    }
}

impl core::error::Error for FrameError {}

/// Packs one message into `out` and returns the number of bytes to send.
///
/// `out` must hold [`MAX_FRAME`] bytes to be sure that every message fits.
///
/// # Errors
/// [`FrameError::Message`] if the message is longer than [`MAX_MESSAGE`] or `out` is too short.
pub fn encode<T: Serialize>(
    token: Token,
    message: &T,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Result<usize, FrameError> {
    let raw = &mut scratch.0;
    let length = {
        let (_, body) = raw.split_at_mut(HEADER);
        let (body, _) = body.split_at_mut(MAX_MESSAGE);
        postcard::to_slice(message, body).map_err(|_| FrameError::Message)?.len()
    };
    let short = u16::try_from(length).map_err(|_| FrameError::Message)?;
    copy(raw, 0, &[PROTOCOL_VERSION])?;
    copy(raw, 1, &token.0.to_le_bytes())?;
    copy(raw, 5, &short.to_le_bytes())?;
    let end = HEADER + length;
    let sum = CRC.checksum(raw.get(..end).ok_or(FrameError::Message)?);
    copy(raw, end, &sum.to_le_bytes())?;
    let whole = raw.get(..end + TRAILER).ok_or(FrameError::Message)?;
    let coded = cobs::try_encode(whole, out).map_err(|_| FrameError::Message)?;
    *out.get_mut(coded).ok_or(FrameError::Message)? = 0;
    Ok(coded + 1)
}

fn copy(into: &mut [u8], at: usize, from: &[u8]) -> Result<(), FrameError> {
    into.get_mut(at..at + from.len()).ok_or(FrameError::Message)?.copy_from_slice(from);
    Ok(())
}

/// Working memory for [`encode`]; kept by the caller because a DUT's stack is small.
pub struct Scratch([u8; RAW_MAX]);

impl Scratch {
    /// Zeroed memory.
    #[must_use]
    pub const fn new() -> Self {
        Self([0; RAW_MAX])
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// What a stretch of incoming bytes turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// A sound frame.
    Frame(Frame<'a>),
    /// Bytes that are no sound frame, and why. They are as they came, apart from the COBS code
    /// bytes of a frame that failed a later check; plain text stays readable.
    Noise(FrameError, &'a [u8]),
}

/// Finds frames in a byte stream.
pub struct Decoder {
    held: [u8; MAX_FRAME],
    used: usize,
    /// The run of bytes is too long for a frame; drop up to the next 0x00.
    skipping: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// An empty decoder, in step.
    #[must_use]
    pub const fn new() -> Self {
        Self { held: [0; MAX_FRAME], used: 0, skipping: false }
    }

    /// Takes bytes from `input` up to the end of the next frame and says what they were.
    ///
    /// `None` means that all of `input` was taken and more is needed. Call it until then:
    ///
    /// ```
    /// # use wire::{Decoder, Found, Token, Command, frame::{encode, Scratch, MAX_FRAME}};
    /// # let (mut scratch, mut out) = (Scratch::new(), [0; MAX_FRAME]);
    /// # let n = encode(Token(7), &Command::Identify, &mut scratch, &mut out).unwrap();
    /// let mut decoder = Decoder::new();
    /// let mut input = &out[..n];
    /// while let Some(found) = decoder.next(&mut input) {
    ///     let Found::Frame(frame) = found else { panic!("noise") };
    ///     assert_eq!(frame.token, Token(7));
    ///     assert!(matches!(frame.message(), Ok(Command::Identify)));
    /// }
    /// ```
    pub fn next(&mut self, input: &mut &[u8]) -> Option<Found<'_>> {
        loop {
            let zero = memchr::memchr(0, input);
            let (run, rest) = match zero {
                Some(at) => (input.get(..at)?, input.get(at + 1..)?),
                None => (*input, &[][..]),
            };
            let room = self.held.get_mut(self.used..)?;
            let fits = run.len().min(room.len());
            room.get_mut(..fits)?.copy_from_slice(run.get(..fits)?);
            self.used += fits;
            *input = rest;
            if fits < run.len() && !self.skipping {
                // Hand on what is held, once, and drop the rest of this run.
                self.skipping = zero.is_none();
                let used = core::mem::take(&mut self.used);
                return Some(Found::Noise(FrameError::TooLong, self.held.get(..used)?));
            }
            zero?;
            let used = core::mem::take(&mut self.used);
            if core::mem::take(&mut self.skipping) || used == 0 {
                // The tail of a run already reported, or a lone 0x00 sent to get back in step.
                continue;
            }
            return Some(check(self.held.get_mut(..used)?));
        }
    }

    /// Bytes received since the last frame's end: an unfinished frame, or text of a DUT that does
    /// not speak frames. For messages to the user; taking it empties the decoder.
    pub fn take_partial(&mut self) -> &[u8] {
        self.skipping = false;
        let used = core::mem::take(&mut self.used);
        self.held.get(..used).unwrap_or_default()
    }
}

fn check(held: &mut [u8]) -> Found<'_> {
    // Decoding in place destroys text that only looked like COBS, so look before touching it.
    if !is_cobs(held) {
        return Found::Noise(FrameError::Malformed, held);
    }
    let Ok(report) = cobs::decode_in_place(held) else {
        return Found::Noise(FrameError::Malformed, held);
    };
    let raw = held.get(..report).unwrap_or_default();
    match parse(raw) {
        Ok(frame) => Found::Frame(frame),
        Err(error) => Found::Noise(error, raw),
    }
}

/// Whether the code bytes lead exactly to the end.
fn is_cobs(held: &[u8]) -> bool {
    let mut at = 0;
    while let Some(&code) = held.get(at) {
        at += usize::from(code);
    }
    at == held.len()
}

fn parse(raw: &[u8]) -> Result<Frame<'_>, FrameError> {
    let (head, rest) = raw.split_first_chunk::<HEADER>().ok_or(FrameError::Malformed)?;
    let (message, sum) = rest.split_last_chunk::<TRAILER>().ok_or(FrameError::Malformed)?;
    let [version, t0, t1, t2, t3, l0, l1] = *head;
    let covered = raw.get(..raw.len() - TRAILER).ok_or(FrameError::Malformed)?;
    if CRC.checksum(covered) != u32::from_le_bytes(*sum) {
        return Err(FrameError::Checksum);
    }
    // Only a frame that arrived whole may speak of its version.
    if version != PROTOCOL_VERSION {
        return Err(FrameError::Version(version));
    }
    if usize::from(u16::from_le_bytes([l0, l1])) != message.len() {
        return Err(FrameError::Length);
    }
    Ok(Frame { token: Token(u32::from_le_bytes([t0, t1, t2, t3])), message })
}
