//! `junit.xml` keeps the rules that Jenkins checks, and says of each cell what the run says.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are test code"
)]

mod common;

use common::{HOSTILE, compare, hostile, recorded, troubled};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use reports::junit;
use reports::writers::Recorded;
use std::collections::BTreeMap;

fn xml(recorded: &Recorded) -> String {
    String::from_utf8(junit::write(recorded).unwrap()).unwrap()
}

/// What the schema of Jenkins's xUnit plugin, `junit-10.xsd`, allows an element: attributes that it
/// must have, others that it may have, elements inside, and whether text may stand inside.
type Rule =
    (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str], bool);

const RULES: &[Rule] = &[
    ("testsuites", &[], &["name", "time", "tests", "failures", "errors"], &["testsuite"], false),
    (
        "testsuite",
        &["name", "tests", "failures", "errors"],
        &[
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
            "version",
        ],
        &["testsuite", "properties", "testcase", "system-out", "system-err"],
        false,
    ),
    ("properties", &[], &[], &["property"], false),
    ("property", &["name", "value"], &[], &[], false),
    (
        "testcase",
        &["name"],
        &["time", "classname", "group"],
        &[
            "skipped",
            "error",
            "failure",
            "rerunFailure",
            "rerunError",
            "flakyFailure",
            "flakyError",
            "system-out",
            "system-err",
        ],
        false,
    ),
    ("failure", &[], &["type", "message"], &[], true),
    ("error", &[], &["type", "message"], &[], true),
    ("skipped", &[], &["type", "message"], &[], true),
    ("rerunError", &["type"], &["message"], &["stackTrace", "system-out", "system-err"], true),
    ("flakyError", &["type"], &["message"], &["stackTrace", "system-out", "system-err"], true),
    ("stackTrace", &[], &[], &[], true),
    ("system-out", &[], &[], &[], true),
];

/// An element with its attributes, and what is in it.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    children: Vec<Element>,
    text: String,
}

impl Element {
    fn of(start: &BytesStart<'_>) -> Self {
        let attributes = start.attributes().map(|attribute| {
            let attribute = attribute.unwrap();
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).unwrap();
            (attribute.key.as_ref().to_owned(), value.into_owned())
        });
        Self {
            attributes: attributes.collect(),
            name: start.name().as_ref().to_owned(),
            ..Self::default()
        }
    }

    fn all<'a>(&'a self, name: &str, found: &mut Vec<&'a Element>) {
        for child in &self.children {
            if child.name == name {
                found.push(child);
            }
            child.all(name, found);
        }
    }

    fn named(&self, name: &str) -> Vec<&Element> {
        let mut found = Vec::new();
        self.all(name, &mut found);
        found
    }

    fn check(&self) {
        let name = &self.name;
        let rule = RULES.iter().find(|rule| rule.0 == name);
        let (_, required, optional, inside, text) =
            rule.unwrap_or_else(|| panic!("{name} is no element of the schema"));
        for attribute in *required {
            assert!(self.attributes.contains_key(*attribute), "{name} lacks {attribute}: {self:?}");
        }
        for attribute in self.attributes.keys() {
            let known = required.iter().chain(*optional).any(|known| known == attribute);
            assert!(known, "{name} may not have {attribute}");
        }
        if let Some(time) = self.attributes.get("time") {
            // Of the pattern only what may stand in it as a plain number.
            assert!(time.parse::<f64>().is_ok() && !time.contains(['e', '-', '+']), "{time}");
        }
        assert!(*text || self.text.trim().is_empty(), "{name} holds text: {}", self.text);
        for child in &self.children {
            assert!(inside.contains(&child.name.as_str()), "{} in {name}", child.name);
            child.check();
        }
    }
}

/// Reads a document as strictly as a parser does, and checks it against the rules.
fn checked(xml: &str) -> Element {
    // Section 2.2 of XML 1.0; the reader here does not look.
    let bad = xml.chars().find(|c| {
        !matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
    });
    assert_eq!(bad, None, "no character of XML");
    let mut reader = Reader::from_str(xml);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => open.push(Element::of(&start)),
            Event::Empty(start) => open.last_mut().unwrap().children.push(Element::of(&start)),
            Event::End(_) => {
                let done = open.pop().unwrap();
                open.last_mut().unwrap().children.push(done);
            }
            Event::Text(text) => {
                open.last_mut().unwrap().text.push_str(&text);
            }
            Event::GeneralRef(reference) => {
                let known = quick_xml::escape::resolve_predefined_entity(&reference);
                open.last_mut().unwrap().text.push_str(known.expect("a reference that XML knows"));
            }
            Event::Decl(_) => {}
            Event::Eof => break,
            other => panic!("{other:?} is nothing that a report holds"),
        }
    }
    let mut roots = open.pop().unwrap().children;
    assert_eq!((open.len(), roots.len()), (0, 1), "one root");
    let root = roots.pop().unwrap();
    assert_eq!(root.name, "testsuites");
    root.check();
    root
}

#[test]
fn every_verdict_has_its_element() {
    let recorded = troubled();
    let xml = xml(&recorded);
    let root = checked(&xml);
    let cases = root.named("testcase");
    assert_eq!(cases.len(), recorded.run.plan.len(), "every planned cell stands in it once");
    for (element, types) in [
        ("failure", &["changed", "surprise", "new", "changed"][..]),
        ("error", &["fault", "not_run"]),
        ("skipped", &["skipped", "unsupported", "known"]),
        ("flakyError", &["board"]),
        ("rerunError", &["board"]),
    ] {
        let mut found: Vec<_> =
            root.named(element).iter().map(|element| element.attributes["type"].clone()).collect();
        let mut types = types.to_vec();
        found.sort();
        types.sort_unstable();
        assert_eq!(found, types, "{element}");
    }
    let attribute = |name: &str| root.attributes[name].parse::<usize>().unwrap();
    assert_eq!((attribute("tests"), attribute("failures"), attribute("errors")), (20, 4, 2));
    compare("junit", &xml);
}

#[test]
fn counts_of_suites_are_those_of_their_cases() {
    let root = checked(&xml(&troubled()));
    assert!(root.children.len() > 1);
    for suite in &root.children {
        let cases = suite.named("testcase");
        let counted = |name: &str| cases.iter().filter(|case| !case.named(name).is_empty()).count();
        let stated = |name: &str| suite.attributes[name].parse::<usize>().unwrap();
        assert_eq!(stated("tests"), cases.len());
        assert_eq!(stated("failures"), counted("failure"));
        assert_eq!(stated("errors"), counted("error"));
        assert_eq!(stated("skipped"), counted("skipped"));
    }
}

#[test]
fn a_cell_keeps_its_name_from_run_to_run_and_has_another_one_on_another_kind_of_board() {
    let names = |recorded: &Recorded| {
        let root = checked(&xml(recorded));
        let name = |case: &&Element| {
            format!("{}.{}", case.attributes["classname"], case.attributes["name"])
        };
        root.named("testcase").iter().map(name).collect::<Vec<_>>()
    };
    let mut later = recorded("qemu");
    later.run.id = "another".to_owned();
    later.run.board.name = "another".to_owned();
    let first = names(&recorded("qemu"));
    assert_eq!(first, names(&later));
    assert!(
        first.contains(&"rig.qemu.hivemq-cloud-2021.mbedtls-2.4.0/rsa-16384+suiteb".to_owned())
    );
    assert!(names(&recorded("native")).iter().all(|name| !first.contains(name)));
}

#[test]
fn hostile_text_stays_text_and_of_a_long_one_the_start_is_enough() {
    let xml = xml(&hostile());
    assert!(xml.len() < 2 << 20, "{} bytes", xml.len());
    let root = checked(&xml);
    let said = &root.named("system-out")[0].text;
    assert!(said.contains("<script>alert(1)</script> ]]> &amp; \"'`|` @octocat"), "{said}");
    assert!(said.contains("\\u{1b}[31m\\u{0}"), "what XML cannot hold is shown: {said}");
    assert!(said.contains(" bytes more]"), "{}", said.len());
    assert!(
        HOSTILE.contains("]]>") && !xml.contains("]]>"),
        "no end of a section that never began"
    );
}
