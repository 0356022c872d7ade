//! The C symbols of `shim/shim.h`, and nothing else.

use core::ffi::{c_char, c_int, c_uint, c_void};

/// Opaque: Rust knows no layout of the library's.
#[repr(C)]
pub struct RigTls {
    _opaque: [u8; 0],
}

/// What a later connection can resume; opaque as well.
#[repr(C)]
pub struct RigSession {
    _opaque: [u8; 0],
}

/// `rig_host` of shim.h.
#[repr(C)]
pub struct RigHost {
    pub context: *mut c_void,
    pub send: unsafe extern "C" fn(*mut c_void, *const u8, usize) -> c_int,
    pub recv: unsafe extern "C" fn(*mut c_void, *mut u8, usize) -> c_int,
    pub random: unsafe extern "C" fn(*mut c_void, *mut u8, usize) -> c_int,
    pub log: unsafe extern "C" fn(*mut c_void, c_int, *const c_char, c_int, *const c_char),
    pub logging: unsafe extern "C" fn(*mut c_void, c_int),
    pub secret: unsafe extern "C" fn(*mut c_void, c_int, *const u8, usize),
}

unsafe extern "C" {
    pub fn rig_warm_up();
    pub fn rig_tls_set_memory(
        calloc: unsafe extern "C" fn(usize, usize) -> *mut c_void,
        free: unsafe extern "C" fn(*mut c_void),
    );
    pub fn rig_tls_new(host: *const RigHost, log_level: c_int) -> *mut RigTls;
    pub fn rig_tls_free(tls: *mut RigTls);
    pub fn rig_tls_defaults(tls: *mut RigTls, suite_b: c_int) -> c_int;
    pub fn rig_knows_version(minor: c_int) -> c_int;
    pub fn rig_tls_min_version(tls: *mut RigTls, minor: c_int) -> c_int;
    pub fn rig_tls_max_version(tls: *mut RigTls, minor: c_int) -> c_int;
    pub fn rig_tls_suites(tls: *mut RigTls, pairs: *const u8, count: usize) -> c_int;
    pub fn rig_tls_max_fragment_length(tls: *mut RigTls, bytes: c_uint) -> c_int;
    pub fn rig_tls_no_extended_master_secret(tls: *mut RigTls) -> c_int;
    pub fn rig_tls_no_encrypt_then_mac(tls: *mut RigTls) -> c_int;
    pub fn rig_tls_no_tickets(tls: *mut RigTls) -> c_int;
    pub fn rig_tls_keep_tickets(tls: *mut RigTls);
    pub fn rig_tls_psk(
        tls: *mut RigTls,
        key: *const u8,
        key_length: usize,
        identity: *const u8,
        identity_length: usize,
    ) -> c_int;
    pub fn rig_tls_setup(tls: *mut RigTls) -> c_int;
    pub fn rig_tls_verify(tls: *mut RigTls, mode: c_int, ca: *const u8, length: usize) -> c_int;
    pub fn rig_tls_own_certificate(
        tls: *mut RigTls,
        certificate: *const u8,
        certificate_length: usize,
        key: *const u8,
        key_length: usize,
    ) -> c_int;
    pub fn rig_tls_host_name(tls: *mut RigTls, name: *const c_char) -> c_int;
    pub fn rig_tls_save(tls: *mut RigTls) -> *mut RigSession;
    pub fn rig_tls_offer(tls: *mut RigTls, session: *const RigSession) -> c_int;
    pub fn rig_session_free(session: *mut RigSession);
    pub fn rig_tls_step(tls: *mut RigTls) -> c_int;
    pub fn rig_tls_state(tls: *const RigTls) -> c_int;
    pub fn rig_tls_read(tls: *mut RigTls, buffer: *mut u8, length: usize) -> c_int;
    pub fn rig_tls_write(tls: *mut RigTls, bytes: *const u8, length: usize) -> c_int;
    pub fn rig_tls_version(tls: *const RigTls) -> u16;
    pub fn rig_tls_suite(tls: *const RigTls) -> u16;
    pub fn rig_tls_verify_flags(tls: *const RigTls, flags: *mut u32) -> c_int;
    pub fn rig_content_length() -> c_uint;
    pub fn rig_library_version(text: *mut c_char);
}
