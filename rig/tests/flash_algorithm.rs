//! The flash algorithms' machine code.

#![allow(clippy::unwrap_used, reason = "helpers of tests are test code")]

mod common;

use common::can_run;
use rig::board::Kind;
use rig::firmware::{Builder, Chip};
use rig::project::Project;

#[test]
fn an_algorithm_is_built_once() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let project = Project::find().unwrap();
    let builder = Builder::new(project.root(), &project.cache());
    for chip in [Chip::Rtl8195a, Chip::Mps2An385] {
        let path = builder.flash_algorithm(chip, &mut |_| {}).unwrap();
        let again = builder.flash_algorithm(chip, &mut |what| unreachable!("{what}")).unwrap();
        assert_eq!(path, again);
    }
}
