//! One connection to a product, with every byte written down on the client's side.

use super::Running;
use super::child::said_since;
use crate::broker::Limits;
use crate::record::{Connection, MqttView, Side, TlsView};
use crate::tap::Tap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use suites::stream::{ContentType, Stream};
use wire::tls::ProtocolVersion;

/// What a client may be silent for; MQTT's keep-alive is the product's business.
const SILENCE: Duration = Duration::from_secs(3_600);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How many lines of its log a product is quoted with.
const LINES_QUOTED: usize = 8;

/// Carries bytes both ways until both ends have ended, and says what passed.
pub(crate) fn relay(
    running: &Running,
    tap: &Arc<Tap>,
    peer: SocketAddr,
    started: Instant,
    limits: Limits,
) -> Connection {
    let started_wall = SystemTime::now();
    let said_before = std::fs::metadata(running.log()).map_or(0, |log| log.len());
    let result = carry(running, tap, limits);
    let (events, ended) = tap.recorded();
    let mut connection = Connection {
        peer,
        started,
        started_wall,
        events,
        tls: None,
        error: None,
        ended,
        // The product knows; from outside it is ciphertext.
        mqtt: MqttView::default(),
        key_log: Vec::new(),
    };
    connection.tls = negotiated(&connection);
    connection.error = match (result, &connection.tls) {
        (Err(words), _) => Some(words),
        (Ok(()), Some(_)) => None,
        (Ok(()), None) => Some(said(running, said_before)),
    };
    connection
}

fn carry(running: &Running, tap: &Arc<Tap>, limits: Limits) -> Result<(), String> {
    let product = running.product().name();
    let lost = |error| {
        tap.reset();
        format!("{product} cannot be reached behind the relay, see its log: {error}")
    };
    let upstream = TcpStream::connect_timeout(&running.address(), CONNECT_LIMIT)
        .and_then(|tcp| tcp.set_nodelay(true).map(|()| Arc::new(tcp)))
        .map_err(lost)?;
    let (over, is_over) = mpsc::channel::<()>();
    let downward = {
        let (upstream, tap) = (Arc::clone(&upstream), Arc::clone(tap));
        thread::Builder::new()
            .name("product-outbox".to_owned())
            .spawn(move || {
                downward(&upstream, &tap, limits);
                drop(over);
            })
            .map_err(lost)?
    };
    let mut buffer = [0; 4096];
    while let Ok(count) = tap.read(&mut buffer, Instant::now() + SILENCE) {
        // A product that is gone is noticed by the other direction.
        let _gone = (&*upstream).write_all(buffer.get(..count).unwrap_or_default());
    }
    let _already_ended = upstream.shutdown(Shutdown::Write);
    // A product that has nothing more to say closes now; one that does not is cut off.
    let _over_or_late = is_over.recv_timeout(limits.linger);
    let _already_ended = upstream.shutdown(Shutdown::Both);
    let _panicked: Result<(), _> = downward.join();
    Ok(())
}

/// From the product to the client, the end of the stream and its manner included.
fn downward(mut upstream: &TcpStream, tap: &Tap, limits: Limits) {
    let mut buffer = [0; 16_384];
    loop {
        match upstream.read(&mut buffer) {
            Ok(0) => {
                tap.close(limits.linger);
                return tap.stop();
            }
            Ok(count) => tap.write(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return tap.reset(),
        }
    }
}

/// What both ends agreed on, as far as it can be read in the clear. The handshake is complete when
/// the client has sent something under its new keys and the product has answered it.
fn negotiated(connection: &Connection) -> Option<TlsView> {
    let client = Stream::parse(&connection.bytes_from(Side::Client));
    let broker = Stream::parse(&connection.bytes_from(Side::Broker));
    let hello = broker.server_hello.as_ref()?;
    let sends = |stream: &Stream, content| {
        stream.records.iter().any(|record| record.encrypted && record.content == content)
    };
    let complete = match hello.version {
        ProtocolVersion::TLS1_3 => {
            // The client's first is its Finished, the second its CONNECT.
            let data =
                |record: &&suites::stream::Record| record.content == ContentType::ApplicationData;
            client.records.iter().filter(data).count() > 1
        }
        _ => [&client, &broker].iter().all(|stream| sends(stream, ContentType::Handshake)),
    };
    complete.then(|| TlsView {
        version: hello.version,
        suite: hello.cipher_suite,
        group: None,
        dh_bits: None,
        sni: client.client_hello.and_then(|hello| hello.server_name),
        resumed: !broker.handshake_types.contains(&CERTIFICATE)
            && hello.version < ProtocolVersion::TLS1_3,
    })
}

const CERTIFICATE: u8 = 11;

/// What the product wrote into its log since `from`, if it is about TLS.
fn said(running: &Running, from: u64) -> String {
    let text = said_since(running.log(), from);
    let about = |line: &&str| {
        let line = line.to_lowercase();
        ["ssl", "tls", "alert", "protocol error"].iter().any(|word| line.contains(word))
    };
    let lines: Vec<_> = text.lines().filter(about).map(str::trim).take(LINES_QUOTED).collect();
    let product = running.product().name();
    if lines.is_empty() {
        return format!("the handshake with {product} was not completed; its log says nothing");
    }
    format!("{product}: {}", lines.join("; "))
}
