//! `rig capture` of a server that is not ours: the system's `openssl s_server`, set up in ways that no
//! profile can express or that no front of ours has. What is so is said, and the profile is one that a
//! front can serve.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use brokers::capture::{Bounds, Captured, Signer, Target, capture};
use rstest::rstest;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;
use suites::broker::{BrokerProfile, ClientAuth, KeyKind, Sni};
use tempfile::TempDir;

/// Whether the program is there. With `RIG_NO_SKIP` set it must be.
fn has_openssl() -> bool {
    let found = Command::new("openssl").arg("version").output().is_ok();
    let no_skip = std::env::var_os("RIG_NO_SKIP").is_some();
    assert!(found || !no_skip, "RIG_NO_SKIP is set, and there is no program `openssl`");
    if !found {
        eprintln!("skipped: there is no program `openssl`");
    }
    found
}

/// Runs `openssl` in `folder` to its end.
fn openssl(folder: &Path, line: &str) {
    let done =
        Command::new("openssl").args(line.split_whitespace()).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "openssl {line}: {said}");
}

/// A self-signed certificate for each kind of key, and a chain with an intermediate.
fn keys() -> TempDir {
    let keys = tempfile::tempdir().unwrap();
    let folder = keys.path();
    for (name, key) in [
        ("rsa", "rsa:2048"),
        ("root", "rsa:2048"),
        ("ec", "ec -pkeyopt ec_paramgen_curve:P-256"),
        ("p521", "ec -pkeyopt ec_paramgen_curve:P-521"),
        ("pss", "rsa-pss -pkeyopt rsa_keygen_bits:2048"),
        ("ed448", "ed448"),
    ] {
        openssl(
            folder,
            &format!(
                "req -x509 -newkey {key} -nodes -keyout {name}.key -out {name}.pem -days 2 -subj /CN={name}.test"
            ),
        );
    }
    std::fs::write(folder.join("ca"), "basicConstraints=critical,CA:TRUE").unwrap();
    for (name, key, above, more) in [
        ("middle", "ec -pkeyopt ec_paramgen_curve:P-384", "root", "-extfile ca"),
        ("leaf", "rsa:2048", "middle", ""),
    ] {
        openssl(
            folder,
            &format!(
                "req -newkey {key} -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}.test"
            ),
        );
        openssl(
            folder,
            &format!(
                "x509 -req -in {name}.csr -CA {above}.pem -CAkey {above}.key -set_serial 1 -days 2 -out {name}.pem {more}"
            ),
        );
    }
    let part = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    std::fs::write(folder.join("swapped.pem"), part("root.pem") + &part("middle.pem")).unwrap();
    keys
}

/// The program, until it is dropped.
struct Server {
    child: Child,
    address: SocketAddr,
    _stdin: ChildStdin,
    _keys: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn serve(line: &str) -> Server {
    let keys = keys();
    let mut child = Command::new("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0"])
        .args(line.split_whitespace())
        .current_dir(keys.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let address = loop {
        let mut one = String::new();
        let length = said.read_line(&mut one).unwrap();
        assert!(length > 0, "openssl s_server {line}: it ended without a port");
        if let Some(address) = one.trim().strip_prefix("ACCEPT ") {
            break address.parse().unwrap();
        }
    };
    // It tells of every connection, and waits when nobody reads. It ends with the program.
    thread::spawn(move || std::io::copy(&mut said.by_ref(), &mut std::io::sink()));
    Server { child, address, _stdin: stdin, _keys: keys }
}

fn captured(address: SocketAddr, name: &str, signer: Option<Signer>) -> Captured {
    let target = Target {
        address,
        server_name: Some(name.to_owned()),
        signer,
        name: "foreign".to_owned(),
        summary: "s".to_owned(),
        source: "s".to_owned(),
    };
    let bounds = Bounds { connections: 400, per_second: None, wait: Duration::from_secs(10) };
    capture(&target, bounds, &mut |_| {}).unwrap()
}

/// The parts of a profile that a case is about, and what is said of what it cannot have.
type Holds = fn(&BrokerProfile) -> bool;

#[rstest]
#[case::as_it_comes(
    "-cert rsa.pem -key rsa.key",
    &["certificate.authority: the server's certificate is its own authority"],
    |seen: &BrokerProfile| !seen.server_order && seen.groups.len() >= 5 && seen.tickets
)]
#[case::records("-cert rsa.pem -key rsa.key -max_send_frag 512", &["record_size: the server's records end after 512 bytes"], |_: &BrokerProfile| true)]
#[case::records_of_tls12(
    "-cert rsa.pem -key rsa.key -max_send_frag 512 -tls1_2",
    &[],
    |seen: &BrokerProfile| seen.record_size == 512
)]
#[case::rsa_pss(
    "-cert pss.pem -key pss.key",
    &["certificate.key: the server's key (2048 bits)", "signature_algorithms: the server signs with rsa_pss_pss_sha256"],
    |seen: &BrokerProfile| seen.certificate.key == KeyKind::Rsa2048 && seen.signature_algorithms.is_none()
)]
#[case::ed448(
    "-cert ed448.pem -key ed448.key",
    &["certificate.key: the server's key (456 bits)", "signature_algorithms: the server signs with ed448"],
    |seen: &BrokerProfile| seen.certificate.key == KeyKind::Ed25519
)]
#[case::p521("-cert p521.pem -key p521.key", &["certificate.key: the server's key (521 bits)"], |seen: &BrokerProfile| {
    seen.certificate.key == KeyKind::EcdsaP384 && seen.suite_groups.is_empty()
})]
#[case::ec("-cert ec.pem -key ec.key -tls1_2", &[], |seen: &BrokerProfile| {
    seen.groups.len() >= 5 && seen.suite_groups.is_empty()
})]
#[case::two_certificates(
    "-cert rsa.pem -key rsa.key -dcert ec.pem -dkey ec.key -serverpref",
    &["certificate: the server has a second one, and a profile but one: `--certificate rsa`"],
    |seen: &BrokerProfile| seen.certificate.key == KeyKind::EcdsaP256
)]
#[case::two_certificates_in_secret(
    "-cert rsa.pem -key rsa.key -dcert ec.pem -dkey ec.key -tls1_3",
    &["certificate: the server has a second one, and a profile but one: `--certificate rsa`"],
    |seen: &BrokerProfile| seen.certificate.key == KeyKind::EcdsaP256
)]
#[case::another_name(
    "-cert rsa.pem -key rsa.key -cert2 ec.pem -key2 ec.key -servername broker.test",
    &["sni: a client that names no server is shown another certificate, for rsa.test, of kind rsa-2048"],
    |seen: &BrokerProfile| seen.sni == Sni::Ignored && seen.certificate.key == KeyKind::EcdsaP256
)]
#[case::no_other_name(
    "-cert rsa.pem -key rsa.key -cert2 rsa.pem -key2 rsa.key -servername broker.test -servername_fatal",
    &["sni: a client that asks for another name is answered with alert 112"],
    |seen: &BrokerProfile| seen.sni == Sni::Ignored
)]
#[case::chacha_first(
    "-cert rsa.pem -key rsa.key -serverpref -prioritize_chacha",
    &["server_order: a client that wants TLS_CHACHA20_POLY1305_SHA256 most"],
    |seen: &BrokerProfile| seen.server_order
)]
#[case::swapped_chain(
    "-cert leaf.pem -key leaf.key -cert_chain swapped.pem",
    &["certificate.intermediates: the server's chain is not in order", "the server sends its root, too"],
    |seen: &BrokerProfile| seen.certificate.intermediates == 1 && seen.certificate.issuer_key == KeyKind::EcdsaP384
)]
#[case::no_tickets_in_tls13(
    "-cert rsa.pem -key rsa.key -num_tickets 0",
    &["tickets: in TLS1.3 there are none"],
    |seen: &BrokerProfile| seen.tickets
)]
#[case::alpn("-cert rsa.pem -key rsa.key -alpn mqtt", &["alpn: the server agrees to the protocol mqtt"], |_: &BrokerProfile| true)]
#[case::a_gap(
    "-cert rsa.pem -key rsa.key -cipher ALL:@SECLEVEL=0 -no_tls1_1",
    &["min_version: the server speaks TLS1.3 TLS1.2 TLS1.0 alone"],
    |seen: &BrokerProfile| seen.min_version.0 == 0x0301
)]
#[case::a_certificate_wanted("-cert rsa.pem -key rsa.key -verify 1", &[], |seen: &BrokerProfile| {
    seen.client_auth == ClientAuth::Wanted
})]
#[case::a_certificate_required("-cert rsa.pem -key rsa.key -Verify 1 -tls1_3", &[], |seen: &BrokerProfile| {
    seen.client_auth == ClientAuth::Required
})]
fn of_openssl_s_server(#[case] line: &str, #[case] said: &[&str], #[case] holds: Holds) {
    if !has_openssl() {
        return;
    }
    let server = serve(line);
    let seen = captured(server.address, "broker.test", None);
    let profile = &seen.profile;
    for words in said {
        assert!(seen.unknown.iter().any(|one| one.contains(words)), "{words}: {:#?}", seen.unknown);
    }
    assert!(holds(profile), "{profile:#?}");
    // As it stands in the file it is served, and captured again it is the same.
    let text = profile.to_toml(&seen.unknown);
    let read = BrokerProfile::parse(&profile.name, &text, "foreign.toml").unwrap();
    assert_eq!(&read, profile);
    let brokers = common::brokers();
    let replay = brokers.start(&read).unwrap();
    let again = captured(replay.address(), "broker.test", None);
    assert_eq!(&again.profile, profile);
}

/// Each half of a server with two certificates is what the half alone is.
#[test]
fn of_one_of_two_certificates() {
    if !has_openssl() {
        return;
    }
    let both = serve("-cert rsa.pem -key rsa.key -dcert ec.pem -dkey ec.key -serverpref");
    for (name, signer) in [("rsa", Signer::Rsa), ("ec", Signer::Ecdsa)] {
        let half = serve(&format!("-cert {name}.pem -key {name}.key -serverpref"));
        let alone = captured(half.address, "broker.test", None);
        let of_both = captured(both.address, "broker.test", Some(signer));
        assert_eq!(of_both.profile, alone.profile, "{name}");
    }
}
