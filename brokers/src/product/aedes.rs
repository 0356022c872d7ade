//! Aedes' settings: those of Node.js, `tls.createSecureContext`, handed over as one JSON file to a
//! broker of a few lines (`products/aedes/broker.js`). Its versions are pinned by the lock file.

use super::{Order, Places, Product, ProductError, Recipe, find, missing};
use crate::front::names::{groups_list, suite_names};
use suites::broker::ClientAuth;

/// Where it is installed, below the rig's cache.
pub(super) const FOLDER: &str = "aedes";
/// What is put there before `npm ci` fetches the rest.
pub(super) const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("../../products/aedes/package.json")),
    ("package-lock.json", include_str!("../../products/aedes/package-lock.json")),
    ("broker.js", include_str!("../../products/aedes/broker.js")),
];

pub(super) fn is_installed(places: &Places) -> bool {
    places.installed.join(FOLDER).join("node_modules/aedes").is_dir()
}

pub(super) fn recipe(order: &Order<'_>) -> Result<Recipe, ProductError> {
    let program = find(Product::Aedes, "node")?;
    let folder = order.places.installed.join(FOLDER);
    if !is_installed(order.places) {
        return Err(match missing(Product::Aedes) {
            ProductError::Missing { product, .. } => {
                ProductError::Missing { product, install: "cargo rig run --setup".to_owned() }
            }
            other => other,
        });
    }
    let script = folder.join("broker.js");
    super::write(&script, include_bytes!("../../products/aedes/broker.js"))?;
    let profile = order.profile;
    let (new, old) = suite_names(&profile.cipher_suites);
    let names: Vec<_> = new.into_iter().chain(old).collect();
    // OpenSSL takes its security level as one of the ciphers.
    let ciphers = format!("{}:@SECLEVEL={}", names.join(":"), profile.security_level);
    let asked = profile.client_auth != ClientAuth::None;
    let required = profile.client_auth == ClientAuth::Required;
    // All values are names and paths of our own making, without quotes or backslashes.
    let settings = format!(
        "{{\"port\": {}, \"cert\": \"{}\", \"key\": \"{}\", \"ca\": \"{}\", \"ciphers\": \
         \"{ciphers}\", \"ecdhCurve\": \"{}\", \"minVersion\": \"{}\", \"maxVersion\": \"{}\", \
         \"honorCipherOrder\": {}, \"requestCert\": {asked}, \"rejectUnauthorized\": {required}}}\n",
        order.port,
        order.path("chain.pem"),
        order.path("key.pem"),
        order.path("authority.pem"),
        groups_list(&profile.groups).unwrap_or_default(),
        version(&profile.min_version.to_string()),
        version(&profile.max_version.to_string()),
        profile.server_order,
    );
    order.write("settings.json", &settings)?;
    Ok(Recipe {
        program,
        arguments: vec![script.into(), order.path("settings.json").into()],
        environment: Vec::new(),
        ready: "listening on",
        before: None,
    })
}

/// Node.js writes a version as `TLSv1.2`, and TLS 1.0 as `TLSv1`.
fn version(ours: &str) -> String {
    ours.replace("TLS", "TLSv").replace("v1.0", "v1")
}
