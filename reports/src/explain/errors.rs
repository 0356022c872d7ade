//! Errors of mbedTLS, decoded: a number into the names that 2.x and 3.x have for it.
//!
//! An error is a negative number below 0x8000. Bits 7 to 14 are the error of an upper module (X509,
//! SSL, PK ...), bits 0 to 6 that of a module below it (ASN1, OID, MPI ...), and a number may join
//! both: -0x262E is -0x2600 (X509) with -0x002E (OID).
//!
//! The functions of PSA have statuses of their own, -132 to -153, which come through 3.x here and
//! there and are what newer releases return everywhere.

mod table;

use table::{Entry, TABLE};
use wire::tls::AlertDescription;

/// In which of the versions that the rig knows a number has a name: 2.4, 2.16, 2.28, 3.6 from bit 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions(u8);

impl Versions {
    /// mbedTLS 2.4, 2.16 and 2.28.
    pub const TWO: Self = Self(0b0111);
    /// mbedTLS 3.6.
    pub const THREE: Self = Self(0b1000);
    /// All of them.
    pub const ALL: Self = Self(0b1111);

    /// Whether both have a version in common.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The bits of an upper module's error.
const HIGH: i32 = 0x7f80;
/// The bits of a lower module's error.
const LOW: i32 = 0x007f;

/// Statuses of PSA without the minus sign, and what they mean where the name does not say it.
/// Source: PSA Certified Crypto API 1.1, section 7.4.
const PSA: [(i32, &str, &str); 21] = [
    (132, "GENERIC_ERROR", ""),
    (133, "NOT_PERMITTED", "the key's policy does not allow it"),
    (134, "NOT_SUPPORTED", "this build has no code for the algorithm or key"),
    (135, "INVALID_ARGUMENT", ""),
    (136, "INVALID_HANDLE", "no such key"),
    (137, "BAD_STATE", "psa_crypto_init was not called, or a call came out of order"),
    (138, "BUFFER_TOO_SMALL", ""),
    (139, "ALREADY_EXISTS", ""),
    (140, "DOES_NOT_EXIST", ""),
    (141, "INSUFFICIENT_MEMORY", "no memory left"),
    (142, "INSUFFICIENT_STORAGE", ""),
    (143, "INSUFFICIENT_DATA", ""),
    (145, "COMMUNICATION_FAILURE", "the secure element or the secure side did not answer"),
    (146, "STORAGE_FAILURE", ""),
    (147, "HARDWARE_FAILURE", "the crypto hardware failed"),
    (148, "INSUFFICIENT_ENTROPY", "no random numbers"),
    (149, "INVALID_SIGNATURE", ""),
    (150, "INVALID_PADDING", ""),
    (151, "CORRUPTION_DETECTED", ""),
    (152, "DATA_CORRUPT", ""),
    (153, "DATA_INVALID", ""),
];

/// Name and meaning of a status of PSA.
fn psa(number: i32) -> Option<(&'static str, &'static str)> {
    PSA.iter().find(|(known, ..)| *known == number).map(|(_, name, meaning)| (*name, *meaning))
}

/// Whether the number (positive, as after the minus sign) is a status of PSA.
#[must_use]
pub fn is_psa(number: i32) -> bool {
    psa(number).is_some()
}

/// The number of an error by its name without `MBEDTLS_ERR_`, or of a status of PSA by its
/// whole name.
#[must_use]
pub fn named(name: &str) -> Option<i32> {
    match name.strip_prefix("PSA_ERROR_") {
        Some(status) => {
            PSA.iter().find(|(_, known, _)| *known == status).map(|(number, ..)| *number)
        }
        None => {
            TABLE.iter().find(|Entry(_, known, ..)| *known == name).map(|Entry(number, ..)| *number)
        }
    }
}

/// Names of one part of an error, and what it means.
fn part(number: i32, versions: Versions) -> Option<(String, &'static str)> {
    let from = TABLE.partition_point(|Entry(known, ..)| *known < number);
    let same = TABLE.iter().skip(from).take_while(|Entry(known, ..)| *known == number);
    let entries: Vec<_> = same.filter(|Entry(_, _, of, _)| of.meets(versions)).collect();
    let Some(Entry(_, first, _, meaning)) = entries.first() else {
        return psa(number).map(|(name, meaning)| (format!("PSA_ERROR_{name}"), meaning));
    };
    let mut names = format!("MBEDTLS_ERR_{first}");
    for Entry(_, name, of, _) in entries.iter().skip(1) {
        let whose = if of.meets(Versions::THREE) { "3.x" } else { "2.x" };
        names.push_str(&format!(", in {whose} MBEDTLS_ERR_{name}"));
    }
    Some((names, meaning))
}

/// Whether mbedTLS has an error of this number (positive, as after the minus sign).
#[must_use]
pub fn is_known(number: i32) -> bool {
    let has = |number| part(number, Versions::ALL).is_some();
    has(number)
        || (number & HIGH != 0 && number & LOW != 0 && has(number & HIGH) && has(number & LOW))
}

/// The error by number and names, with what it means where the name does not say it: for example
/// `-0x7280 MBEDTLS_ERR_SSL_CONN_EOF (the other end closed the TCP connection)`.
#[must_use]
pub fn describe(error: i32, versions: Versions) -> String {
    let number = error.unsigned_abs().cast_signed();
    let with_meaning = |(names, meaning): (String, &str)| match meaning {
        "" => names,
        meaning => format!("{names} ({meaning})"),
    };
    let named = part(number, versions).or_else(|| part(number, Versions::ALL));
    if let (true, Some(named)) = (is_psa(number), &named) {
        return format!("-{number} {}", with_meaning(named.clone()));
    }
    let text = named.map(with_meaning).unwrap_or_else(|| {
        if let Some(sum) = sum(number, versions) {
            return sum;
        }
        if number > HIGH | LOW {
            return "(no error that mbedTLS has a name for)".to_owned();
        }
        let parts = [number & HIGH, number & LOW].into_iter().filter(|number| *number != 0);
        let parts: Vec<_> = parts
            .map(|number| {
                let named = part(number, versions).or_else(|| part(number, Versions::ALL));
                named.map_or_else(|| format!("unknown -0x{number:04X}"), with_meaning)
            })
            .collect();
        parts.join(" with ")
    });
    format!("-0x{number:04X} {text}")
}

/// What RSA makes of an error of its own within another: the sum of both (`rsa.c`, for example where
/// `mbedtls_rsa_private` does not come to the same when it checks its result).
fn sum(number: i32, versions: Versions) -> Option<String> {
    const RSA: [&str; 2] = ["RSA_PRIVATE_FAILED", "RSA_PUBLIC_FAILED"];
    if number <= HIGH | LOW {
        return None;
    }
    RSA.into_iter().find_map(|name| {
        // An application may have numbers of its own out here.
        let (names, _) = part(number - named(name)?, versions)?;
        let within = names.starts_with("MBEDTLS_ERR_RSA_");
        within.then(|| format!("MBEDTLS_ERR_{name} with {names}"))
    })
}

/// The error's names, one for each of its parts and for each version that calls it otherwise; none
/// if it is unknown.
#[must_use]
pub fn names(error: i32, versions: Versions) -> Vec<String> {
    let number = error.unsigned_abs().cast_signed();
    let named = |number: i32| {
        let of = |versions: Versions| {
            let fits =
                move |Entry(known, _, of, _): &&Entry| *known == number && of.meets(versions);
            let names = TABLE.iter().filter(fits).map(|Entry(_, name, ..)| *name);
            names.map(|name| format!("MBEDTLS_ERR_{name}")).collect::<Vec<_>>()
        };
        let names = of(versions);
        if names.is_empty() { of(Versions::ALL) } else { names }
    };
    let whole = named(number);
    match whole.is_empty() {
        true => [named(number & HIGH), named(number & LOW)].concat(),
        false => whole,
    }
}

/// Whether the error, or either of its parts, bears a name that ends in `ending`.
#[must_use]
pub fn is_called(error: i32, ending: &str) -> bool {
    let number = error.unsigned_abs().cast_signed();
    if let Some((name, _)) = psa(number) {
        return name.ends_with(ending);
    }
    let called = |number: i32| {
        TABLE.iter().any(|Entry(known, name, ..)| *known == number && name.ends_with(ending))
    };
    called(number) || (!is_exact(number) && (called(number & HIGH) || called(number & LOW)))
}

/// Whether it is one error, and not an upper module's joined with a lower one's.
#[must_use]
pub fn is_exact(number: i32) -> bool {
    part(number, Versions::ALL).is_some()
}

/// Every name of the table with its number and versions, for the test that reads the headers.
pub fn all() -> impl Iterator<Item = (i32, &'static str, [bool; 4])> {
    TABLE.iter().map(|Entry(number, name, of, _)| {
        (*number, *name, [0, 1, 2, 3].map(|bit| of.0 & (1 << bit) != 0))
    })
}

/// What an alert means to a client that gets it, where its name alone does not say what to do.
#[must_use]
pub fn alert_meaning(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert.0 {
        20 => "a record's checksum does not fit",
        40 => "no cipher suite, curve, signature or client certificate that suits the broker",
        42..=46 => "the broker does not accept the client's certificate",
        48 => "the broker does not know who signed the client's certificate",
        49 => "the certificate is good, and access is refused all the same",
        70 => "the broker serves none of the versions offered",
        71 => "the broker wants stronger cipher suites",
        80 => "something broke within the broker",
        112 => "the broker does not know the server name, or wants to be given one",
        115 => "the broker does not know the pre-shared key's identity",
        116 => "the broker wants a client certificate",
        120 => "the broker wants another application protocol (ALPN)",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_may_have_two_names() {
        let text = [0x7280, 0x7a00, 0x6600, 0x262e, 0x002e, 0x5001, 0x0016, 0x8680, 0x8123]
            .map(|number| {
                format!(
                    "{}\n    in 2.x {}\n    in 3.x {}\n",
                    describe(-number, Versions::ALL),
                    describe(-number, Versions::TWO),
                    describe(-number, Versions::THREE)
                )
            })
            .concat();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn the_table_is_sorted_and_all_of_it_is_found() {
        assert!(TABLE.is_sorted_by_key(|Entry(number, ..)| *number));
        for Entry(number, name, ..) in TABLE {
            assert!(describe(-number, Versions::ALL).contains(name), "{name}");
        }
    }

    #[test]
    fn names_are_those_of_both_parts_and_of_both_lines() {
        let all = |error| names(error, Versions::ALL).join(" ");
        assert_eq!(all(-0x7280), "MBEDTLS_ERR_SSL_CONN_EOF");
        assert_eq!(all(-0x262e), "MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG MBEDTLS_ERR_OID_NOT_FOUND");
        assert!(names(-0x7a00, Versions::ALL).len() > 1 || names(-0x6600, Versions::ALL).len() > 1);
        assert_eq!(names(-0x5000, Versions::ALL), Vec::<String>::new());
    }

    #[test]
    fn both_parts_are_looked_at() {
        assert!(is_called(-0x2880, "ALLOC_FAILED") && is_called(-0x4d90, "ALLOC_FAILED"));
        assert!(is_called(-0x2890, "X509_ALLOC_FAILED"));
        assert!(!is_called(-0x7280, "ALLOC_FAILED"));
    }
}
