//! What a profile is, as a short id: the same for the same content, another one after an edit.
//!
//! It is made of what the rig reads out of a file, so that an edited comment or summary leaves it as it
//! is. A version of the rig that knows another key may come to another id.

use crate::broker::BrokerProfile;
use crate::profile::ClientProfile;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::fmt::Debug;

/// Bytes of the hash that are kept: a collision of two profiles would take billions of edits.
const KEPT: usize = 8;

impl ClientProfile {
    /// The id of its content.
    #[must_use]
    pub fn content_id(&self) -> String {
        id(&Self { name: String::new(), summary: String::new(), ..self.clone() })
    }
}

impl BrokerProfile {
    /// The id of its content.
    #[must_use]
    pub fn content_id(&self) -> String {
        let text = String::new;
        id(&Self { name: text(), summary: text(), source: text(), ..self.clone() })
    }
}

fn id(content: &impl Debug) -> String {
    let hash = Sha256::digest(format!("{content:?}"));
    HEXLOWER.encode(hash.get(..KEPT).unwrap_or(&hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROKER: &str =
        "summary = 's'\nsource = 'x'\ncipher_suites = ['TLS_RSA_WITH_AES_128_CBC_SHA']\n";

    fn broker(text: &str) -> String {
        BrokerProfile::parse("b", text, "b.toml").unwrap().content_id()
    }

    fn client(text: &str) -> String {
        ClientProfile::parse("c", text, "c.toml").unwrap().content_id()
    }

    #[test]
    fn an_edit_that_matters_makes_another_id_and_no_other_edit_does() {
        let before = broker(BROKER);
        assert_eq!(before.len(), 2 * KEPT);
        assert_eq!(broker(&format!("# why\n{}", BROKER.replace("'s'", "'other'"))), before);
        assert_ne!(broker(&format!("tickets = false\n{BROKER}")), before);
        let plain = client("summary = 's'\n");
        assert_eq!(client("# why\nsummary = 'other'\n"), plain);
        assert_ne!(client("summary = 's'\nsession_tickets = false\n"), plain);
    }
}
