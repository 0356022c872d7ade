//! Records in the clear, cut anew: RFC 5246 6.2.1 lets a sender put any number of handshake messages
//! into one record and one message into any number of records.

/// The protocol's own limit, RFC 5246 6.2.1.
const MAX_RECORD: usize = 16_384;

/// Splits handshake records in the clear so that no body is longer than `size`, RFC 5246 6.2.1.
pub(super) fn split(output: &[u8], size: usize, clear: &mut bool) -> Vec<u8> {
    let mut split = Vec::with_capacity(output.len() + output.len() / size * 5);
    let mut rest = output;
    while let [kind, v0, v1, l0, l1, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let Some((body, next)) = tail.split_at_checked(length) else { break };
        *clear &= *kind != 20;
        if *clear && *kind == 22 {
            for part in body.chunks(size) {
                let length = u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes();
                split.extend_from_slice(&[*kind, *v0, *v1]);
                split.extend_from_slice(&length);
                split.extend_from_slice(part);
            }
        } else {
            split.extend_from_slice(rest.get(..5 + length).unwrap_or_default());
        }
        rest = next;
    }
    split.extend_from_slice(rest);
    split
}

/// Gives each handshake message in the clear a record of its own; one that is longer than a record
/// may be gets as many as it takes.
pub(super) fn join(output: &[u8], clear: &mut bool) -> Vec<u8> {
    let mut joined = Vec::with_capacity(output.len());
    let mut messages = Vec::new();
    let mut rest = output;
    while let [kind, v0, v1, l0, l1, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let Some((body, next)) = tail.split_at_checked(length) else { break };
        *clear &= *kind != 20;
        if *clear && *kind == 22 {
            messages.extend_from_slice(body);
            while let [_, m0, m1, m2, ..] = messages[..] {
                let length = 4 + u32::from_be_bytes([0, m0, m1, m2]) as usize;
                if messages.len() < length {
                    break;
                }
                let message: Vec<u8> = messages.drain(..length).collect();
                for part in message.chunks(MAX_RECORD) {
                    let length = u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes();
                    joined.extend_from_slice(&[*kind, *v0, *v1]);
                    joined.extend_from_slice(&length);
                    joined.extend_from_slice(part);
                }
            }
        } else {
            joined.extend_from_slice(rest.get(..5 + length).unwrap_or_default());
        }
        rest = next;
    }
    // The library writes whole messages, so nothing is left as a rule.
    for part in messages.chunks(MAX_RECORD) {
        joined.extend_from_slice(&[22, 3, 3]);
        joined.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
        joined.extend_from_slice(part);
    }
    joined.extend_from_slice(rest);
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_in_the_clear_are_split_and_others_left() {
        let mut output = vec![22, 3, 3, 0, 5, 1, 2, 3, 4, 5];
        output.extend([21, 3, 3, 0, 2, 2, 40]);
        output.extend([20, 3, 3, 0, 1, 1, 22, 3, 3, 0, 4, 9, 9, 9, 9]);
        let mut clear = true;
        let cut = split(&output, 2, &mut clear);
        let expected = [
            &[22, 3, 3, 0, 2, 1, 2][..],
            &[22, 3, 3, 0, 2, 3, 4],
            &[22, 3, 3, 0, 1, 5],
            &[21, 3, 3, 0, 2, 2, 40],
            &[20, 3, 3, 0, 1, 1],
            &[22, 3, 3, 0, 4, 9, 9, 9, 9],
        ];
        assert_eq!(cut, expected.concat());
        assert!(!clear);
    }

    #[test]
    fn a_message_in_pieces_is_put_together_and_two_in_one_record_are_taken_apart() {
        let mut output = vec![22, 3, 3, 0, 4, 11, 0, 0, 3];
        output.extend([22, 3, 3, 0, 7, 7, 8, 9, 14, 0, 0, 0]);
        output.extend([20, 3, 3, 0, 1, 1, 22, 3, 3, 0, 2, 9, 9]);
        let mut clear = true;
        let joined = join(&output, &mut clear);
        let expected = [
            &[22, 3, 3, 0, 7, 11, 0, 0, 3, 7, 8, 9][..],
            &[22, 3, 3, 0, 4, 14, 0, 0, 0],
            &[20, 3, 3, 0, 1, 1],
            &[22, 3, 3, 0, 2, 9, 9],
        ];
        assert_eq!(joined, expected.concat());
        assert!(!clear);
    }
}
