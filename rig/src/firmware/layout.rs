//! What an image takes of a board's memory, read from its ELF file.
//!
//! ```text
//! sections --by kind--> sizes: code, data, bss, heap, stack
//!          --by place-> areas: stretches of memory and what they hold
//! ```
//!
//! The heap is the section `.uninit`, which holds nothing else; the stack is what the memory map
//! (`firmware/m3/memory`) puts between `_stack_end` and `_stack_start`.

use object::elf::{SHF_ALLOC, SHF_WRITE, SHT_NOBITS};
use object::{File, Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind};
use schemars::JsonSchema;
use serde::Serialize;

/// Section of the heap, see `firmware/m3/src/main.rs`.
const HEAP: &str = ".uninit";
/// Two sections that are no further apart lie in one area: what is between them is alignment.
const ALIGNMENT: u64 = 1024;

/// Sizes in bytes, and where everything lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Layout {
    /// Code and constants, vectors and head included.
    pub code: u64,
    /// Variables with a first value. As many bytes more hold the values, behind the code.
    pub data: u64,
    /// Variables that start as zero.
    pub bss: u64,
    /// What the program may allocate.
    pub heap: u64,
    /// What the stack may take.
    pub stack: u64,
    /// Stretches of memory in use while the program runs, lowest first.
    pub areas: Vec<Area>,
}

/// A stretch of memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Area {
    /// Its first address.
    pub start: u64,
    /// The first address behind it.
    pub end: u64,
    /// What it holds, in the order of addresses: `code`, `data`, `bss`, `heap`, `stack`.
    pub holds: Vec<&'static str>,
}

impl Layout {
    /// Reads an image. The sections of a firmware image are few, and all of them count.
    ///
    /// # Errors
    /// The parser's word if the file is not ELF.
    pub fn read(elf: &[u8]) -> Result<Self, object::Error> {
        let file = File::parse(elf)?;
        let mut layout = Self { code: 0, data: 0, bss: 0, heap: 0, stack: 0, areas: Vec::new() };
        let mut parts: Vec<(u64, u64, &'static str)> = Vec::new();
        for section in file.sections() {
            let (start, size) = (section.address(), section.size());
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            if sh_flags & u64::from(SHF_ALLOC) == 0 || size == 0 {
                continue;
            }
            let writable = sh_flags & u64::from(SHF_WRITE) != 0;
            let empty = section.kind() == SectionKind::UninitializedData
                || matches!(section.kind(), SectionKind::Elf(SHT_NOBITS));
            let (total, what) = match (section.name()?, empty, writable) {
                (HEAP, ..) => (&mut layout.heap, "heap"),
                (_, true, _) => (&mut layout.bss, "bss"),
                (_, false, true) => (&mut layout.data, "data"),
                (_, false, false) => (&mut layout.code, "code"),
            };
            *total = total.saturating_add(size);
            parts.push((start, start.saturating_add(size), what));
        }
        let symbol = |name| file.symbol_by_name(name).map(|symbol| symbol.address());
        if let (Some(low), Some(high)) = (symbol("_stack_end"), symbol("_stack_start")) {
            layout.stack = high.saturating_sub(low);
            parts.push((low, high, "stack"));
        }
        parts.sort_unstable();
        for (start, end, what) in parts {
            layout.add(start, end, what);
        }
        Ok(layout)
    }

    fn add(&mut self, start: u64, end: u64, what: &'static str) {
        match self.areas.last_mut() {
            Some(area) if start < area.end.saturating_add(ALIGNMENT) => {
                area.end = area.end.max(end);
                if area.holds.last() != Some(&what) {
                    area.holds.push(what);
                }
            }
            _ => self.areas.push(Area { start, end, holds: vec![what] }),
        }
    }

    /// The sizes in one line, then a line for each area.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let Self { code, data, bss, heap, stack, areas } = self;
        let sizes =
            [("code", code), ("data", data), ("bss", bss), ("heap", heap), ("stack", stack)];
        let sizes = sizes.map(|(name, bytes)| format!("{name} {}", amount(*bytes)));
        let mut lines = vec![sizes.join(", ")];
        lines.extend(areas.iter().map(|Area { start, end, holds }| {
            let amount = amount(end - start);
            format!("{start:#010x} to {end:#010x}  {amount:>8}  {}", holds.join(", "))
        }));
        lines
    }
}

fn amount(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let tenths = bytes.saturating_mul(10) / 1024;
    format!("{}.{} KB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_make_one_area() {
        let mut layout = Layout { code: 0, data: 0, bss: 0, heap: 0, stack: 0, areas: Vec::new() };
        layout.add(0x1000, 0x1400, "code");
        layout.add(0x1404, 0x1500, "code");
        layout.add(0x1800, 0x1801, "data");
        layout.add(0x8000, 0x9000, "stack");
        insta::assert_snapshot!(layout.describe().join("\n"), @r"
        code 0 B, data 0 B, bss 0 B, heap 0 B, stack 0 B
        0x00001000 to 0x00001801    2.0 KB  code, data
        0x00008000 to 0x00009000    4.0 KB  stack
        ");
    }

    #[test]
    fn what_is_no_elf_file_is_an_error() {
        assert!(Layout::read(b"").is_err());
        assert!(Layout::read(&[0x7f; 64]).is_err());
    }
}
