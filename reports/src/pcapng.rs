//! `capture.pcapng`: a cell as Wireshark opens it, decrypted.
//!
//! ```text
//! CellRecord --comments--> section, interface            what the cell was, verdict, diagnosis
//! Transcript --packets---> per connection: its secrets   Decryption Secrets Block
//!                                          its packets   SYN, bytes as they passed, FIN or RST
//! ```
//!
//! What is real: every TLS byte, which end sent it, in which pieces the rig saw it, and when (to the
//! nanosecond of the host's clock). What is made up: IP and TCP around the bytes. The device speaks
//! over a serial line and its broker is on loopback, so there is no network to be seen; addresses are
//! those that RFC 5737 keeps for documentation, and the broker's port is 8883, by which Wireshark
//! knows MQTT over TLS. The client's port is the real one.
//!
//! The secrets stand right before the packets of their connection and not at the head of the file. A
//! client whose random numbers come from a fixed seed may say the same random number twice, and under
//! one number Wireshark keeps the secret that it read last.
//!
//! The capture is made from record and transcript alone, and the same ones give the same bytes: a kept
//! run can be rendered again.
//!
//! Of the crates that write pcapng, `pcap-file` is the one in common use. It has no type for a
//! Decryption Secrets Block, but writes any block that it is handed. `pcap-parser` has the type, reads
//! with little code and writes with all of `futures`, and its blocks want their lengths set by hand.
//! `etherparse` builds the headers with their checksums and needs no other crate but `arrayvec`.

mod comments;
mod packets;

use crate::record::{self, CellRecord, RecordError};
use crate::transcript::{Secret, Transcript};
use crate::writers::Recorded;
use packets::{Conversation, Packet};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::pcapng::blocks::unknown::UnknownBlock;
use pcap_file::{DataLink, Endianness, PcapError};
use std::io;
use std::path::Path;
use std::time::Duration;

/// Its name in the folder of a cell.
pub const FILE: &str = "capture.pcapng";
/// Block type of a Decryption Secrets Block.
const SECRETS_BLOCK: u32 = 0x0000_000a;
/// Its secrets type for a TLS key log: "TLSK".
const TLS_KEY_LOG: u32 = 0x544c_534b;
/// Timestamps count units of 10 to the minus this: nanoseconds.
const NANOSECONDS: u8 = 9;
/// An option's length has two bytes, and `pcap-file` does not look whether its text is longer.
const COMMENT_MAX: usize = 60_000;

/// The capture of one cell. One that made no connection has a capture without packets.
///
/// # Errors
/// None in practice: writing to memory does not fail, and no packet is longer than IP allows.
pub fn capture(record: &CellRecord, transcript: &Transcript) -> io::Result<Vec<u8>> {
    let seen = packets::conversations(transcript)?;
    let section = SectionHeaderBlock {
        // Everywhere the same, so that a capture does not depend on who rendered it.
        endianness: Endianness::Little,
        options: vec![
            SectionHeaderOption::Comment(comment(&comments::section(record, &seen.loose)).into()),
            SectionHeaderOption::UserApplication(concat!("rig ", env!("CARGO_PKG_VERSION")).into()),
        ],
        ..SectionHeaderBlock::default()
    };
    let mut out = PcapNgWriter::with_section_header(Vec::new(), section).map_err(failed)?;
    let interface = InterfaceDescriptionBlock {
        linktype: DataLink::RAW,
        snaplen: 0,
        options: vec![
            InterfaceDescriptionOption::Comment(
                comment(&comments::interface(record, &seen)).into(),
            ),
            InterfaceDescriptionOption::IfName(comment(&record.board.name).into()),
            InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
        ],
    };
    out.write_pcapng_block(interface).map_err(failed)?;
    for conversation in &seen.conversations {
        if let Some(secrets) = secrets_block(conversation) {
            let length = u32::try_from(secrets.len()).map_err(io::Error::other)?;
            let block = UnknownBlock::new(SECRETS_BLOCK, length, &secrets);
            out.write_pcapng_block(block).map_err(failed)?;
        }
        for packet in &conversation.packets {
            out.write_pcapng_block(packet_block(packet)?).map_err(failed)?;
        }
    }
    Ok(out.into_inner())
}

/// Makes the captures that a run's folder lacks: those that a person deleted, and those of a run that
/// was recorded without. A cell whose transcript is gone, or is none, stays without.
///
/// # Errors
/// [`RecordError`] names the file that cannot be written.
pub fn write_missing(recorded: &Recorded) -> Result<(), RecordError> {
    for record in &recorded.cells {
        let folder = recorded.cell_folder(&record.cell);
        let path = folder.join(FILE);
        if path.exists() {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(folder.join("transcript.jsonl")) else { continue };
        let Ok(transcript) = Transcript::from_jsonl(&text) else { continue };
        write(&path, record, &transcript)?;
    }
    Ok(())
}

/// Writes the capture of one cell.
pub(crate) fn write(
    path: &Path,
    record: &CellRecord,
    transcript: &Transcript,
) -> Result<(), RecordError> {
    capture(record, transcript)
        .and_then(|bytes| std::fs::write(path, bytes))
        .map_err(record::failed("write", path))
}

fn failed(error: PcapError) -> io::Error {
    io::Error::other(error)
}

/// Secrets type, length, key log.
fn secrets_block(conversation: &Conversation) -> Option<Vec<u8>> {
    let mut lines: Vec<_> = conversation.secrets.iter().map(Secret::line).collect();
    // As a rule both ends tell the same.
    lines.sort();
    lines.dedup();
    let mut log = lines.join("\n");
    if log.is_empty() {
        return None;
    }
    log.push('\n');
    let length = u32::try_from(log.len()).ok()?;
    Some([&TLS_KEY_LOG.to_le_bytes()[..], &length.to_le_bytes(), log.as_bytes()].concat())
}

fn packet_block(packet: &Packet) -> io::Result<EnhancedPacketBlock<'_>> {
    let options = packet.comments.iter();
    Ok(EnhancedPacketBlock {
        interface_id: 0,
        timestamp: Duration::from_nanos(packet.unix_ns),
        original_len: u32::try_from(packet.data.len()).map_err(io::Error::other)?,
        data: packet.data.as_slice().into(),
        options: options.map(|text| EnhancedPacketOption::Comment(comment(text).into())).collect(),
    })
}

/// A text as an option takes it: what came from outside is safe to show, and it is not too long.
fn comment(text: &str) -> String {
    let lines: Vec<_> =
        text.lines().map(|line| crate::transcript::printable(line.as_bytes())).collect();
    let mut safe = lines.join("\n");
    if safe.len() > COMMENT_MAX {
        safe.truncate(safe.floor_char_boundary(COMMENT_MAX));
        safe.push_str(" ... (cut)");
    }
    safe
}
