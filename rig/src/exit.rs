//! Exit codes, in one place.

use std::process::ExitCode;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: all as expected.
    AsExpected,
    /// 1: some cell is not as expected.
    Unexpected,
    /// 2: wrong usage or configuration.
    Usage,
    /// 3: something of the rig's own broke.
    RigFault,
    /// 4: nothing was selected, so nothing was run.
    NothingSelected,
    /// 130: a person interrupted.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::AsExpected => 0,
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::RigFault => 3,
            Self::NothingSelected => 4,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
