//! What the plan of 10,000 cells costs, beside the least that it could.
//!
//! `cargo bench --bench plan`. A library of 100 clients and 100 brokers is expanded into its plan:
//! names looked up, each cell once, sorted, each with its profiles. Beside it the bare work: the ids of
//! the same cells written out, and sorted. One line begins with `ratio `: plan / bare; 1 would be a
//! plan that costs nothing. Nothing is asserted about time.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

use anyhow::{Result, ensure};
use rig::firmware::BuildInfo;
use rig::plan::expand;
use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::{Duration, Instant};
use suites::broker::BrokerProfile;
use suites::suite::SuiteFile;
use suites::{ClientName, ClientProfile, Library};

/// Builds, client profiles and brokers: their product is 10,000.
const BUILDS: usize = 10;
const PROFILES: usize = 10;
const BROKERS: usize = 100;
const TURNS: usize = 11;

fn main() -> Result<()> {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("figures come from `cargo bench --bench plan`");
        return Ok(());
    }
    let (library, builds) = (library()?, builds()?);
    let (mut plan, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let began = Instant::now();
        let jobs = expand(&library, &builds, &["full".to_owned()], &[], None)?;
        plan.push(began.elapsed());
        ensure!(jobs.len() == BUILDS * PROFILES * BROKERS, "{} cells", jobs.len());
        bare.push(ids(&library));
    }
    let (plan, bare) = (median(plan), median(bare));
    println!("plan of 10,000 cells: {plan:.1} ms; their ids written and sorted: {bare:.1} ms");
    println!("ratio {:.1}", plan / bare);
    Ok(())
}

fn ids(library: &Library) -> Duration {
    let began = Instant::now();
    let cells = library.suites.values().flat_map(|suite| &suite.cells);
    let mut ids: Vec<_> = cells.map(ToString::to_string).collect();
    ids.sort_unstable();
    black_box(&ids);
    began.elapsed()
}

fn median(mut figures: Vec<Duration>) -> f64 {
    figures.sort_unstable();
    figures.get(figures.len() / 2).map_or(f64::NAN, |middle| middle.as_secs_f64() * 1e3)
}

fn builds() -> Result<Vec<BuildInfo>> {
    let build = |number| {
        Ok(BuildInfo {
            name: format!("stack/build-{number}").parse()?,
            content_length: 4096,
            header: "x.h".to_owned(),
            too_large_for_ameba1: None,
            macros: None,
            summary: String::new(),
        })
    };
    (0..BUILDS).map(build).collect()
}

fn library() -> Result<Library> {
    let profiles = (0..PROFILES).map(|number| format!("profile-{number}"));
    let profiles: Vec<_> = profiles
        .map(|name| Ok((name.clone(), ClientProfile::parse(&name, "summary = 'x'\n", "x")?)))
        .collect::<Result<_>>()?;
    // As long as those of the project.
    let suites = "'0x003d', '0x0035', '0x003c', '0x002f', '0xc02f', '0xc030', '0xc02b', '0xc02c'";
    let text = format!("summary = 'x'\nsource = 'x'\ncipher_suites = [{suites}]\n");
    let brokers = (0..BROKERS).map(|number| format!("broker-{number}"));
    let brokers: Vec<_> = brokers
        .map(|name| Ok((name.clone(), BrokerProfile::parse(&name, &text, "x")?)))
        .collect::<Result<_>>()?;
    let clients: BTreeSet<ClientName> = builds()?
        .iter()
        .flat_map(|build| {
            profiles.iter().map(|(profile, _)| ClientName {
                build: build.name.clone(),
                profile: profile.clone(),
            })
        })
        .collect();
    let file = "summary = 'x'\n[[cells]]\nclients = ['*']\nbrokers = ['*']\n";
    let names = brokers.iter().map(|(name, _)| name.as_str()).collect();
    let suite = SuiteFile::parse("full", file, "x")?.resolve(&clients, &names)?;
    Ok(Library {
        profiles: profiles.into_iter().collect(),
        brokers: brokers.into_iter().collect(),
        suites: [(suite.name.clone(), suite)].into(),
        ..Library::default()
    })
}
