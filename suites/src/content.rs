//! What a profile is, as a short id: the same for the same content, another one after an edit.
//!
//! It is made of what the profile says beyond what holds anyway. An edited comment or summary leaves it
//! as it is, and so does another version of the rig: a key that it knows and the file does not use has
//! the value that holds anyway.

use crate::broker::BrokerProfile;
use crate::profile::ClientProfile;
use data_encoding::HEXLOWER;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// Bytes of the hash that are kept: a collision of two profiles would take billions of edits.
const KEPT: usize = 8;

/// The shortest profiles there are: what they do not say is what holds anyway. An id is made for each
/// cell of a run, and they once.
static CLIENT: LazyLock<Value> =
    LazyLock::new(|| value(&ClientProfile::parse("", "summary = ''", "").ok()));
static BROKER: LazyLock<Value> = LazyLock::new(|| {
    let text = "summary = ''\nsource = ''\ncipher_suites = ['TLS_RSA_WITH_AES_128_CBC_SHA']";
    value(&BrokerProfile::parse("", text, "").ok())
});

impl ClientProfile {
    /// The id of its content.
    #[must_use]
    pub fn content_id(&self) -> String {
        let content = Self { name: String::new(), summary: String::new(), ..self.clone() };
        id(&content, &CLIENT)
    }
}

impl BrokerProfile {
    /// The id of its content.
    #[must_use]
    pub fn content_id(&self) -> String {
        let text = String::new;
        let content = Self { name: text(), summary: text(), source: text(), ..self.clone() };
        id(&content, &BROKER)
    }
}

fn value(profile: &impl Serialize) -> Value {
    serde_json::to_value(profile).unwrap_or_default()
}

fn id(content: &impl Serialize, shortest: &Value) -> String {
    let mut said = beyond(value(content), shortest).unwrap_or_default();
    said.sort_all_objects();
    let hash = Sha256::digest(said.to_string());
    HEXLOWER.encode(hash.get(..KEPT).unwrap_or(&hash))
}

/// What of a value is not in the other one.
fn beyond(value: Value, other: &Value) -> Option<Value> {
    match value {
        Value::Object(fields) => {
            let rest = fields.into_iter().filter_map(|(name, value)| {
                let value = beyond(value, other.get(&name).unwrap_or(&Value::Null))?;
                Some((name, value))
            });
            Some(rest.collect::<Map<_, _>>()).filter(|rest| !rest.is_empty()).map(Value::Object)
        }
        value => (value != *other).then_some(value),
    }
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

    #[test]
    fn a_key_that_says_what_holds_anyway_is_no_edit() {
        assert_eq!(client("summary = 's'\nsession_tickets = true\n"), client("summary = 's'\n"));
        assert_eq!(broker(&format!("tickets = true\n{BROKER}")), broker(BROKER));
        let named = "summary = 's'\n[psk]\nidentity = 'i'\nkey = '00'\n";
        assert_ne!(client(named), client(&named.replace("'00'", "'01'")));
    }

    /// No version of the rig may come to another id for the same file: runs of different versions
    /// would look like runs of different profiles.
    #[test]
    fn ids_stay() {
        assert_eq!([client("summary = 's'\n"), broker(BROKER)], ["74234e98afe7498f"; 2]);
        let client = client("summary = 's'\nverify = 'required'\nca = 'none'\n");
        let broker = broker(&format!("{BROKER}[certificate]\nkey = 'ecdsa-p256'\n"));
        assert_eq!([client, broker], ["f16aeaa79e88ff4b", "6e7955103d705ce5"]);
    }
}
