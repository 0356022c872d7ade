//! Whatever bytes a client or a server sends: what reads them comes back, and what it says of them
//! fits together.
//!
//! * [`Stream`] and with it the ClientHello and ServerHello, which every cell and log goes through;
//! * JA3 and JA4 of the ClientHello;
//! * the reader of a live server's answers in `rig capture`.

#![no_main]

#[allow(dead_code, reason = "each target writes its own")]
mod seeds;

// The file alone: its crate builds OpenSSL, which has no part in it.
#[allow(dead_code, reason = "fields that are for capture")]
#[path = "../../../brokers/src/capture/flight.rs"]
mod flight;

use flight::Flight;
use libfuzzer_sys::fuzz_target;
use suites::fingerprint::Fingerprint;
use suites::stream::{RECORD_HEADER, Rest, Stream};

fuzz_target!(init: seeds::records().expect("the seeds are in the repository"), |bytes: &[u8]| {
    let stream = Stream::parse(bytes);
    let mut end = 0;
    for record in &stream.records {
        assert_eq!(record.range.start, end, "records follow each other");
        assert!(record.range.len() >= RECORD_HEADER);
        end = record.range.end;
    }
    // Every byte belongs to a record or to the rest.
    match stream.rest {
        Rest::Nothing => assert_eq!(end, bytes.len()),
        Rest::Partial { have, want } => {
            assert_eq!(end + have, bytes.len());
            assert!(want == 0 || have < want);
        }
        Rest::NotTls { at } => assert_eq!(at, end),
    }
    if let Some(hello) = &stream.client_hello {
        let print = Fingerprint::of(hello);
        assert!(print.ja3.len() == 32 && print.ja4.is_ascii(), "{print:?}");
    }
    if let Some(flight) = Flight::parse(bytes) {
        assert!(flight.longest_record <= bytes.len());
        assert!(flight.cut.is_none_or(|length| length <= flight.longest_record));
    }
});
