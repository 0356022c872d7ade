//! Cells made of texts in a test, stated and run on `native`.

use crate::common::{brokers, image, images, run};
use rig::board::{Kind, Slot};
use rig::command::LogLines;
use rig::deadline::Interrupt;
use rig::firmware::Builder;
use rig::plan::Job;
use rig::predictor::{Predictor, hello_of};
use rig::project::Project;
use rig::run::{SEED, Workshop};
use rig::verdict::Cell;
use std::collections::{BTreeMap, BTreeSet};
use suites::predict::Predicted;
use suites::predict::recorded::Recorded;
use suites::{BrokerProfile, CellId, ClientProfile};

pub const BUILDS: [&str; 7] = [
    "mbedtls-2.4.0/rsa-16384",
    "mbedtls-2.4.0/rsa-4096",
    "mbedtls-2.4.0/all-16384",
    "mbedtls-2.16.0/all-16384",
    "mbedtls-2.28/all-16384",
    "mbedtls-3.6/all-16384",
    "mbedtls-3.6/all-4096",
];

pub const RSA: &str = "'TLS_RSA_WITH_AES_256_CBC_SHA256', 'TLS_RSA_WITH_AES_256_CBC_SHA', \
                   'TLS_RSA_WITH_AES_128_CBC_SHA256', 'TLS_RSA_WITH_AES_128_CBC_SHA'";
pub const ECDHE: &str =
    "'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA'";
pub const MODERN: &str =
    "'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'";
pub const ECDSA: &str =
    "'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'";
pub const NEW: &str = "'TLS_AES_128_GCM_SHA256'";

pub fn broker(name: &str, suites: &[&str], more: &str) -> BrokerProfile {
    let suites = suites.join(", ");
    // Lists that hold one suite twice are joined from parts; the order is what counts.
    let text = format!("summary = 's'\nsource = 't'\ncipher_suites = [{suites}]\n{more}\n");
    BrokerProfile::parse(name, &text, name).unwrap_or_else(|error| panic!("{error}"))
}

pub fn profile(name: &str, more: &str) -> ClientProfile {
    ClientProfile::parse(name, &format!("summary = 's'\n{more}\n"), name)
        .unwrap_or_else(|error| panic!("{error}"))
}

pub fn job(build: &str, profile: ClientProfile, broker: BrokerProfile) -> Job {
    let cell: CellId = format!("{build}+{}/{}", profile.name, broker.name).parse().unwrap();
    Job { suite: "test".to_owned(), log_level: 1, survey: false, profile, broker, cell }
}

pub fn cells(jobs: Vec<Job>) -> Vec<Cell> {
    let images = images(BUILDS.map(|build| image(Kind::Native, build)));
    let (brokers, interrupt) = (brokers(), Interrupt::default());
    let workshop = Workshop {
        limits: Kind::Native.limits(),
        log_lines: LogLines::All,
        images: &images,
        brokers: &brokers,
        seed: SEED,
        interrupt: &interrupt,
    };
    let count = jobs.len();
    let cells = run(&workshop, jobs, vec![Slot::Native; 2], |_| {});
    assert_eq!(cells.len(), count);
    cells
}

pub fn predictor() -> Predictor {
    let project = Project::find().unwrap();
    let builds = Builder::new(project.root(), &project.cache()).builds().unwrap();
    Predictor::new(&builds, &project).unwrap()
}

/// The hello of each client, from a cell of its own that is not among those predicted.
pub fn record(jobs: &[Job]) -> BTreeMap<String, Recorded> {
    let mut seen = BTreeSet::new();
    let first = jobs.iter().filter(|job| seen.insert(job.cell.client.to_string()));
    let witness = broker("witness", &[ECDHE, RSA], "min_version = 'TLS1.0'");
    let jobs = first.map(|job| {
        let build = job.cell.client.build.as_str();
        self::job(build, job.profile.clone(), witness.clone())
    });
    let cells = cells(jobs.collect());
    cells
        .iter()
        .filter_map(|cell| Some((cell.record.client.to_string(), hello_of(&cell.record)?)))
        .collect()
}

/// States the outcomes of `jobs`, then runs them.
pub fn predict_and_run(jobs: Vec<Job>) -> (BTreeMap<CellId, Predicted>, Vec<Cell>) {
    let predictor = predictor();
    let hellos = record(&jobs);
    let predicted: BTreeMap<_, _> = jobs
        .iter()
        .map(|job| {
            let client = &job.cell.client;
            let hello = hellos.get(&client.to_string());
            let predicted = predictor.predict_with(client, &job.profile, &job.broker, hello);
            (job.cell.clone(), predicted.unwrap_or_else(|error| panic!("{}: {error}", job.cell)))
        })
        .collect();
    (predicted, cells(jobs))
}
