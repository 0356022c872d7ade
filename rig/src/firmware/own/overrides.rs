//! What of a user's header cannot run on the DUT, and what the rig needs beside it.

use super::Version;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// One macro that is not as the user's header has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Override {
    /// The macro.
    #[serde(rename = "macro")]
    pub name: String,
    /// Its value in the user's header, empty for one that is only defined; none if it is not.
    pub was: Option<String>,
    /// Its value now; none if it is not defined.
    pub now: Option<String>,
    /// Why.
    pub why: &'static str,
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, was, now, why } = self;
        let value = |value: &String| match value.is_empty() {
            true => "defined".to_owned(),
            false => value.clone(),
        };
        let was = was.as_ref().map_or("not defined".to_owned(), value);
        match now {
            Some(now) if self.was.as_ref() == Some(now) => write!(f, "{name} stays {was}: {why}"),
            Some(now) if now.is_empty() => write!(f, "{name} is defined (was {was}): {why}"),
            Some(now) => write!(f, "{name} is {now} (was {was}): {why}"),
            None => write!(f, "{name} is taken out (was {was}): {why}"),
        }
    }
}

/// What the rig's client is made of: a header without one of these is for something else.
pub(super) const NEEDED: [&str; 4] =
    ["MBEDTLS_SSL_TLS_C", "MBEDTLS_SSL_CLI_C", "MBEDTLS_X509_CRT_PARSE_C", "MBEDTLS_PK_PARSE_C"];

const ENGINE: &str =
    "the chip's crypto engine is not driven here; software computes the same bytes";
const NO_ENGINE: &str = "the crypto engine's hooks are told that there is no engine; software \
                         computes the same bytes";
const SOFTWARE_BESIDE: &str =
    "without it this copy of the library has no AES and DES in software, only the engine's";
const NO_SOCKETS: &str = "the DUT has no sockets: bytes travel over its line to the rig";
const NO_FILES: &str = "the DUT has no files";
const NO_TIMER: &str =
    "the DUT's timer is the rig's; only DTLS and the library's benchmark use one";
const ONE_THREAD: &str = "the DUT has one thread";
const NO_ENTROPY: &str =
    "the client's random numbers come from the rig's seed, so that a cell can be repeated";
const NO_CALENDAR: &str = "the DUT has no calendar: no certificate is expired or not yet valid \
                           here, whatever it is on your product";
const OWN_HEAP: &str = "memory comes from the rig's heap, which is measured";
const FROM_LIBC: &str = "the platform's functions are those of the DUT's C library";
const NO_LIBRARY: &str = "the library that it needs is not here";
const OTHER_PROCESSOR: &str = "PSA runs beside the client, not on another processor or in a chip";
const NO_CALLBACK: &str = "it calls a function of the application, which is not here";
const DEPRECATED: &str = "the rig's shim calls functions that newer versions call deprecated";

/// Macros that are taken out.
const TAKEN_OUT: [(&str, &str); 30] = [
    ("RTL_HW_CRYPTO", ENGINE),
    ("RTL_CRYPTO_FRAGMENT", ENGINE),
    ("SUPPORT_HW_SW_CRYPTO", ENGINE),
    (
        "CONFIG_SSL_ROM",
        "the library in the chip's ROM is not called here; its sources are compiled",
    ),
    ("MBEDTLS_NET_C", NO_SOCKETS),
    ("MBEDTLS_FS_IO", NO_FILES),
    ("MBEDTLS_PSA_CRYPTO_STORAGE_C", NO_FILES),
    ("MBEDTLS_PSA_ITS_FILE_C", NO_FILES),
    ("MBEDTLS_TIMING_C", NO_TIMER),
    ("MBEDTLS_HAVEGE_C", NO_TIMER),
    ("MBEDTLS_THREADING_C", ONE_THREAD),
    ("MBEDTLS_THREADING_PTHREAD", ONE_THREAD),
    ("MBEDTLS_ENTROPY_C", NO_ENTROPY),
    ("MBEDTLS_ENTROPY_NV_SEED", NO_ENTROPY),
    ("MBEDTLS_ENTROPY_FORCE_SHA256", NO_ENTROPY),
    ("MBEDTLS_TEST_NULL_ENTROPY", NO_ENTROPY),
    ("MBEDTLS_PSA_INJECT_ENTROPY", NO_ENTROPY),
    ("MBEDTLS_HAVE_TIME", NO_CALENDAR),
    ("MBEDTLS_HAVE_TIME_DATE", NO_CALENDAR),
    ("MBEDTLS_MEMORY_BUFFER_ALLOC_C", OWN_HEAP),
    ("MBEDTLS_MEMORY_DEBUG", OWN_HEAP),
    ("MBEDTLS_MEMORY_BACKTRACE", OWN_HEAP),
    (
        "MBEDTLS_ZLIB_SUPPORT",
        "zlib is not here; your product offers DEFLATE in its ClientHello, this build does not",
    ),
    ("MBEDTLS_PKCS11_C", NO_LIBRARY),
    ("MBEDTLS_PSA_CRYPTO_SE_C", OTHER_PROCESSOR),
    ("MBEDTLS_PSA_CRYPTO_SPM", OTHER_PROCESSOR),
    ("MBEDTLS_CHECK_PARAMS", NO_CALLBACK),
    ("MBEDTLS_PARAM_FAILED", NO_CALLBACK),
    ("MBEDTLS_DEPRECATED_REMOVED", DEPRECATED),
    ("MBEDTLS_DEPRECATED_WARNING", DEPRECATED),
];

/// Macros that are taken out by what their names begin and end with. Before the list of what is set.
const PATTERNS: [(&str, &str, &str); 4] = [
    ("MBEDTLS_PLATFORM_STD_", "", FROM_LIBC),
    ("MBEDTLS_PLATFORM_", "_MACRO", FROM_LIBC),
    ("MBEDTLS_PLATFORM_", "_ALT", FROM_LIBC),
    (
        "MBEDTLS_",
        "_ALT",
        "an implementation of your own or of a chip is not here; the library's own is compiled",
    ),
];

const LOG: &str = "the device log is what the rig explains; it changes nothing that is sent";
const TELLS_VERSION: &str = "the DUT tells the rig which version it runs";

/// Macros that are set: name, value, the first version that needs it, and why.
const SET: [(&str, &str, (u32, u32), &str); 8] = [
    ("MBEDTLS_DEBUG_C", "", (2, 0), LOG),
    ("MBEDTLS_VERSION_C", "", (2, 0), TELLS_VERSION),
    ("MBEDTLS_PLATFORM_C", "", (2, 0), OWN_HEAP),
    ("MBEDTLS_PLATFORM_MEMORY", "", (2, 0), OWN_HEAP),
    ("MBEDTLS_PLATFORM_NO_STD_FUNCTIONS", "", (2, 0), OWN_HEAP),
    ("MBEDTLS_PLATFORM_STD_MEM_HDR", "<stdio.h>", (2, 0), FROM_LIBC),
    ("MBEDTLS_PLATFORM_SNPRINTF_MACRO", "snprintf", (2, 16), FROM_LIBC),
    ("MBEDTLS_PLATFORM_VSNPRINTF_MACRO", "vsnprintf", (2, 28), FROM_LIBC),
];

/// With a tree that has the SDK's hooks for the crypto engine: name, value where the header has none,
/// and why.
const HOOKS: [(&str, &str, &str); 3] = [
    ("RTL_HW_CRYPTO", "", NO_ENGINE),
    ("RTL_CRYPTO_FRAGMENT", "4096", NO_ENGINE),
    ("SUPPORT_HW_SW_CRYPTO", "", SOFTWARE_BESIDE),
];

/// What 3.0 took the support for away from, and refuses to see.
const REFUSED_SINCE_3: &str = "removed in mbedTLS 3.0, and refused since";

/// What becomes of a header that defines `macros`, in the order of names. `hooks` says whether the
/// tree has the SDK's for the crypto engine.
pub(super) fn of(
    macros: &BTreeMap<String, String>,
    version: Version,
    hooks: bool,
) -> Vec<Override> {
    let mut changes: BTreeMap<&str, Override> = BTreeMap::new();
    for (name, was) in macros {
        let exact = TAKEN_OUT.iter().find(|(macro_, _)| macro_ == name).map(|(_, why)| *why);
        let fits =
            |(start, end, _): &&(&str, &str, _)| name.starts_with(start) && name.ends_with(end);
        let why = exact.or_else(|| PATTERNS.iter().find(fits).map(|(_, _, why)| *why));
        let removed = version.major >= 3 && name == "MBEDTLS_SSL_TRUNCATED_HMAC";
        if let Some(why) = why.or(removed.then_some(REFUSED_SINCE_3)) {
            let change = Override { name: name.clone(), was: Some(was.clone()), now: None, why };
            changes.insert(name, change);
        }
    }
    let psa = ("MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG", "", (2, 28), NO_ENTROPY);
    let psa = macros.contains_key("MBEDTLS_PSA_CRYPTO_C").then_some(psa);
    for (name, value, since, why) in SET.into_iter().chain(psa) {
        let was = macros.get(name).cloned();
        if (version.major, version.minor) < since {
            continue;
        }
        if was.as_deref() == Some(value) {
            changes.remove(name);
            continue;
        }
        let change = Override { name: name.to_owned(), was, now: Some(value.to_owned()), why };
        changes.insert(name, change);
    }
    for (name, value, why) in HOOKS.into_iter().filter(|_| hooks) {
        let was = macros.get(name).cloned();
        let now = Some(was.clone().unwrap_or_else(|| value.to_owned()));
        changes.insert(name, Override { name: name.to_owned(), was, now, why });
    }
    changes.into_values().collect()
}
