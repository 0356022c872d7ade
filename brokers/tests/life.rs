//! Start, stop, MQTT, and clients that misbehave.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use brokers::reference::Offer;
use brokers::{BrokerError, Close, Limits, Side};
use common::{Client, LONG, brokers, connect, port, profile, taken};
use mqttbytes::v4::{self, Packet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use suites::stream::Stream;

#[test]
fn connect_subscribe_and_a_qos1_round_trip() {
    for name in ["hivemq-cloud-2021", "tls13-only-rustls"] {
        let profile = profile(name);
        let broker = brokers().start(&profile).unwrap();
        let mut client = Client::connect(&broker, &profile, "board");
        client.subscribe("rig/echo");
        client.publish("rig/echo", "hello");
        let (mut acknowledged, mut echoed) = (false, false);
        while !acknowledged || !echoed {
            match client.receive().unwrap() {
                Packet::PubAck(ack) => acknowledged = ack.pkid == 7,
                Packet::Publish(publish) => {
                    assert_eq!(
                        (&*publish.topic, &publish.payload[..]),
                        ("rig/echo", &b"hello"[..])
                    );
                    let pkid = publish.pkid;
                    client.send(|bytes| {
                        v4::PubAck::new(pkid).write(bytes).unwrap();
                    });
                    echoed = true;
                }
                other => panic!("{other:?}"),
            }
        }
        client.send(|bytes| {
            v4::Disconnect.write(bytes).unwrap();
        });
        let port = client.port();
        drop(client);
        let seen = taken(&broker, port);
        assert_eq!(seen.error, None);
        assert_eq!(seen.ended.by, Side::Client);
        assert_eq!(seen.mqtt.connect.as_deref(), Some("board"));
        assert_eq!(seen.mqtt.connack, Some(0));
        assert_eq!((seen.mqtt.subscribes, seen.mqtt.published, seen.mqtt.delivered), (1, 1, 1));
        assert!(seen.mqtt.disconnect);
        assert!(!seen.key_log.is_empty());
        assert!(seen.events.windows(2).all(|pair| pair[0].at <= pair[1].at));
    }
}

#[test]
fn brokers_do_not_hear_each_other() {
    let brokers = brokers();
    let profile = profile("tls12-rsa-plain");
    let (one, two) = (brokers.start(&profile).unwrap(), brokers.start(&profile).unwrap());
    // The same client identifier and topic at both: neither is thrown out, neither hears the other.
    let mut at_one = Client::connect(&one, &profile, "same");
    let mut at_two = Client::connect(&two, &profile, "same");
    at_one.subscribe("t/#");
    at_two.subscribe("t/#");
    at_one.publish("t/a", "from one");
    at_two.publish("t/a", "from two");
    for (client, own) in [(&mut at_one, "from one"), (&mut at_two, "from two")] {
        let mut heard = Vec::new();
        while heard.len() < 2 {
            match client.receive().unwrap() {
                Packet::Publish(publish) => heard.push(publish.payload.to_vec()),
                Packet::PubAck(_) => heard.push(Vec::new()),
                other => panic!("{other:?}"),
            }
        }
        heard.sort();
        assert_eq!(heard, [Vec::new(), own.as_bytes().to_vec()]);
    }
}

#[test]
fn a_will_is_published_when_a_client_dies() {
    let profile = profile("tls12-rsa-plain");
    let broker = brokers().start(&profile).unwrap();
    let mut watcher = Client::connect(&broker, &profile, "watcher");
    watcher.subscribe("will");
    let mut dying = Client::new(&broker, &profile);
    dying.send(|bytes| {
        let mut connect = v4::Connect::new("dying");
        connect.last_will =
            Some(v4::LastWill::new("will", "gone", mqttbytes::QoS::AtMostOnce, false));
        connect.write(bytes).unwrap();
    });
    assert!(matches!(dying.receive(), Some(Packet::ConnAck(_))));
    drop(dying);
    assert!(matches!(watcher.receive(), Some(Packet::Publish(will)) if will.payload == "gone"));
}

#[test]
fn a_second_client_of_one_name_takes_over() {
    let profile = profile("tls12-rsa-plain");
    let broker = brokers().start(&profile).unwrap();
    let mut first = Client::connect(&broker, &profile, "twin");
    let _second = Client::connect(&broker, &profile, "twin");
    // MQTT 3.1.1 section 3.1.4: the broker must disconnect the first.
    assert!(first.receive().is_none());
    assert_eq!(taken(&broker, first.port()).ended.by, Side::Broker);
}

#[test]
fn a_broker_dropped_while_a_client_is_connected_ends_the_connection_and_closes_the_port() {
    let profile = profile("tls12-rsa-plain");
    let broker = brokers().start(&profile).unwrap();
    let mut client = Client::connect(&broker, &profile, "left alone");
    let in_handshake = TcpStream::connect(broker.address()).unwrap();
    let address = broker.address();
    drop(broker);
    let mut rest = Vec::new();
    let _end_or_reset = client.tls.get_mut().read_to_end(&mut rest);
    in_handshake.set_read_timeout(Some(LONG)).unwrap();
    let ended = (&in_handshake).read(&mut [0; 16]);
    let late = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
    assert!(!ended.as_ref().is_err_and(late), "{ended:?}");
    let refused = TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn two_hundred_brokers_at_once_all_get_ports_and_accept() {
    let brokers = brokers();
    let profile = profile("tls12-rsa-plain");
    let starts: Vec<_> = (0..200)
        .map(|_| {
            let (brokers, profile) = (brokers.clone(), profile.clone());
            std::thread::spawn(move || brokers.start(&profile).unwrap())
        })
        .collect();
    let running: Vec<_> = starts.into_iter().map(|start| start.join().unwrap()).collect();
    let mut ports: Vec<_> = running.iter().map(|broker| broker.address().port()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 200);
    for broker in &running {
        connect(broker, &Offer::everything(broker, &profile)).unwrap();
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let brokers = brokers();
    let profile = profile("tls12-rsa-plain");
    let first = brokers.start(&profile).unwrap();
    let Err(error) = brokers.start_at(&profile, first.address()) else {
        panic!("two brokers on one port")
    };
    assert!(matches!(error, BrokerError::PortInUse(_)));
    let text = error.to_string();
    assert!(text.contains(&format!("port {}", first.address().port())), "{text}");
    assert!(text.contains("ask for another port"), "{text}");
}

#[test]
fn junk_and_http_are_answered_with_an_end_and_the_next_client_is_served() {
    for name in ["tls12-rsa-plain", "hivemq-cloud-2021", "tls13-only-rustls"] {
        let profile = profile(name);
        let broker = brokers().start(&profile).unwrap();
        let junk: &[&[u8]] = &[
            b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
            &[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 0],
            &[0; 300],
            &[0xff; 20_000],
            &[22, 3, 1, 0, 4, 2, 0, 0, 0],
            &[21, 3, 3, 0, 2, 2, 40],
        ];
        for bytes in junk {
            let mut tcp = TcpStream::connect(broker.address()).unwrap();
            tcp.set_read_timeout(Some(LONG)).unwrap();
            tcp.write_all(bytes).unwrap();
            let mut answer = Vec::new();
            tcp.read_to_end(&mut answer).unwrap_or_else(|error| panic!("{name}: {error}"));
            let port = port(&tcp);
            drop(tcp);
            let seen = taken(&broker, port);
            assert!(seen.error.is_some(), "{name} took {bytes:02x?}");
            assert_eq!(seen.bytes_from(Side::Broker), answer);
            assert_eq!(seen.bytes_from(Side::Client), *bytes);
        }
        connect(&broker, &Offer::everything(&broker, &profile)).unwrap();
    }
}

#[test]
fn junk_inside_tls_ends_the_connection() {
    let profile = profile("tls12-rsa-plain");
    let broker = brokers().start(&profile).unwrap();
    for (bytes, says) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "not CONNECT"),
        (&[0xc0, 0], "not CONNECT"),
        (&[0x10, 12, 0, 6, b'M', b'Q', b'I', b's', b'd', b'p', 3, 2, 0, 60], "not MQTT"),
    ] {
        let mut client = Client::new(&broker, &profile);
        client.tls.write_all(bytes).unwrap();
        assert!(client.receive().is_none());
        let seen = taken(&broker, client.port());
        let error = seen.error.unwrap();
        assert!(error.contains(says), "{error}");
        assert!(seen.tls.is_some());
        assert_eq!(seen.mqtt.connack, None);
    }
}

#[test]
fn silent_clients_are_given_up() {
    let limits = Limits { stall: Duration::from_millis(200), ..Limits::default() };
    let profile = profile("tls12-rsa-plain");
    let broker = brokers().with_limits(limits).start(&profile).unwrap();
    // Nothing at all; half a ClientHello; a handshake and then no CONNECT.
    for part in [&[][..], &[22, 3, 1, 0, 70, 1]] {
        let mut tcp = TcpStream::connect(broker.address()).unwrap();
        tcp.set_read_timeout(Some(LONG)).unwrap();
        tcp.write_all(part).unwrap();
        assert_eq!(tcp.read(&mut [0; 16]).unwrap(), 0);
        let port = port(&tcp);
        drop(tcp);
        let seen = taken(&broker, port);
        assert!(seen.error.unwrap().contains("stalled"));
        assert_eq!((seen.ended.by, seen.ended.how), (Side::Broker, Close::Fin));
    }
    let mut idle = Client::new(&broker, &profile);
    assert!(idle.receive().is_none());
    assert!(taken(&broker, idle.port()).error.unwrap().contains("silent"));
}

#[test]
fn a_client_that_leaves_in_the_handshake_or_resets_is_seen() {
    let profile = profile("tls12-rsa-plain");
    let broker = brokers().start(&profile).unwrap();
    for how in [Close::Fin, Close::Reset] {
        let mut tcp = TcpStream::connect(broker.address()).unwrap();
        tcp.write_all(&[22, 3, 1, 0, 70, 1]).unwrap();
        if how == Close::Reset {
            socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).unwrap();
        }
        let port = port(&tcp);
        drop(tcp);
        let seen = taken(&broker, port);
        assert_eq!((seen.ended.by, seen.ended.how), (Side::Client, how));
        assert!(seen.error.unwrap().contains("ended in the handshake"));
    }
}

#[test]
fn a_hello_that_comes_byte_by_byte_is_served() {
    let profile = profile("tls12-rsa-plain");
    let broker = brokers().start(&profile).unwrap();
    let (relay, address) = slow_relay(broker.address());
    let agreed =
        brokers::reference::connect(address, &Offer::everything(&broker, &profile)).unwrap();
    let port = relay.recv_timeout(LONG).unwrap();
    drop(agreed);
    let seen = taken(&broker, port);
    assert!(seen.tls.is_some());
    let hello = Stream::parse(&seen.bytes_from(Side::Client)).client_hello.unwrap();
    assert_eq!(hello.server_name.as_deref(), Some("broker.test"));

    /// Passes on what the client says one byte at a time, and what the broker says as it comes.
    fn slow_relay(
        to: std::net::SocketAddr,
    ) -> (std::sync::mpsc::Receiver<u16>, std::net::SocketAddr) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            let broker = TcpStream::connect(to).unwrap();
            broker.set_nodelay(true).unwrap();
            tell.send(common::port(&broker)).unwrap();
            let (mut from, mut into) = (broker.try_clone().unwrap(), client.try_clone().unwrap());
            let back = std::thread::spawn(move || std::io::copy(&mut from, &mut into));
            for byte in std::io::BufReader::new(&client).bytes() {
                let Ok(byte) = byte else { break };
                (&broker).write_all(&[byte]).unwrap();
            }
            broker.shutdown(std::net::Shutdown::Write).unwrap();
            let _either = back.join().unwrap();
        });
        (told, address)
    }
}
