//! A recorded ClientHello, decoded for a reader.

use crate::diagnosis::suite_text;
use crate::record::HelloRecord;
use crate::text::shorten;
use data_encoding::HEXLOWER;
use suites::hello::ClientHello;
use suites::names;
use suites::stream::Stream;

/// A row of the table: what is offered, and the values in the order sent.
pub(super) struct Offer {
    pub what: &'static str,
    pub values: Vec<String>,
}

/// What the hello offers. What the record holds in words is taken from there; groups and signature
/// algorithms are decoded from its bytes.
pub(super) fn offers(record: &HelloRecord) -> Vec<Offer> {
    let bytes = HEXLOWER.decode(record.record_hex.as_bytes()).unwrap_or_default();
    let hello = Stream::parse(&bytes).client_hello;
    let shown = |texts: &[String]| texts.iter().map(|text| shorten(text, 200).into()).collect();
    let mut offers = vec![Offer { what: "Versions", values: shown(&record.versions) }];
    let suites = match &hello {
        Some(hello) => hello.cipher_suites.iter().map(|suite| suite_text(*suite)).collect(),
        None => shown(&record.suites),
    };
    offers.push(Offer { what: "Cipher suites", values: suites });
    if let Some(hello) = &hello {
        offers.extend(decoded(hello));
    }
    offers.push(Offer { what: "Extensions", values: shown(&record.extensions) });
    let name = record.sni.as_deref().map_or_else(|| "none sent".to_owned(), quoted);
    offers.push(Offer { what: "server_name", values: vec![name] });
    for (what, print) in [("JA3", &record.ja3), ("JA4", &record.ja4)] {
        if !print.is_empty() {
            offers.push(Offer { what, values: vec![shorten(print, 100).into()] });
        }
    }
    offers
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", shorten(name, 300))
}

fn decoded(hello: &ClientHello) -> Vec<Offer> {
    let mut offers = Vec::new();
    if let Some(groups) = &hello.groups {
        let name =
            |group: &_| names::group_name(*group).map_or_else(|| group.to_string(), Into::into);
        offers.push(Offer { what: "Groups", values: groups.iter().map(name).collect() });
    }
    if let Some(schemes) = &hello.signature_algorithms {
        let name = |scheme: &u16| {
            names::signature_scheme_name(*scheme)
                .map_or_else(|| format!("{scheme:#06x}"), Into::into)
        };
        let values = schemes.iter().map(name).collect();
        offers.push(Offer { what: "Signature algorithms", values });
    }
    if let Some(code) = hello.max_fragment_length {
        let bytes = 256_u32.checked_shl(code.into()).filter(|_| (1..=4).contains(&code));
        let value = bytes.map_or_else(|| format!("code {code}"), |bytes| format!("{bytes} bytes"));
        offers.push(Offer { what: "max_fragment_length", values: vec![value] });
    }
    offers
}
