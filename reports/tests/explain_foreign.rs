//! Logs in the formats of other programs, each written here after what such programs print: never a
//! cause that the lines do not prove, and as much of what they do say as is certain.

#![allow(clippy::unwrap_used, reason = "helpers of tests are test code")]

use reports::Cause;
use reports::explain::{Beside, Explanation, explain};
use std::fmt::Write;

fn alone(log: &str) -> Explanation {
    explain(log.as_bytes(), &Beside::default())
}

fn compare(name: &str, text: impl std::fmt::Display) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_snapshot_path("snapshots/explain");
    settings.bind(|| insta::assert_snapshot!(name, text.to_string()));
}

/// What is said of each log, without the evidence and what to add.
fn said(logs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, log) in logs {
        let Explanation { diagnosis, errors, connections, .. } = alone(log);
        let _ = writeln!(text, "{name}\n  {}: {}", diagnosis.cause, diagnosis.summary);
        let errors: Vec<_> = errors
            .into_iter()
            .map(|error| format!("log line {}: {}", error.line, error.text))
            .collect();
        let candidates: Vec<_> = diagnosis.candidates.iter().map(ToString::to_string).collect();
        for (title, lines) in [
            ("evidence", &diagnosis.evidence),
            ("fix", &diagnosis.fix),
            ("may be", &candidates),
            ("error", &errors),
        ] {
            for line in lines {
                let _ = writeln!(text, "  {title}: {line}");
            }
        }
        if connections > 1 {
            let _ = writeln!(text, "  connections: {connections}");
        }
    }
    text
}

/// Other libraries are called by name, servers are told apart, and neither has a cause.
#[test]
fn what_is_no_mbedtls_client() {
    let logs = [
        (
            "openssl on a broker",
            "New connection from 10.0.0.9.\nOpenSSL Error[0]: error:0A000412:SSL routines::sslv3 alert bad certificate\n",
        ),
        ("wolfssl", "wolfSSL Entering wolfSSL_connect_TLSv13\nTLS connect error -188\n"),
        ("bearssl", "SDK:3.0/Core:3.1/lwIP:2.1/BearSSL:abc\nBSSL:_connectSSL: start connection\n"),
        (
            "axtls",
            "State:\tsending Client Hello (1)\nAlert: handshake failure\nError: SSL error 40\n",
        ),
        ("gnutls", "gnutls_handshake() failed: The TLS connection was non-properly terminated.\n"),
        ("go", "remote error: tls: unknown certificate authority\n"),
        (
            "tasmota",
            "MQT: Attempting connection...\nMQT: TLS connection error: 55\nMQT: Connect failed to broker.test:8883, rc -2. Retry in 20 sec\n",
        ),
        (
            "no tls",
            "I (29) boot: chip revision: v3.0\nI (70) wifi: rssi -73\nE (90) i2c: write returned -0x10\nE (95) nvs: ret = -0x1102\nW (99) app: steps -29312, rc=-1\n",
        ),
        (
            "a server of 2.x",
            "ssl_srv.c:4259: |2| server state: 1\nssl_srv.c:1397: |2| => parse client hello\nssl_tls.c:4000: |1| is a fatal alert message (msg 48)\nmbedtls_ssl_handshake returned -0x7780\n",
        ),
        (
            "a server of 3.x",
            "ssl_tls12_server.c:1475: |1| got no ciphersuites in common\nssl_tls.c:4600: |2| <= handshake\nhandshake returned -0x6e00\n",
        ),
        (
            "a server that is not spoken to in TLS",
            "ssl_tls.c:3534: |4| dumping 'input record from network' (10 bytes)\nssl_tls.c:3534: |4| 0000:  47 45 54 20 2f 20 48 54 54 50  GET / HTTP\nssl_srv.c:1500: |1| bad client hello message\nmbedtls_ssl_handshake returned -0x7900\n",
        ),
        (
            "a server of ESP-IDF",
            "E (900) esp-tls-mbedtls: mbedtls_ssl_handshake returned -0x7780\nE (901) esp_https_server: esp_tls_create_server_session failed\n",
        ),
        (
            "a server without memory",
            "  . Waiting for a remote connection ... ok\n  ! mbedtls_ssl_handshake returned -0x7f00\n",
        ),
    ];
    for (name, log) in logs {
        assert_eq!(alone(log).diagnosis.cause, Cause::InsufficientEvidence, "{name}");
    }
    compare("foreign_no_client", said(&logs));
}

/// What the SDKs' own words and numbers tell.
#[test]
fn what_sdks_say() {
    let logs = [
        (
            "no name",
            "E (90) esp-tls: couldn't get hostname for :broker.test: getaddrinfo() returns 202\nE (91) esp-tls: Failed to open new connection\n",
        ),
        ("no name, by number", "I (90) app: Last error code reported from esp-tls: 0x8001\n"),
        (
            "no connection",
            "[E][ssl_client.cpp:87] start_ssl_client(): Connect to Server failed!\n[E] connect(): start_ssl_client: -1\n",
        ),
        (
            "a name after all",
            "DNS lookup failed\nDNS lookup succeeded\nSSL handshake failed: -261\n",
        ),
        ("out of time", "W (90) esp-tls: Failed to open new connection in specified timeout\n"),
        (
            "the bundle has no root",
            "I (90) esp-x509-crt-bundle: No matching trusted root certificate found\nE (91) esp-tls-mbedtls: mbedtls_ssl_handshake returned -0x3000\n",
        ),
        (
            "the bundle has no memory",
            "E (90) esp-x509-crt-bundle: PK verify failed with error 0x4290\nE (91) esp-tls-mbedtls: mbedtls_ssl_handshake returned -0x3000\n",
        ),
        ("the check broke off", "E (91) esp-tls-mbedtls: mbedtls_ssl_handshake returned -0x3000\n"),
        ("kept as a positive number", "I (90) app: Last tls stack error number: 0x2700\n"),
        (
            "after the handshake",
            "[D] start_ssl_client(): Protocol is TLSv1.2 Ciphersuite is TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384\n[E] _handle_error(): [data_to_read():324]: (-30592) SSL - A fatal alert message was received from our peer\n",
        ),
        ("text alone", "SSL error: SSL - The operation timed out\n"),
        (
            "zephyr, without 0x",
            "<err> net_sock_tls: TLS handshake error: -2700\n<err> app: connect: -113\n",
        ),
        ("unsigned", "SSL connect, ret = 0xffff8880\n"),
        (
            "psa before its init",
            "ssl_tls13_generic.c:1689: psa_generate_key() returned -27648 (-0x6c00)\nmbedtls_ssl_handshake returned -0x6c00\n",
        ),
        (
            "a status of psa",
            "ssl_tls13_generic.c:1689: psa_generate_key() returned -137 (-0x0089)\n",
        ),
        ("psa without memory", "mbedtls_ssl_handshake returned -141\n"),
        (
            "a ticket of 3.x",
            "ssl_tls13_client.c:3059: <= parse new session ticket\nssl_msg.c:5824: mbedtls_ssl_handshake() returned -31488 (-0x7b00)\n",
        ),
        (
            "a ticket that an application trips over",
            "E (90) esp-tls-mbedtls: read error :-0x7B00\n",
        ),
        (
            "an untrusted revocation list",
            "mbedtls_ssl_handshake returned -0x2700\n  ! The CRL is not correctly signed by the trusted CA\n",
        ),
        ("a flag without an error", "handshake fails over MBEDTLS_X509_BADCERT_BAD_KEY\n"),
        (
            "dtls",
            "ssl_cli.c:3510: client state: 2\nssl_tls.c:4973: dumping 'input record from network' (16 bytes)\nssl_tls.c:4973: 0000:  16 fe fd 00 00 00 00 00 00 00 00 00 03 02 00 00  ................\nssl_tls.c:5010: mbedtls_ssl_read_record() returned -29184 (-0x7200)\n",
        ),
        (
            "states of a program's own",
            "ssl->state = 11\nssl->state = 17\nssl_tls.c:4095: is a fatal alert message (msg 40)\nssl_cli.c:3279: mbedtls_ssl_read_record() returned -30592 (-0x7780)\n",
        ),
        (
            "bare hexadecimal of a handshake",
            "mbedtls_ssl_handshake error: -4290\nOSError: [Errno 5] EIO\n",
        ),
        (
            "two names in one",
            "OSError: (-17040, 'MBEDTLS_ERR_RSA_PUBLIC_FAILED+MBEDTLS_ERR_MPI_ALLOC_FAILED')\n",
        ),
        (
            "a number of the application's own",
            "app TLS[ssl_cli.c:3279 2]: client state: 3\napp TLS[ssl_tls.c:3831 1]: mbedtls_ssl_fetch_input() returned -32768 (-0x8000)\napp TLS[ssl_tls.c:6345 2]: <= handshake\napp TLS[ssl_tls.c:6335 2]: => handshake\n",
        ),
        (
            "a failure without a number",
            "client handshake start.\nclient handshake ok!\nclient handshake start.\nclient handshake failed\n",
        ),
        (
            "the broker's lines beside the client's",
            "nginx: SSL_do_handshake() failed (SSL routines::no shared cipher)\nmbedtls_ssl_handshake returned -0x7780\n",
        ),
        (
            "a forum's typesetting",
            "ssl_cli.c:3279: client state: 3\nssl_tls.c:4400: \u{201c}x509_verify_cert() returned \u{2013}9984 (\u{2013}0x2700)\u{201d}\nmbedtls_ssl_handshake returned \u{2212}0x2700\n",
        ),
        (
            "verify flags in decimal",
            "mbedtls_ssl_handshake returned -0x2700\nstack_err=9984; cert_verify_flags=8;error_type=1\n",
        ),
        (
            "two connections",
            "connecting to broker\nmbedtls_ssl_handshake returned -0x2700\n  ! The certificate validity starts in the future\nthe clock is set\nconnecting to broker\nmbedtls_ssl_handshake returned -0x2700\n  ! The certificate is not correctly signed by the trusted CA\n",
        ),
    ];
    compare("foreign_sdks", said(&logs));
}

/// A handshake is over when the library says so, not when its function comes back: who asks again and
/// again hears `<= handshake` each time, without an error.
#[test]
fn a_handshake_that_is_asked_for_again_is_not_over() {
    let waiting = "ssl_cli.c:3279: |2| client state: 2\nssl_cli.c:1475: |2| => parse server hello\nssl_tls.c:2900: |2| in_left: 0, nb_want: 5\nssl_tls.c:6345: |2| <= handshake\n";
    let again = "ssl_tls.c:6335: |2| => handshake\n";
    let uses = "ssl_tls.c:7200: |2| => read\nssl_tls.c:3700: |2| => read record\n";
    let reads_first = format!("ssl_tls.c:7200: |2| => read\n{again}{waiting}");
    let failed = "ssl_tls.c:2950: |1| mbedtls_ssl_fetch_input() returned -29312 (-0x7280)\n";
    let logs = [
        ("it waits", waiting.to_owned()),
        ("it waits, and is asked again", [waiting, again, waiting].concat()),
        ("by a program that reads at once", format!("{waiting}{reads_first}")),
        ("and fails", [waiting, again, waiting, again, failed].concat()),
        ("it is over, since the program goes on to read", [waiting, uses].concat()),
    ];
    let logs: Vec<_> = logs.iter().map(|(name, log)| (*name, log.as_str())).collect();
    compare("asked_again", said(&logs));
}

/// A terminal cut the number of bytes: one of 125 is not all there is.
#[test]
fn a_dump_whose_length_was_cut_is_not_whole() {
    let log = "ssl_tls.c:3656: |4| dumping 'input record from network' (1\nssl_tls.c:3656: |4| 0000:  16 03 03 00 78 0d\nssl_tls.c:3656: |4| dumping 'input record from network' (9 bytes)\nssl_tls.c:3656: |4| 0000:  16 03 03 00 04 0e 00 00 00\nmbedtls_ssl_handshake returned -0x7780\n";
    assert_eq!(alone(log).diagnosis.cause, Cause::InsufficientEvidence);
}

/// What is no connection's: the library's header, somebody's own words, the frames of a stack.
#[test]
fn what_stands_beside_a_log() {
    let logs = [
        (
            "a number looked up",
            "mbedtls_ssl_handshake returned -0x7780\n//#define MBEDTLS_ERR_SSL_TIMEOUT  -0x6800  /**< The operation timed out. */\n#define MBEDTLS_ERR_SSL_ALLOC_FAILED -0x7F00\n",
        ),
        (
            "a question before the log",
            "My board fails with -0x7780, mbedtls_ssl_handshake says. The log:\nssl_tls.c:6335: |2| => handshake\nssl_cli.c:3279: |2| client state: 0\nssl_cli.c:3279: |2| client state: 1\nssl_cli.c:717: |2| => write client hello\n",
        ),
        (
            "the frames of a stack",
            "mbedtls_ssl_handshake returned -0x2700\nStacktrace:\n [3] handshake!(c::Context)\n [4] connect(host, port)\n",
        ),
    ];
    compare("beside_a_log", said(&logs));
    assert_eq!(logs.map(|(_, log)| alone(log).debug_level), [None, Some(2), None]);
}

/// Programs that give up in their own words.
#[test]
fn programs_that_give_up_in_their_own_words() {
    let logs = [
        ("curl", "curl: (60) Cert verify failed: BADCERT_NOT_TRUSTED\n"),
        (
            "libwebsockets",
            "[2022/01/01 12:00:01] N: server's cert didn't look good, X509_V_ERR = 24: CA is not trusted\n",
        ),
        (
            "micropython out of memory",
            "mbedtls_ssl_handshake error: -10\nOSError: [Errno 12] ENOMEM\n",
        ),
        (
            "micropython with a number of the system's",
            "mbedtls_ssl_handshake error: -71\nOSError: [Errno 5] EIO\n",
        ),
        (
            "mqtt on an Ameba",
            "[MQTT INFO] Start SSL connect..\n[MQTT WARN] Connection refuse, reason code: 5\n",
        ),
        ("esp-mqtt", "W (2343) MQTT_CLIENT: Connection refused, not authorized\n"),
        ("http", "[HTTPClient] connection refused\n"),
        (
            "http whose session ended in order",
            "client handshake start.\nclient handshake ok!\nGET / HTTP/1.1\nReason:[-0x7880]\n",
        ),
        (
            "arduino without words",
            "[E][ssl_client.cpp:37] _handle_error(): [data_to_read():361]: (-76) UNKNOWN ERROR CODE (004C)\n",
        ),
        (
            "a server that accepts",
            "Incoming SSL connection from 10.0.0.9\nTLS accept processing\nssl_accept rc: -30592, state: 11\n",
        ),
        (
            "an alert that stands for no reason of its own",
            "ssl_cli.c:3279: |2| client state: 3\nssl_tls.c:4400: |1| x509_verify_cert() returned -9984 (-0x2700)\nssl_tls.c:4800: |3| send alert level=2 message=46\n",
        ),
        (
            "no pre-shared key",
            "ssl_cli.c:3279: |2| client state: 8\nssl_cli.c:2732: |2| => write client key exchange\nssl_cli.c:2827: |1| got no private key for PSK\nssl_tls.c:6345: |2| <= handshake\nError: -30208\n",
        ),
        (
            "an error of RSA within another",
            "ssl_cli.c:3279: |2| client state: 9\nssl_cli.c:3249: |1| mbedtls_pk_sign() returned -34432 (-0x8680)\n",
        ),
    ];
    compare("own_words", said(&logs));
}

/// Numbers that mean something else, in a log that is about TLS.
#[test]
fn other_numbers_are_no_errors() {
    for line in [
        "I (70) app: tls up, rssi -80 dBm",
        "W (71) app: motor settles at -32512",
        "I (72) app: ssl keepalive timeout -5000",
        "I (73) tls: heap min -10000 err 0",
        "D (74) app: TLS context at 0x3ffc7f00, err none",
        "D (75) app: ssl buffer of 0x4000 bytes",
        "E (76) i2c: write returned -0x10",
        "I (77) wifi: rc=-1, uptime 29312 s",
        "I (78) app: certificate of 2027-07-28 is in use",
        "tls: retry in -80",
    ] {
        let log = format!("I (60) app: starting the tls handshake\n{line}\n");
        let seen = alone(&log);
        assert!(seen.errors.is_empty(), "{line}: {:?}", seen.errors);
        assert_eq!(seen.diagnosis.cause, Cause::InsufficientEvidence, "{line}");
    }
}
