//! Hexadecimal dumps in the library's output, whole or cut, back into bytes.
//!
//! ```text
//! dumping 'input record from network' (7 bytes)
//! 0000:  15 03 03 00 02 02 28                             ......(
//! ```

/// Longest dump that is kept, in bytes: a record of 16384 with its header and what encryption adds.
const LONGEST: usize = 18_432;

/// A dump that is being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump {
    /// What is dumped, in the library's words.
    pub name: String,
    /// How many bytes were announced.
    pub announced: usize,
    /// The bytes so far.
    pub bytes: Vec<u8>,
    /// A row was missing, so that what follows it is worth nothing.
    broken: bool,
}

impl Dump {
    /// The head of a dump.
    #[must_use]
    pub fn begin(text: &str) -> Option<Self> {
        let rest = text.get(text.find("dumping '")? + "dumping '".len()..)?;
        // The name itself may hold an apostrophe: "MAC'd meta-data".
        let end = rest.find("' (")?;
        let count = rest.get(end + 3..)?;
        let digits: String = count.chars().take_while(char::is_ascii_digit).collect();
        // Where the line was cut in the number, nobody knows how many there are.
        let told = count.get(digits.len()..)?.starts_with(' ');
        let announced = digits.parse().ok()?;
        Some(Self {
            name: rest.get(..end)?.to_owned(),
            announced: if told { announced } else { usize::MAX },
            bytes: Vec::new(),
            broken: !told,
        })
    }

    /// Takes a line if it is a row of a dump; `false` if it is something else.
    pub fn row(&mut self, text: &str) -> bool {
        let Some((offset, row)) = row(text).or_else(|| self.dressed(text)) else { return false };
        let wanted = self.announced.saturating_sub(self.bytes.len());
        if offset == self.bytes.len() && !self.broken {
            self.bytes.extend(row.into_iter().take(wanted.min(LONGEST)));
            self.broken = self.bytes.len() >= LONGEST;
        } else if offset > self.bytes.len() {
            // A row is missing. One that is there already comes from a log with doubled lines.
            self.broken = true;
        }
        true
    }

    /// The next row in a line that something else stands before: `[app] 0x20020a80: 0010:  d1 23`.
    fn dressed(&self, text: &str) -> Option<(usize, Vec<u8>)> {
        let next = format!(" {:04x}: ", self.bytes.len());
        let at = text.find(&next)?;
        row(text.get(at + 1..)?)
    }

    /// Whether all announced bytes are there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.bytes.len() == self.announced
    }
}

/// Offset and bytes of `0010:  d1 23 e1 ...  .#.`, in which the spaces may have been folded.
fn row(text: &str) -> Option<(usize, Vec<u8>)> {
    let (offset, rest) = text.split_once(':')?;
    if !(4..=6).contains(&offset.len()) || !rest.starts_with(' ') {
        return None;
    }
    let offset = usize::from_str_radix(offset, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    // Two spaces in a row end the bytes; what follows is the same as text.
    for word in rest.trim_start().split(' ').take(16) {
        match (word.len(), u8::from_str_radix(word, 16)) {
            (2, Ok(byte)) => bytes.push(byte),
            _ => break,
        }
    }
    (!bytes.is_empty()).then_some((offset, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Dump {
        let mut dump = Dump::begin(lines[0]).unwrap();
        for line in &lines[1..] {
            dump.row(line);
        }
        dump
    }

    #[test]
    fn rows_become_bytes() {
        let rows = [
            "dumping 'MAC'd meta-data' (18 bytes)",
            "0000:  16 03 03 00 45 01 00 00 41 03 03 d7 2a 69 8d f5  ....E...A...*i..",
            "0010:  ac 31                                            .1",
        ];
        let dump = read(&rows);
        assert_eq!((dump.name.as_str(), dump.is_whole()), ("MAC'd meta-data", true));
        assert_eq!(dump.bytes[16..], [0xac, 0x31]);
        let folded = rows.map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "));
        assert_eq!(read(&folded.each_ref().map(String::as_str)), dump);
    }

    #[test]
    fn a_row_is_found_behind_what_a_program_prints_before_it() {
        let dump = read(&[
            "dumping 'a' (3 bytes)",
            "[T: 38 L: 1039]: [app]: 0x20020a80: 0000:  16 03 01  ...",
        ]);
        assert!(dump.is_whole());
        // Any other row than the next is no row.
        assert!(!read(&["dumping 'a' (3 bytes)", "x 0010: 16 03 01"]).is_whole());
    }

    #[test]
    fn a_missing_row_ends_it_and_a_doubled_one_does_not() {
        let whole =
            ["dumping 'a' (33 bytes)", "0000: 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 x"];
        let second = "0010: 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 ..";
        let dump = read(&[whole[0], whole[1], whole[1], second, "0020: AA be"]);
        assert!(dump.is_whole());
        let dump = read(&[whole[0], second, "0020: aa"]);
        assert!(dump.bytes.is_empty() && !dump.is_whole());
    }

    #[test]
    fn text_that_looks_like_bytes_is_not_taken() {
        assert_eq!(read(&["dumping 'a' (2 bytes)", "0000: 61 62 ab"]).bytes, [0x61, 0x62]);
        assert!(
            Dump::begin("dumping 'a' (bytes)").is_none() && Dump::begin("dumping 'a").is_none()
        );
        for text in ["12:34 aa bb", "0000:aa", "0000: zz", "é: 00", "00000000: 11"] {
            assert_eq!(row(text), None, "{text}");
        }
    }
}
