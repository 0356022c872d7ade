//! The messages: what the rig asks, and what the DUT tells.
//!
//! One cell, seen from the line:
//!
//! ```text
//! rig                         DUT
//!  Run(CellCommand)  ------->
//!                    <-------  Connect                 open the TCP connection, please
//!  Connected         ------->
//!                    <-------  Log, Phase, Secret ...  as they happen
//!                    <-------  Write(bytes)            for the broker; not acknowledged
//!                    <-------  Read { at_most }        exactly one of Data, Closed, Abort answers
//!  Data(bytes)       ------->
//!                    <-------  Close                   the client closed its socket
//!                              (from Connect once more, if the command asks for a second connection)
//!                    <-------  Done(CellResult)        nothing of this token follows
//! ```
//!
//! Everything is borrowed from the receive buffer: neither side allocates to read a message.
//! Text from the DUT is bytes here, because a debug line may quote a certificate: the rig makes it
//! safe to show.

use crate::tls::{CipherSuite, ProtocolVersion};
use serde::{Deserialize, Serialize};

/// Rig to DUT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command<'a> {
    /// Say who you are; answered by [`Event::Identity`] under the token of the question.
    Identify,
    /// Run one cell; every further frame of it carries this frame's token.
    Run(#[serde(borrow)] CellCommand<'a>),
    /// The TCP connection that [`Event::Connect`] asked for is open.
    Connected,
    /// It could not be opened.
    ConnectFailed,
    /// The bytes that [`Event::Read`] asked for: at least one, at most as many as asked.
    Data(&'a [u8]),
    /// Instead of data: the broker ended the connection, and all it had sent has been read.
    Closed(Closing),
    /// Instead of any awaited answer: the rig gives the cell up. The DUT ends it and says
    /// [`Event::Done`] with [`Ending::Aborted`].
    Abort,
}

/// How the broker's end of the connection went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Closing {
    /// In good order (FIN): `recv` returns 0.
    Fin,
    /// Reset (RST): `recv` fails with ECONNRESET.
    Reset,
}

/// Everything a DUT needs to run one cell: the client's profile, and what the test bed adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellCommand<'a> {
    /// Seed of the client's random numbers, so that a cell can be repeated to the byte.
    /// A fixed seed makes every key worthless outside of a test.
    pub seed: u64,
    /// First argument to `mbedtls_ssl_config_defaults` that matters.
    pub preset: Preset,
    /// Lowest version, if the profile sets one over the preset.
    pub min_version: Option<ProtocolVersion>,
    /// Highest version, if the profile sets one over the preset.
    pub max_version: Option<ProtocolVersion>,
    /// Suite list over the preset's, most wanted first.
    pub cipher_suites: Option<SuiteList<'a>>,
    /// What is done about the broker's certificate.
    pub verify: Verify,
    /// The CA certificate in DER; empty if the profile has none.
    pub ca: &'a [u8],
    /// Whether and how the host name is set.
    pub host_name: HostName<'a>,
    /// The max_fragment_length extension, RFC 6066 section 4.
    pub max_fragment_length: MaxFragmentLength,
    /// The extended_master_secret extension, RFC 7627: `false` turns it off.
    pub extended_master_secret: bool,
    /// The encrypt_then_mac extension, RFC 7366: `false` turns it off.
    pub encrypt_then_mac: bool,
    /// Session tickets, RFC 5077 and RFC 8446 4.6.1: `false` turns them off, which leaves resumption
    /// by session identifier.
    pub session_tickets: bool,
    /// Connect a second time after the first connection went through, and offer its session.
    pub reconnect: bool,
    /// What the client shows if the broker asks for a certificate.
    pub own_certificate: Option<OwnCertificate<'a>>,
    /// A key that client and broker share, RFC 4279.
    pub psk: Option<Psk<'a>>,
    /// mbedTLS debug threshold, 0 (nothing) to 4 (everything).
    pub log_level: u8,
    /// Which lines of debug output the DUT sends: those of level 1, which are errors, and those
    /// that hold one of these texts, one text a line. Empty: all. The other lines are made and then
    /// dropped: on a slow line, sending them is what takes time.
    pub log_only: &'a str,
    /// What is said once TLS stands.
    pub mqtt: Mqtt<'a>,
}

/// A client's certificate and its key, both in DER; the key in PKCS #1, SEC 1 or PKCS #8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnCertificate<'a> {
    /// The certificate.
    pub certificate: &'a [u8],
    /// The private key. Nothing but a test's key may ever travel like this.
    pub key: &'a [u8],
}

/// The arguments of `mbedtls_ssl_conf_psk`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Psk<'a> {
    /// The name under which the broker knows the key.
    pub identity: &'a str,
    /// The key.
    pub key: &'a [u8],
}

/// Cipher suites in the order of preference, two bytes each, big-endian as in a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteList<'a>(pub &'a [u8]);

impl<'a> SuiteList<'a> {
    /// The suites one by one. An odd last byte is ignored.
    pub fn iter(&self) -> impl Iterator<Item = CipherSuite> + use<'a> {
        let (pairs, _) = self.0.as_chunks::<2>();
        pairs.iter().map(|pair| CipherSuite(u16::from_be_bytes(*pair)))
    }
}

/// The `preset` argument of `mbedtls_ssl_config_defaults`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Preset {
    /// `MBEDTLS_SSL_PRESET_DEFAULT`.
    Default,
    /// `MBEDTLS_SSL_PRESET_SUITEB`, RFC 6460.
    SuiteB,
}

/// The argument of `mbedtls_ssl_conf_authmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verify {
    /// `MBEDTLS_SSL_VERIFY_NONE`: what the SDK does without a root CA.
    None,
    /// `MBEDTLS_SSL_VERIFY_OPTIONAL`.
    Optional,
    /// `MBEDTLS_SSL_VERIFY_REQUIRED`: what the SDK does with a root CA.
    Required,
}

/// What becomes of `mbedtls_ssl_set_hostname`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostName<'a> {
    /// Never called, as in the SDK: no SNI, no check of the certificate's name.
    NotSet,
    /// Called with NULL: the same on purpose.
    Null,
    /// Called with this name.
    Name(&'a str),
}

/// The argument of `mbedtls_ssl_conf_max_frag_len`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MaxFragmentLength {
    /// As the SDK does: ask for the content length if it is 512, 1024, 2048 or 4096, else nothing.
    AsSdk,
    /// Never ask.
    Off,
    /// Ask for this many bytes: 512, 1024, 2048 or 4096.
    Bytes(u16),
}

/// The MQTT part of a cell: CONNECT, one PUBLISH with QoS 1 to a topic it subscribed to and back,
/// DISCONNECT (MQTT 3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mqtt<'a> {
    /// Client identifier in CONNECT.
    pub client_id: &'a str,
    /// Topic to subscribe and publish to.
    pub topic: &'a str,
    /// Payload to publish and expect back.
    pub payload: &'a [u8],
}

/// DUT to rig.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event<'a> {
    /// Who speaks: the answer to [`Command::Identify`], and said once after boot with
    /// [`Token::NONE`](crate::Token::NONE).
    #[serde(borrow)]
    Identity(Identity<'a>),
    /// Open the TCP connection to the broker; the rig knows which.
    Connect,
    /// Bytes for the broker.
    Write(&'a [u8]),
    /// The client waits for bytes from the broker.
    Read {
        /// Size of its buffer; never 0.
        at_most: u16,
    },
    /// The client closed its socket.
    Close,
    /// One line of the TLS library's debug output.
    Log(LogLine<'a>),
    /// A phase has ended.
    Phase(PhaseMark),
    /// The cell has ended.
    Done(CellResult),
    /// A secret that the library has just derived. Whoever has it can read the connection's records:
    /// it is for the capture of a test, and no device in the field may ever tell one.
    Secret(Secret<'a>),
}

/// A secret of one connection. It is known to the rig by the random number of the ClientHello that
/// went over the line before it: mbedTLS before 2.20 does not hand that number out beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret<'a> {
    /// Which.
    pub kind: SecretKind,
    /// 48 bytes of a master secret, else as many as the suite's hash has.
    pub bytes: &'a [u8],
}

/// Which secret: RFC 5246 8.1 and RFC 8446 7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is named in its RFC")]
pub enum SecretKind {
    Master,
    ClientHandshakeTraffic,
    ServerHandshakeTraffic,
    ClientApplicationTraffic,
    ServerApplicationTraffic,
}

impl SecretKind {
    /// Its name in a key log (`SSLKEYLOGFILE`); a master secret's says by what it is found.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Master => "CLIENT_RANDOM",
            Self::ClientHandshakeTraffic => "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
            Self::ServerHandshakeTraffic => "SERVER_HANDSHAKE_TRAFFIC_SECRET",
            Self::ClientApplicationTraffic => "CLIENT_TRAFFIC_SECRET_0",
            Self::ServerApplicationTraffic => "SERVER_TRAFFIC_SECRET_0",
        }
    }
}

/// What a DUT says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity<'a> {
    /// The build, for example `mbedtls-2.4.0/rsa-16384`.
    pub build: &'a str,
    /// Content hash of the sources that the image was made from; the rig set it when building.
    pub image: &'a str,
    /// The library's own version string, for example `mbed TLS 2.4.0`.
    pub library: &'a str,
    /// The board the image was made for, for example `native` or `mps2-an385`.
    pub board: &'a str,
    /// What the image was compiled with, for example `rustc 1.96.0, gcc 12.2.1`: figures of images
    /// from other compilers are no measure for this one.
    pub compilers: &'a str,
    /// What the numbers in [`PhaseMark`] count.
    pub clock: ClockUnit,
}

/// What a DUT's clock counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockUnit {
    /// Executed instructions (emulated board, repeatable).
    Instructions,
    /// Core clock cycles (DWT on silicon).
    Cycles,
    /// Nanoseconds of the host's monotonic clock.
    #[serde(rename = "ns")]
    Nanoseconds,
}

/// One line of debug output as the library handed it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine<'a> {
    /// mbedTLS debug level, 1 to 4.
    pub level: u8,
    /// Source file without its folder.
    pub file: &'a [u8],
    /// Line in that file.
    pub line: u16,
    /// The text without its final line feed, of any encoding.
    pub text: &'a [u8],
}

/// A stretch of a cell, in the order in which a full TLS 1.2 handshake runs through them.
///
/// The handshake's phases are the client states of RFC 5246 7.3, one for each state of mbedTLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is named after the message that it sends or awaits")]
pub enum Phase {
    TcpConnect,
    Setup,
    HelloRequest,
    ClientHello,
    ServerHello,
    ServerCertificate,
    ServerKeyExchange,
    CertificateRequest,
    ServerHelloDone,
    ClientCertificate,
    ClientKeyExchange,
    CertificateVerify,
    ClientChangeCipherSpec,
    ClientFinished,
    NewSessionTicket,
    ServerChangeCipherSpec,
    ServerFinished,
    FlushBuffers,
    HandshakeWrapup,
    EncryptedExtensions,
    MqttConnect,
    MqttSubscribe,
    MqttPublish,
    MqttDisconnect,
    Over,
}

/// How long one phase took, in units of the DUT's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseMark {
    /// The phase that ended.
    pub phase: Phase,
    /// What the client itself needed: all time that is not `wait`.
    pub compute: u64,
    /// Time that a device in the field would not need, or not need for itself: sending frames,
    /// waiting for the rig and for the broker behind it, and making debug output.
    pub wait: u64,
}

/// What the client made of the cell; of the second connection, if it made one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellResult {
    /// How it ended.
    pub ending: Ending,
    /// The phase in which it ended; [`Phase::Over`] if every phase was passed.
    pub stage: Phase,
    /// Negotiated version; `None` before ServerHello.
    pub version: Option<ProtocolVersion>,
    /// Negotiated suite; `None` before ServerHello.
    pub cipher_suite: Option<CipherSuite>,
    /// `mbedtls_ssl_get_verify_result`, if a certificate was looked at.
    pub verify_flags: Option<u32>,
    /// Whether the second connection resumed the first one's session: it was not shown the
    /// certificate again. `None` if there was no second one, or if its handshake failed.
    pub resumed: Option<bool>,
    /// CONNACK return code, MQTT 3.1.1 section 3.2.2.3; `None` if no CONNACK came.
    pub connack: Option<u8>,
    /// Units of the DUT's clock that the client itself needed, over all phases.
    pub compute: u64,
    /// Units of the DUT's clock in the link and in debug output, over all phases.
    pub wait: u64,
    /// Most heap bytes in use at one time during the cell.
    pub heap_peak: u32,
    /// Most stack bytes in use; `None` where the board cannot tell (native).
    pub stack_peak: Option<u32>,
    /// Frames dropped since the last cell because they were damaged or had another token.
    pub dropped_frames: u32,
}

/// How a cell ended, as the client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// TLS, CONNACK with code 0, the PUBLISH there and back, DISCONNECT.
    Connected,
    /// The TLS library returned this error, for example `-0x7280`.
    Tls(i32),
    /// TLS stands, MQTT went wrong.
    Mqtt(MqttFailure),
    /// This build cannot do what the profile asks.
    Unsupported(Unsupported),
    /// No TCP connection.
    NotConnected,
    /// The rig sent [`Command::Abort`].
    Aborted,
}

/// What went wrong after the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MqttFailure {
    /// CONNACK with a return code other than 0.
    Refused,
    /// The broker closed the connection (close_notify or FIN) where a packet was due.
    Closed,
    /// A packet that cannot be read, or not the one that was due.
    Protocol,
    /// The published message came back changed.
    Payload,
}

/// What a build lacks for a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unsupported {
    /// A version that is not compiled in.
    Version,
    /// A cipher suite in the list is unknown to this build.
    CipherSuite,
    /// max_fragment_length is not compiled in.
    MaxFragmentLength,
    /// server_name is not compiled in.
    HostName,
    /// No key exchange with a pre-shared key is compiled in.
    PreSharedKey,
    /// The profile needs something else that this firmware does not know.
    Other,
}
