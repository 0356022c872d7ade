//! What a broker does in place of what it would send, where its profile wants a fault.
//!
//! [`crate::connection`] asks at every stage; the bytes it would send are at hand by then, because
//! TLS works on memory. A fault that ends the connection comes back as an error, which is what the
//! broker's account says of it.

use crate::broker::Limits;
use crate::tap::Tap;
use std::thread;
use std::time::{Duration, Instant};
use suites::broker::{BrokerProfile, Fault, Misbehaviour, Stage};
use suites::key_exchange::KeyExchange;
use suites::stream::{ContentType, RECORD_HEADER, Stream};
use wire::tls::ProtocolVersion;

/// A content type that nobody has assigned.
const NO_CONTENT_TYPE: u8 = 99;
/// Before SSL 3.0 there was this, RFC 5246 E.2, and its records looked otherwise.
const NO_VERSION: [u8; 2] = [2, 0];
/// What a web server says to a ClientHello, RFC 9112 4.
const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
/// `HashAlgorithm` of RFC 5246 7.4.1.4.1.
const MD5: u8 = 1;
/// CONNACK with return code 0, MQTT 3.1.1 section 3.2.
const CONNACK: [u8; 4] = [0x20, 2, 0, 0];

/// One connection's fault, and the means to commit it.
pub(crate) struct Mischief<'a> {
    pub(crate) profile: &'a BrokerProfile,
    pub(crate) limits: Limits,
    pub(crate) tap: &'a Tap,
}

impl Mischief<'_> {
    /// Whether a fault stands at this stage.
    pub(crate) fn at(&self, stage: Stage) -> Option<Fault> {
        self.profile.misbehave.filter(|fault| fault.at == stage).map(|fault| fault.does)
    }

    /// Sends `output` of the handshake as the profile has it delivered, or commits the fault of
    /// this stage on it.
    ///
    /// # Errors
    /// The fault ended the connection.
    pub(crate) fn send(&self, stage: Option<Stage>, output: &[u8]) -> Result<(), String> {
        if stage == Some(Stage::ClientHello)
            && let Some(fault) = self.at(Stage::Certificate)
        {
            self.tap.write(output.get(..mid_certificate(output)).unwrap_or(output));
            return self.commit(Stage::Certificate, fault, &[]);
        }
        match (stage.and_then(|stage| Some((stage, self.at(stage)?))), self.profile.misbehave) {
            (Some((stage, fault)), _) => self.commit(stage, fault, output),
            (None, Some(Misbehaviour { does: Fault::ByteByByte { pause_ms }, .. })) => {
                self.drip(output, pause_ms);
                Ok(())
            }
            _ => {
                self.tap.write(output);
                Ok(())
            }
        }
    }

    /// Commits `fault` on `output`, which stands to be sent.
    ///
    /// # Errors
    /// The fault ended the connection.
    pub(crate) fn commit(&self, stage: Stage, fault: Fault, output: &[u8]) -> Result<(), String> {
        let mut output = output.to_vec();
        match fault {
            Fault::Reset => {
                self.tap.reset();
                return Err(words("resets", stage));
            }
            Fault::Stall { ms } => {
                self.tap.drain(Duration::from_millis(ms.into()));
                return self.end("stalls", stage);
            }
            Fault::Close => return self.end("closes", stage),
            Fault::Truncate => {
                self.tap.write(output.get(..first_record(&output) / 2).unwrap_or_default());
                return self.end("closes in the middle of a record", stage);
            }
            Fault::Http => {
                self.tap.write(HTTP);
                return self.end("answers in HTTP", stage);
            }
            Fault::PlainMqtt => {
                self.tap.write(&CONNACK);
                return self.end("answers in MQTT without TLS", stage);
            }
            Fault::Alert { level, description } => {
                let version = self.profile.max_version.min(ProtocolVersion::TLS1_2);
                let [major, minor] = version.0.to_be_bytes();
                self.tap.write(&[21, major, minor, 0, 2, level, description.0]);
                if level == FATAL {
                    return self.end("sends a fatal alert", stage);
                }
            }
            Fault::WrongContentType => {
                output.iter_mut().take(1).for_each(|byte| *byte = NO_CONTENT_TYPE);
            }
            Fault::WrongVersion => {
                output.iter_mut().skip(1).zip(NO_VERSION).for_each(|(byte, wrong)| *byte = wrong);
            }
            Fault::BadMac => output.iter_mut().rev().take(1).for_each(|byte| *byte ^= 0xff),
            Fault::UnofferedHash => {
                let said = KeyExchange::find(&Stream::parse(&output), &output);
                let at = said.and_then(|said| said.signed).map(|signed| signed.at);
                if let Some(hash) = at.and_then(|at| output.get_mut(at)) {
                    *hash = MD5;
                }
            }
            Fault::ByteByByte { pause_ms } => {
                self.drip(&output, pause_ms);
                return Ok(());
            }
            // Said by the MQTT side, before anything is encrypted.
            Fault::Connack { .. } => {}
        }
        self.tap.write(&output);
        Ok(())
    }

    fn end(&self, what: &str, stage: Stage) -> Result<(), String> {
        self.tap.close(self.limits.linger);
        Err(words(what, stage))
    }

    /// The pause is the fault itself, not a wait for something.
    fn drip(&self, output: &[u8], pause_ms: u32) {
        let deadline = Instant::now() + self.limits.handshake;
        for byte in output {
            self.tap.write(std::slice::from_ref(byte));
            if pause_ms > 0 && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(pause_ms.into()));
            }
        }
    }
}

/// RFC 5246 7.2.
const FATAL: u8 = 2;

fn words(what: &str, stage: Stage) -> String {
    let when = match stage {
        Stage::Accept => "before it reads anything",
        Stage::ClientHello => "after the ClientHello",
        Stage::Certificate => "in the middle of the Certificate",
        Stage::Finished => "after the client's Finished",
        Stage::Connect => "after the CONNECT",
    };
    format!("the broker {what} {when}, as its profile has it")
}

/// Length of the first record with its header; 0 if there is none.
fn first_record(output: &[u8]) -> usize {
    Stream::parse(output).records.first().map_or(0, |record| record.range.len())
}

/// Where half of the Certificate message has gone out; half of it all if it is encrypted.
fn mid_certificate(output: &[u8]) -> usize {
    const CERTIFICATE: u8 = 11;
    for record in Stream::parse(output).records {
        if record.content != ContentType::Handshake || record.encrypted {
            continue;
        }
        let mut at = record.range.start + RECORD_HEADER;
        while let Some([kind, l0, l1, l2]) = output.get(at..record.range.end).and_then(four) {
            let length = 4 + u32::from_be_bytes([0, l0, l1, l2]) as usize;
            if kind == CERTIFICATE {
                return at + length / 2;
            }
            at += length;
        }
    }
    output.len() / 2
}

fn four(bytes: &[u8]) -> Option<[u8; 4]> {
    bytes.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_certificate_is_found_alone_and_packed() {
        let hello = [2, 0, 0, 2, 9, 9];
        let certificate = [11, 0, 0, 4, 1, 2, 3, 4];
        let record = |body: &[u8]| {
            let length = u8::try_from(body.len()).unwrap();
            [&[22, 3, 3, 0, length][..], body].concat()
        };
        let alone = [record(&hello), record(&certificate)].concat();
        assert_eq!(mid_certificate(&alone), 11 + 5 + 4);
        let packed = record(&[&hello[..], &certificate].concat());
        assert_eq!(mid_certificate(&packed), 5 + 6 + 4);
        let encrypted = [record(&hello), vec![23, 3, 3, 0, 3, 1, 2, 3]].concat();
        assert_eq!(mid_certificate(&encrypted), encrypted.len() / 2);
    }
}
