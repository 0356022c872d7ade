//! ClientHellos of a user's own builds, made on the spot: what a prediction needs of a header alone.
//!
//! ```text
//! header --> image for `native` --one connection--> ClientHello --kept beside the image-->
//! ```
//!
//! The library itself writes the hello, so that it is what the header makes of it and no guess. The
//! image's id stands for tree, header and firmware, and the file's name for the profile: another
//! hello is made if one of these changes, and none if none does. Nothing that was seen of the broker
//! is kept.

use crate::board::{Kind, Slot};
use crate::command::LogLines;
use crate::deadline::Interrupt;
use crate::firmware::{BuildError, Builder, Image, Progress, Target};
use crate::plan::Job;
use crate::predictor::hello_of;
use crate::run::{RunEvent, SEED, Workshop};
use brokers::{BrokerError, Brokers};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use suites::predict::recorded::{Recorded, RecordedError};
use suites::{BrokerProfile, BuildName, CellId, ClientName, ClientProfile};

/// The hellos of a user's own builds.
#[derive(Debug, Clone, Default)]
pub struct OwnHellos {
    builds: BTreeSet<BuildName>,
    made: BTreeMap<ClientName, Recorded>,
}

/// Why no hellos can be made.
#[derive(Debug, thiserror::Error)]
pub enum OwnHellosError {
    /// There is no image.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// There is no certificate for the broker that hears the hello.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A hello cannot be kept.
    #[error(transparent)]
    Recorded(#[from] RecordedError),
    /// The broker's profile is wrong.
    #[error(transparent)]
    File(#[from] suites::file::FileError),
}

/// Two brokers to say hello to. What they answer is of no interest, but a client that cannot read a
/// CA certificate with one kind of key says nothing to its broker.
const LISTENERS: [(&str, &str); 2] = [
    (
        "hello-rsa",
        "summary = 'hears a ClientHello'\nsource = 'made up'\n\
         cipher_suites = ['TLS_RSA_WITH_AES_128_CBC_SHA']\n",
    ),
    (
        "hello-ec",
        "summary = 'hears a ClientHello'\nsource = 'made up'\n\
         cipher_suites = ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256']\n\
         certificate = { key = 'ecdsa-p256', issuer_key = 'ecdsa-p256' }\n",
    ),
];

impl OwnHellos {
    /// Makes the hellos of those clients whose builds are a user's own. Keys go below `pki`.
    ///
    /// # Errors
    /// [`OwnHellosError`] says what is missing, or what the compiler says of the header.
    pub fn make<'a>(
        builder: &Builder,
        pki: &Path,
        clients: impl IntoIterator<Item = (&'a ClientName, &'a ClientProfile)>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, OwnHellosError> {
        let mut hellos = Self {
            builds: builder.own().iter().map(|own| own.name.clone()).collect(),
            made: BTreeMap::new(),
        };
        let mut images: BTreeMap<BuildName, Image> = BTreeMap::new();
        let mut open = BTreeMap::new();
        for (client, profile) in clients {
            if !hellos.builds.contains(&client.build) || open.contains_key(client) {
                continue;
            }
            let image = match images.get(&client.build) {
                Some(image) => image.clone(),
                None => {
                    let image = builder.image(&client.build, Target::Native, progress)?;
                    images.insert(client.build.clone(), image.clone());
                    image
                }
            };
            let path = path(&image, profile);
            // One that is damaged is made anew.
            match Recorded::load(&path).ok().flatten() {
                Some(recorded) => drop(hellos.made.insert(client.clone(), recorded)),
                None => drop(open.insert(client.clone(), (profile, path))),
            }
        }
        for (name, text) in LISTENERS {
            open.retain(|client, _| !hellos.made.contains_key(client));
            if !open.is_empty() {
                let listener = BrokerProfile::parse(name, text, name)?;
                hellos.listen(&listener, &open, &images, &Brokers::new(pki)?)?;
            }
        }
        Ok(hellos)
    }

    /// Lets every client say hello to one broker, and keeps what it said.
    fn listen(
        &mut self,
        listener: &BrokerProfile,
        clients: &BTreeMap<ClientName, (&ClientProfile, PathBuf)>,
        images: &BTreeMap<BuildName, Image>,
        brokers: &Brokers,
    ) -> Result<(), OwnHellosError> {
        let job = |(client, (profile, _)): (&ClientName, &(&ClientProfile, PathBuf))| Job {
            cell: CellId { client: client.clone(), broker: listener.name.clone() },
            suite: String::new(),
            log_level: 0,
            survey: false,
            profile: (*profile).clone(),
            broker: listener.clone(),
        };
        let jobs: Vec<_> = clients.iter().map(job).collect();
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let slots = vec![Slot::Native; cores.min(jobs.len())];
        let interrupt = Interrupt::default();
        let workshop = Workshop {
            limits: Kind::Native.limits(),
            log_lines: LogLines::Quoted,
            images,
            brokers,
            seed: SEED,
            interrupt: &interrupt,
        };
        let mut kept = Ok(());
        crate::run::run(&workshop, jobs, slots, |event| {
            if let RunEvent::Finished(cell) = event
                && let Some(recorded) = hello_of(&cell.record)
                && let Some((_, path)) = clients.get(&cell.record.client)
            {
                if let Err(error) = recorded.save(path, &cell.record.client) {
                    kept = Err(error);
                }
                self.made.insert(cell.record.client.clone(), recorded);
            }
        });
        Ok(kept?)
    }

    /// The hello of `client`; `Some(None)` for one of a user's own that sends none, `None` for any
    /// other client.
    #[must_use]
    pub fn of(&self, client: &ClientName) -> Option<Option<&Recorded>> {
        self.builds.contains(&client.build).then(|| self.made.get(client))
    }
}

/// Where the hello is kept: beside the image, by the profile's name and content.
fn path(image: &Image, profile: &ClientProfile) -> PathBuf {
    let digest = Sha256::digest(format!("{profile:?}"));
    let content = data_encoding::HEXLOWER.encode(digest.get(..8).unwrap_or_default());
    image.path.with_file_name("hellos").join(format!("{}-{content}.hex", profile.name))
}
