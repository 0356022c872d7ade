//! Frames under bad conditions: whatever arrives, the decoder answers, and it is back in step at
//! the next frame.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are test code"
)]

use proptest::prelude::*;
use wire::frame::{MAX_FRAME, Scratch};
use wire::message::{Closing, LogLine, Phase, PhaseMark};
use wire::{Command, Decoder, Event, Found, FrameError, MAX_MESSAGE, Token, encode};

fn framed<T: serde::Serialize>(token: Token, message: &T) -> Vec<u8> {
    let mut out = vec![0; MAX_FRAME];
    let length = encode(token, message, &mut Scratch::new(), &mut out).unwrap();
    out.truncate(length);
    out
}

/// Everything the decoder makes of `bytes`, fed in pieces of the given sizes: the bytes written by
/// sound `Event::Write` frames, and the number of noises.
fn decode(bytes: &[u8], piece: usize) -> (Vec<(Token, Vec<u8>)>, Vec<FrameError>) {
    let mut decoder = Box::new(Decoder::new());
    let (mut written, mut noises) = (Vec::new(), Vec::new());
    for mut input in bytes.chunks(piece.max(1)) {
        while let Some(found) = decoder.next(&mut input) {
            match found {
                Found::Frame(frame) => match frame.message() {
                    Ok(Event::Write(data)) => written.push((frame.token, data.to_vec())),
                    Ok(_) => {}
                    Err(error) => noises.push(error),
                },
                Found::Noise(error, _) => noises.push(error),
            }
        }
    }
    (written, noises)
}

#[test]
fn a_frame_costs_at_most_14_bytes_over_its_message() {
    let data = [0xa5; 200];
    let bytes = framed(Token(0x0102_0304), &Event::Write(&data));
    // Message: 1 byte for the variant, 2 for the length.
    assert_eq!(bytes.len() - (1 + 2 + data.len()), 1 + 4 + 2 + 4 + 1 + 1);
}

#[test]
fn the_longest_message_fits_and_one_byte_more_does_not() {
    // Variant and a length of two bytes stand before the data.
    let longest = vec![0; MAX_MESSAGE - 3];
    let bytes = framed(Token(1), &Command::Data(&longest));
    assert!(bytes.len() <= MAX_FRAME);
    let too_long = vec![0; MAX_MESSAGE - 2];
    let mut out = vec![0; MAX_FRAME];
    assert_eq!(
        encode(Token(1), &Command::Data(&too_long), &mut Scratch::new(), &mut out),
        Err(FrameError::Message)
    );
}

#[test]
fn text_between_frames_is_handed_on_readable() {
    let mut bytes = framed(Token(1), &Event::Connect);
    bytes.extend_from_slice(b"panicked at main.rs:1\r\n\0");
    bytes.extend(framed(Token(1), &Event::Close));
    let mut decoder = Box::new(Decoder::new());
    let mut input = &bytes[..];
    assert!(matches!(decoder.next(&mut input), Some(Found::Frame(_))));
    let Some(Found::Noise(FrameError::Malformed, text)) = decoder.next(&mut input) else {
        panic!("the text should be noise");
    };
    assert_eq!(text, b"panicked at main.rs:1\r\n");
    assert!(matches!(decoder.next(&mut input), Some(Found::Frame(_))));
    assert!(decoder.next(&mut input).is_none());
}

#[test]
fn a_frame_of_another_protocol_version_says_so() {
    // A sound frame of version 9, built by hand.
    let mut raw = vec![9, 0, 0, 0, 0, 1, 0, 0x2a];
    let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&raw);
    raw.extend_from_slice(&sum.to_le_bytes());
    let mut bytes = vec![0; 64];
    let length = cobs::try_encode(&raw, &mut bytes).unwrap();
    bytes.truncate(length);
    bytes.push(0);
    assert_eq!(decode(&bytes, 7).1, [FrameError::Version(9)]);
}

#[test]
fn an_endless_run_of_bytes_is_reported_once_and_skipped() {
    let mut bytes = vec![b'x'; 3 * MAX_FRAME];
    bytes.push(0);
    bytes.extend(framed(Token(3), &Event::Write(b"after")));
    let (written, noises) = decode(&bytes, 1000);
    assert_eq!(noises, [FrameError::TooLong]);
    assert_eq!(written, [(Token(3), b"after".to_vec())]);
}

#[test]
fn what_a_silent_dut_left_behind_can_be_taken() {
    let mut decoder = Box::new(Decoder::new());
    assert!(decoder.next(&mut &b"U-Boot 1.0\r\nno frames here"[..]).is_none());
    assert_eq!(decoder.take_partial(), b"U-Boot 1.0\r\nno frames here");
    assert_eq!(decoder.take_partial(), b"");
}

proptest! {
    #[test]
    fn frames_survive_any_chunking(
        writes in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..600)), 1..6),
        piece in 1_usize..700,
    ) {
        let mut bytes = Vec::new();
        for (token, data) in &writes {
            bytes.extend(framed(Token(*token), &Event::Write(data)));
        }
        let (written, noises) = decode(&bytes, piece);
        prop_assert!(noises.is_empty());
        let sent: Vec<_> = writes.into_iter().map(|(token, data)| (Token(token), data)).collect();
        prop_assert_eq!(written, sent);
    }

    #[test]
    fn random_bytes_never_panic_and_the_next_frame_is_read(
        noise in prop::collection::vec(any::<u8>(), 0..9000),
        piece in 1_usize..4000,
    ) {
        let mut bytes = noise;
        bytes.push(0);
        bytes.extend(framed(Token(5), &Event::Write(b"in step")));
        let (written, _) = decode(&bytes, piece);
        prop_assert_eq!(written.last(), Some(&(Token(5), b"in step".to_vec())));
    }

    #[test]
    fn a_truncated_frame_costs_no_more_than_itself_and_the_next(
        data in prop::collection::vec(any::<u8>(), 0..300), cut in 0_usize..300,
    ) {
        let whole = framed(Token(1), &Event::Write(&data));
        let mut bytes = whole[..cut.min(whole.len() - 1)].to_vec();
        bytes.extend(framed(Token(2), &Event::Write(b"maybe lost")));
        bytes.extend(framed(Token(3), &Event::Write(b"must arrive")));
        let (written, _) = decode(&bytes, 64);
        prop_assert_eq!(written.last(), Some(&(Token(3), b"must arrive".to_vec())));
        prop_assert!(written.iter().all(|(token, _)| *token != Token(1)));
    }

    #[test]
    fn a_damaged_byte_is_noticed(
        data in prop::collection::vec(any::<u8>(), 1..300), at in any::<prop::sample::Index>(), bit in 0_u32..8,
    ) {
        let mut bytes = framed(Token(1), &Event::Write(&data));
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let (written, _) = decode(&bytes, 64);
        prop_assert!(written.is_empty());
    }

    #[test]
    fn random_messages_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = postcard::from_bytes::<Event>(&bytes);
        let _ = postcard::from_bytes::<Command>(&bytes);
    }
}

#[test]
fn every_small_message_comes_back_as_it_went() {
    let events = [
        Event::Connect,
        Event::Read { at_most: 1024 },
        Event::Log(LogLine { level: 3, file: b"ssl_cli.c", line: 740, text: b"=> write \xff" }),
        Event::Phase(PhaseMark { phase: Phase::ServerHello, compute: 1 << 40, wait: 3 }),
    ];
    for event in events {
        let bytes = framed(Token(9), &event);
        let mut decoder = Box::new(Decoder::new());
        let Some(Found::Frame(frame)) = decoder.next(&mut &bytes[..]) else { panic!("no frame") };
        assert_eq!(frame.message(), Ok(event));
    }
    for command in [Command::Connected, Command::Closed(Closing::Reset), Command::Abort] {
        let bytes = framed(Token(9), &command);
        let mut decoder = Box::new(Decoder::new());
        let Some(Found::Frame(frame)) = decoder.next(&mut &bytes[..]) else { panic!("no frame") };
        assert_eq!(frame.message(), Ok(command));
    }
}
