//! One TLS client session over the C library.

use crate::error::Error;
use crate::ffi::{self, RigHost, RigSession, RigTls};
use crate::heap;
use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::string::String;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use wire::message::{
    CellCommand, HostName, MaxFragmentLength, Phase, Preset, SecretKind, Unsupported, Verify,
};
use wire::tls::{CipherSuite, ProtocolVersion};

/// What a session needs from its surroundings: a connection, and somebody to read the log.
pub trait Host {
    /// Sends bytes to the broker; returns how many were taken.
    ///
    /// # Errors
    /// [`HostError`] tells the library how the connection failed.
    fn send(&mut self, bytes: &[u8]) -> Result<usize, HostError>;

    /// Waits for bytes from the broker; 0 means that the broker has closed the connection.
    ///
    /// # Errors
    /// [`HostError`] tells the library how the connection failed.
    fn recv(&mut self, buffer: &mut [u8]) -> Result<usize, HostError>;

    /// Takes one line of debug output, without its line feed. `file` has no folder.
    fn log(&mut self, level: u8, file: &[u8], line: u16, text: &[u8]);

    /// Says when making debug output begins (`true`) and ends: a device in the field makes none, so
    /// this time is not the handshake's.
    fn logging(&mut self, on: bool);

    /// Takes a secret of the connection, as soon as the library has derived it.
    fn secret(&mut self, kind: SecretKind, bytes: &[u8]);
}

/// How a connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostError {
    /// It was reset: the library reports -0x0050.
    Reset,
    /// The rig gave the cell up: the session fails with [`Error::ABORTED`].
    Aborted,
}

/// Why a session could not be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupError {
    /// The library refuses.
    Tls(Error),
    /// This build cannot do what the profile asks.
    Unsupported(Unsupported),
}

impl From<Error> for SetupError {
    fn from(error: Error) -> Self {
        Self::Tls(error)
    }
}

/// The library's own version string, for example `mbed TLS 2.4.0`.
#[must_use]
pub fn library_version() -> String {
    let mut text = [0; 18];
    // SAFETY: the library writes at most 18 bytes including the final 0 (version.h).
    unsafe { ffi::rig_library_version(text.as_mut_ptr()) };
    // A c_char is signed on some targets and not on others.
    text.iter().take_while(|c| **c != 0).map(|c| char::from(c.to_ne_bytes()[0])).collect()
}

/// Lets the library work out what it works out once: the list of suites that are compiled in. Done
/// at boot, so that the first cell costs as much as any other.
pub fn warm_up() {
    // SAFETY: fills a table of the library's own; nothing else runs.
    unsafe { ffi::rig_warm_up() };
}

/// `MBEDTLS_SSL_MAX_CONTENT_LEN` of this build, in bytes.
#[must_use]
pub fn content_length() -> usize {
    // SAFETY: returns a constant.
    unsafe { ffi::rig_content_length() as usize }
}

/// What the C callbacks find behind their context pointer.
struct Context<H> {
    host: NonNull<H>,
    random: ChaCha8Rng,
}

/// What a connection leaves for a later one to resume: session identifier, master secret, ticket.
pub struct Saved(NonNull<RigSession>);

impl Drop for Saved {
    fn drop(&mut self) {
        // SAFETY: it is from `rig_tls_save`, and nothing else frees it.
        unsafe { ffi::rig_session_free(self.0.as_ptr()) };
    }
}

/// One TLS client session.
pub struct Session<'h, H: Host> {
    tls: NonNull<RigTls>,
    /// From `Box::into_raw`: C holds the same pointer, so it is never used as a Box before the end.
    context: NonNull<Context<H>>,
    /// C reads the list and the name only while they are set, but the session owns the host.
    host: PhantomData<&'h mut H>,
}

impl<'h, H: Host> Session<'h, H> {
    /// Sets a session up in the order of the SDK's `MQTTFreertos.c`: preset, transport, random
    /// numbers, fragment length, `ssl_setup`, CA and verification. What the SDK never calls
    /// (version bounds, suite list, host name) is done where an application would add it.
    ///
    /// # Errors
    /// [`SetupError`] with the library's error, or what this build does not know.
    pub fn new(host: &'h mut H, command: &CellCommand<'_>) -> Result<Self, SetupError> {
        // SAFETY: both functions keep the contract of their C namesakes for the life of the
        // program.
        unsafe { ffi::rig_tls_set_memory(heap::calloc, heap::free) };
        let random = ChaCha8Rng::seed_from_u64(command.seed);
        let context = Box::into_raw(Box::new(Context { host: NonNull::from(host), random }));
        let callbacks = RigHost {
            context: context.cast(),
            send: send::<H>,
            recv: recv::<H>,
            random: random_bytes::<H>,
            log: log::<H>,
            logging: logging::<H>,
            secret: secret::<H>,
        };
        // SAFETY: the shim copies `callbacks`; the context lives until the session is dropped,
        // which frees the C side first.
        let tls = unsafe { ffi::rig_tls_new(&raw const callbacks, c_int::from(command.log_level)) };
        let (Some(tls), Some(context)) = (NonNull::new(tls), NonNull::new(context)) else {
            // SAFETY: the pointer is from Box::into_raw above, and C did not keep it.
            drop(unsafe { Box::from_raw(context) });
            return Err(Error::ALLOC_FAILED.into());
        };
        let mut session = Self { tls, context, host: PhantomData };
        session.configure(command)?;
        Ok(session)
    }

    fn configure(&mut self, command: &CellCommand<'_>) -> Result<(), SetupError> {
        let tls = self.tls.as_ptr();
        let suite_b = command.preset == Preset::SuiteB;
        // SAFETY: here and below, `tls` is a live session; buffers are passed with their lengths,
        // and the shim copies what it keeps.
        check(unsafe { ffi::rig_tls_defaults(tls, c_int::from(suite_b)) })?;
        if let Some(version) = command.min_version {
            let minor = minor(version)?;
            // SAFETY: as above.
            check(unsafe { ffi::rig_tls_min_version(tls, minor) })?;
        }
        if let Some(version) = command.max_version {
            let minor = minor(version)?;
            // SAFETY: as above.
            check(unsafe { ffi::rig_tls_max_version(tls, minor) })?;
        }
        if let Some(suites) = command.cipher_suites {
            let pairs = suites.0;
            // SAFETY: as above; an odd last byte is not passed.
            let known =
                check(unsafe { ffi::rig_tls_suites(tls, pairs.as_ptr(), pairs.len() / 2) })?;
            if known == 0 {
                return Err(SetupError::Unsupported(Unsupported::CipherSuite));
            }
        }
        self.fragment_length(command.max_fragment_length)?;
        self.extras(command)?;
        // SAFETY: as above.
        check(unsafe { ffi::rig_tls_setup(tls) })?;
        let mode = match command.verify {
            Verify::None => 0,
            Verify::Optional => 1,
            Verify::Required => 2,
        };
        // SAFETY: as above.
        check(unsafe { ffi::rig_tls_verify(tls, mode, command.ca.as_ptr(), command.ca.len()) })?;
        if let Some(own) = command.own_certificate {
            let (certificate, key) = (own.certificate, own.key);
            // SAFETY: as above; the library copies what it parses.
            check(unsafe {
                ffi::rig_tls_own_certificate(
                    tls,
                    certificate.as_ptr(),
                    certificate.len(),
                    key.as_ptr(),
                    key.len(),
                )
            })?;
        }
        match command.host_name {
            HostName::NotSet => {}
            // SAFETY: as above; NULL is allowed by the shim.
            HostName::Null => drop(check(unsafe { ffi::rig_tls_host_name(tls, ptr::null()) })?),
            HostName::Name(name) => {
                let unusable = SetupError::Unsupported(Unsupported::HostName);
                let name = CString::new(name).map_err(|_| unusable)?;
                // SAFETY: as above; the library copies the name.
                check(unsafe { ffi::rig_tls_host_name(tls, name.as_ptr()) })?;
            }
        }
        Ok(())
    }

    /// What the SDK never touches, but an application may.
    fn extras(&mut self, command: &CellCommand<'_>) -> Result<(), SetupError> {
        let tls = self.tls.as_ptr();
        if !command.extended_master_secret {
            // SAFETY: here and below, the session is live, and the library copies the key.
            check(unsafe { ffi::rig_tls_no_extended_master_secret(tls) })?;
        }
        if !command.encrypt_then_mac {
            // SAFETY: as above.
            check(unsafe { ffi::rig_tls_no_encrypt_then_mac(tls) })?;
        }
        if !command.session_tickets {
            // SAFETY: as above.
            check(unsafe { ffi::rig_tls_no_tickets(tls) })?;
        } else if command.reconnect {
            // SAFETY: as above.
            unsafe { ffi::rig_tls_keep_tickets(tls) };
        }
        if let Some(psk) = command.psk {
            let (key, name) = (psk.key, psk.identity.as_bytes());
            // SAFETY: as above.
            let set = check(unsafe {
                ffi::rig_tls_psk(tls, key.as_ptr(), key.len(), name.as_ptr(), name.len())
            });
            match set {
                Err(Error::FEATURE_UNAVAILABLE) => {
                    return Err(SetupError::Unsupported(Unsupported::PreSharedKey));
                }
                other => drop(other?),
            }
        }
        Ok(())
    }

    /// What a later connection can resume; `None` if this one has nothing for it.
    #[must_use]
    pub fn save(&mut self) -> Option<Saved> {
        // SAFETY: the session is live; what is saved is a copy.
        NonNull::new(unsafe { ffi::rig_tls_save(self.tls.as_ptr()) }).map(Saved)
    }

    /// Offers to resume what was saved of an earlier connection. Before the first step.
    ///
    /// # Errors
    /// The library's error.
    pub fn offer(&mut self, saved: &Saved) -> Result<(), Error> {
        // SAFETY: both are live, and the library copies what it needs.
        check(unsafe { ffi::rig_tls_offer(self.tls.as_ptr(), saved.0.as_ptr()) }).map(drop)
    }

    /// The SDK asks for the length of its record buffer if the extension has a code for it.
    fn fragment_length(&mut self, wanted: MaxFragmentLength) -> Result<(), SetupError> {
        let bytes = match wanted {
            MaxFragmentLength::Off => return Ok(()),
            MaxFragmentLength::Bytes(bytes) => u32::from(bytes),
            MaxFragmentLength::AsSdk => match content_length() {
                bytes @ (512 | 1024 | 2048 | 4096) => bytes as u32,
                _ => return Ok(()),
            },
        };
        // SAFETY: the session is live.
        check(unsafe { ffi::rig_tls_max_fragment_length(self.tls.as_ptr(), bytes) })
            .map(drop)
            .map_err(|_| SetupError::Unsupported(Unsupported::MaxFragmentLength))
    }

    /// The handshake state that the next [`Session::step`] works on.
    #[must_use]
    pub fn phase(&self) -> Phase {
        // SAFETY: the session is live.
        phase(unsafe { ffi::rig_tls_state(self.tls.as_ptr()) })
    }

    /// Whether the handshake is complete.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase() == Phase::Over
    }

    /// One `mbedtls_ssl_handshake_step`: works on the present state and goes to the next.
    ///
    /// # Errors
    /// The library's error. The session is of no further use then.
    pub fn step(&mut self) -> Result<(), Error> {
        // SAFETY: the session is live, and its callbacks point to live objects.
        check(unsafe { ffi::rig_tls_step(self.tls.as_ptr()) }).map(drop)
    }

    /// Reads decrypted bytes; 0 means that the broker has closed the connection in good order.
    ///
    /// # Errors
    /// The library's error.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        // SAFETY: as for `step`; the buffer is passed with its length.
        let read =
            unsafe { ffi::rig_tls_read(self.tls.as_ptr(), buffer.as_mut_ptr(), buffer.len()) };
        match check(read) {
            Err(Error::PEER_CLOSE_NOTIFY | Error::CONN_EOF) => Ok(0),
            other => other,
        }
    }

    /// Encrypts and sends bytes; returns how many were taken.
    ///
    /// # Errors
    /// The library's error.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        // SAFETY: as for `step`; the bytes are passed with their length.
        check(unsafe { ffi::rig_tls_write(self.tls.as_ptr(), bytes.as_ptr(), bytes.len()) })
    }

    /// The negotiated version, once a ServerHello was accepted.
    #[must_use]
    pub fn version(&self) -> Option<ProtocolVersion> {
        // SAFETY: the session is live.
        let version = unsafe { ffi::rig_tls_version(self.tls.as_ptr()) };
        (version != 0).then_some(ProtocolVersion(version))
    }

    /// The negotiated cipher suite, once a ServerHello was accepted.
    #[must_use]
    pub fn cipher_suite(&self) -> Option<CipherSuite> {
        // SAFETY: the session is live.
        let suite = unsafe { ffi::rig_tls_suite(self.tls.as_ptr()) };
        (suite != 0).then_some(CipherSuite(suite))
    }

    /// `mbedtls_ssl_get_verify_result`, once a certificate was looked at.
    #[must_use]
    pub fn verify_flags(&self) -> Option<u32> {
        let mut flags = 0;
        // SAFETY: the session is live, and the shim writes one value.
        let seen = unsafe { ffi::rig_tls_verify_flags(self.tls.as_ptr(), &raw mut flags) };
        (seen != 0).then_some(flags)
    }

    /// The surroundings that were given to [`Session::new`].
    pub fn host(&mut self) -> &mut H {
        // SAFETY: the host is borrowed for the life of the session, and C uses it only within calls
        // that borrow the session exclusively.
        unsafe { (*self.context.as_ptr()).host.as_mut() }
    }
}

impl<H: Host> Drop for Session<'_, H> {
    fn drop(&mut self) {
        // SAFETY: both are live until here, and nothing else frees them; C goes first, because
        // freeing may still log.
        unsafe {
            ffi::rig_tls_free(self.tls.as_ptr());
            drop(Box::from_raw(self.context.as_ptr()));
        }
    }
}

fn check(code: c_int) -> Result<usize, Error> {
    usize::try_from(code).map_err(|_| Error(code))
}

/// The library takes the second byte of a version.
fn minor(version: ProtocolVersion) -> Result<c_int, SetupError> {
    let family = ProtocolVersion::TLS1_0..=ProtocolVersion::TLS1_3;
    let minor = c_int::from(version.0 & 0xff);
    // SAFETY: compares constants.
    if family.contains(&version) && unsafe { ffi::rig_knows_version(minor) } != 0 {
        Ok(minor)
    } else {
        Err(SetupError::Unsupported(Unsupported::Version))
    }
}

/// What `rig_tls_state` returns, see shim.h. TLS 1.3 goes through the states of TLS 1.2 where it has
/// a message of the same name.
fn phase(state: c_int) -> Phase {
    match state {
        0 => Phase::HelloRequest,
        1 => Phase::ClientHello,
        2 => Phase::ServerHello,
        3 => Phase::ServerCertificate,
        4 => Phase::ServerKeyExchange,
        5 => Phase::CertificateRequest,
        6 => Phase::ServerHelloDone,
        7 => Phase::ClientCertificate,
        8 => Phase::ClientKeyExchange,
        9 => Phase::CertificateVerify,
        10 => Phase::ClientChangeCipherSpec,
        11 => Phase::ClientFinished,
        12 => Phase::ServerChangeCipherSpec,
        13 => Phase::ServerFinished,
        14 => Phase::FlushBuffers,
        15 => Phase::HandshakeWrapup,
        101 => Phase::NewSessionTicket,
        // The client takes it where a ServerHello is due.
        102 => Phase::ServerHello,
        103 => Phase::EncryptedExtensions,
        104 => Phase::CertificateVerify,
        105 => Phase::ClientChangeCipherSpec,
        _ => Phase::Over,
    }
}

fn answer(result: Result<usize, HostError>) -> c_int {
    match result {
        Ok(length) => c_int::try_from(length).unwrap_or(c_int::MAX),
        Err(HostError::Reset) => Error::CONNECTION_RESET.0,
        Err(HostError::Aborted) => Error::ABORTED.0,
    }
}

unsafe extern "C" fn send<H: Host>(context: *mut c_void, bytes: *const u8, length: usize) -> c_int {
    // SAFETY: `context` is the session's, live while the library runs; the library passes a buffer
    // with its length.
    unsafe {
        let host = (*context.cast::<Context<H>>()).host.as_mut();
        answer(host.send(core::slice::from_raw_parts(bytes, length)))
    }
}

unsafe extern "C" fn recv<H: Host>(context: *mut c_void, buffer: *mut u8, length: usize) -> c_int {
    // SAFETY: as for `send`; the library's buffer holds initialised bytes, because all its memory
    // comes zeroed.
    unsafe {
        let host = (*context.cast::<Context<H>>()).host.as_mut();
        answer(host.recv(core::slice::from_raw_parts_mut(buffer, length)))
    }
}

unsafe extern "C" fn random_bytes<H: Host>(
    context: *mut c_void,
    buffer: *mut u8,
    length: usize,
) -> c_int {
    // SAFETY: as for `send`. Some buffers are on C's stack and not initialised, so they are filled
    // with zeros before Rust sees them as a slice.
    unsafe {
        ptr::write_bytes(buffer, 0, length);
        let bytes = core::slice::from_raw_parts_mut(buffer, length);
        (*context.cast::<Context<H>>()).random.fill_bytes(bytes);
    }
    0
}

unsafe extern "C" fn log<H: Host>(
    context: *mut c_void,
    level: c_int,
    file: *const c_char,
    line: c_int,
    text: *const c_char,
) {
    // SAFETY: as for `send`; the library passes strings that end in 0.
    let (host, file, text) = unsafe {
        let host = (*context.cast::<Context<H>>()).host.as_mut();
        (host, CStr::from_ptr(file).to_bytes(), CStr::from_ptr(text).to_bytes())
    };
    let file = file.rsplit(|byte| *byte == b'/').next().unwrap_or(file);
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let level = u8::try_from(level).unwrap_or(u8::MAX);
    host.log(level, file, u16::try_from(line).unwrap_or(u16::MAX), text);
}

unsafe extern "C" fn logging<H: Host>(context: *mut c_void, on: c_int) {
    // SAFETY: as for `send`.
    unsafe { (*context.cast::<Context<H>>()).host.as_mut() }.logging(on != 0);
}

unsafe extern "C" fn secret<H: Host>(
    context: *mut c_void,
    kind: c_int,
    bytes: *const u8,
    length: usize,
) {
    // SAFETY: as for `send`.
    let (host, bytes) = unsafe {
        let host = (*context.cast::<Context<H>>()).host.as_mut();
        (host, core::slice::from_raw_parts(bytes, length))
    };
    let kind = match kind {
        0 => SecretKind::Master,
        1 => SecretKind::ClientHandshakeTraffic,
        2 => SecretKind::ServerHandshakeTraffic,
        3 => SecretKind::ClientApplicationTraffic,
        4 => SecretKind::ServerApplicationTraffic,
        _ => return,
    };
    host.secret(kind, bytes);
}
