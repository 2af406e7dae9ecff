//! [`Decoder`]: takes the `aws-chunked` encoding off a body, and checks the signatures in it.

use bytes::{Buf as _, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

use super::error::S3Error;
use super::signature::Identity;

/// The longest head of a chunk, and the longest trailers, in bytes.
const LONGEST_HEAD: usize = 16 << 10;

/// Takes `<hex length>[;chunk-signature=<hex>]\r\n<bytes>\r\n … 0\r\n[<trailers>]\r\n` apart, however it is cut.
#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
    kept: BytesMut,
    /// Who signs each chunk, if they are signed.
    signer: Option<Identity>,
    /// Whether the trailers have to be signed too.
    signs_trailers: bool,
}

#[derive(Debug)]
enum State {
    Head,
    Data {
        left: usize,
        hash: Sha256,
        signature: String,
    },
    /// The line's end behind the bytes.
    Behind,
    Trailers,
}

impl Decoder {
    pub(super) fn new(signer: Option<Identity>, signs_trailers: bool) -> Self {
        Self { state: State::Head, kept: BytesMut::new(), signer, signs_trailers }
    }

    /// The bytes that can be told from what came until now.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Bytes>, S3Error> {
        self.kept.extend_from_slice(bytes);
        let mut decoded = Vec::new();
        loop {
            let goes_on = match &self.state {
                State::Head => self.head()?,
                State::Data { .. } => self.data(&mut decoded)?,
                State::Behind => self.behind()?,
                State::Trailers if self.kept.len() > LONGEST_HEAD => {
                    return Err(malformed("The trailers are long"));
                }
                State::Trailers => false,
            };
            if !goes_on {
                return Ok(decoded);
            }
        }
    }

    /// The trailers, after all came.
    pub(super) fn finish(mut self) -> Result<Vec<(String, String)>, S3Error> {
        if !matches!(self.state, State::Trailers) {
            return Err(incomplete());
        }
        let text =
            std::str::from_utf8(&self.kept).map_err(|_| malformed("The trailers are no text"))?;
        let mut trailers = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (name, value) =
                line.split_once(':').ok_or_else(|| malformed("A trailer has no value"))?;
            trailers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        if let Some(signer) = self.signer.as_mut().filter(|_| self.signs_trailers) {
            let signature = trailers.pop_if(|(name, _)| name == "x-amz-trailer-signature");
            let lines: String =
                trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
            if !signature.is_some_and(|(_, signature)| signer.signed_trailers(&lines, &signature)) {
                return Err(does_not_match());
            }
        }
        Ok(trailers)
    }

    fn head(&mut self) -> Result<bool, S3Error> {
        let Some(end) = self.kept.windows(2).position(|pair| pair == b"\r\n") else {
            let is_long = self.kept.len() > LONGEST_HEAD;
            return if is_long { Err(malformed("A chunk's head is long")) } else { Ok(false) };
        };
        let head = self.kept.split_to(end);
        self.kept.advance(2);
        let head =
            std::str::from_utf8(&head).map_err(|_| malformed("A chunk's head is no text"))?;
        let (length, extension) = head.split_once(';').unwrap_or((head, ""));
        let left = usize::from_str_radix(length.trim(), 16)
            .map_err(|_| malformed("A chunk's length is no number"))?;
        let signature = extension.strip_prefix("chunk-signature=").unwrap_or_default().to_owned();
        self.state = State::Data { left, hash: Sha256::new(), signature };
        if left == 0 {
            self.verify()?;
            self.state = State::Trailers;
        }
        Ok(true)
    }

    fn data(&mut self, decoded: &mut Vec<Bytes>) -> Result<bool, S3Error> {
        let State::Data { left, hash, .. } = &mut self.state else { return Ok(true) };
        let bytes = self.kept.split_to(self.kept.len().min(*left)).freeze();
        *left -= bytes.len();
        let is_whole = *left == 0;
        if self.signer.is_some() {
            hash.update(&bytes);
        }
        if !bytes.is_empty() {
            decoded.push(bytes);
        }
        if is_whole {
            self.verify()?;
            self.state = State::Behind;
        }
        Ok(is_whole)
    }

    fn behind(&mut self) -> Result<bool, S3Error> {
        if self.kept.len() < 2 {
            return Ok(false);
        }
        if &self.kept.split_to(2)[..] != b"\r\n" {
            return Err(malformed("A chunk is longer than its head says"));
        }
        self.state = State::Head;
        Ok(true)
    }

    /// Whether the chunk is signed as it has to be.
    fn verify(&mut self) -> Result<(), S3Error> {
        let State::Data { hash, signature, .. } = &self.state else { return Ok(()) };
        let Some(signer) = &mut self.signer else { return Ok(()) };
        let hash = hex::encode(hash.clone().finalize());
        if signer.signed_chunk(&hash, signature) { Ok(()) } else { Err(does_not_match()) }
    }
}

pub(super) fn incomplete() -> S3Error {
    let message =
        "You did not provide the number of bytes specified by the Content-Length HTTP header";
    S3Error::new(400, "IncompleteBody", message)
}

fn malformed(message: &str) -> S3Error {
    S3Error::invalid_request(format!("The aws-chunked body is malformed: {message}"))
}

fn does_not_match() -> S3Error {
    let message = "The chunk signature we calculated does not match the signature you provided.";
    S3Error::new(403, "SignatureDoesNotMatch", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Decoded = (Vec<u8>, Vec<(String, String)>);

    /// What a body decodes to, fed in pieces of a size.
    fn decode(body: &[u8], piece: usize) -> Result<Decoded, S3Error> {
        let mut decoder = Decoder::new(None, false);
        let mut decoded = Vec::new();
        for piece in body.chunks(piece) {
            decoded.extend(decoder.feed(piece)?.concat());
        }
        Ok((decoded, decoder.finish()?))
    }

    #[test]
    fn chunks_and_trailers_are_told_however_they_are_cut() {
        let body =
            b"5\r\nab\r\nc\r\n0a\r\n0123456789\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        for piece in 1..body.len() {
            let (decoded, trailers) = decode(body, piece).unwrap();
            assert_eq!(decoded, b"ab\r\nc0123456789", "in pieces of {piece}");
            assert_eq!(trailers, [("x-amz-checksum-crc32".to_owned(), "AAAAAA==".to_owned())]);
        }
    }

    #[test]
    fn a_body_may_be_empty_and_without_trailers() {
        assert_eq!(decode(b"0\r\n\r\n", 9).unwrap(), (Vec::new(), Vec::new()));
    }

    #[test]
    fn what_ends_early_is_incomplete() {
        for bad in [&b""[..], b"5", b"5\r\nab", b"5\r\nabcde", b"5\r\nabcde\r\n"] {
            assert_eq!(decode(bad, 99).unwrap_err().code, "IncompleteBody", "{bad:?}");
        }
    }

    #[test]
    fn what_is_no_chunk_is_malformed() {
        for bad in [&b"x\r\n"[..], b"1\r\nabc\r\n0\r\n\r\n", b"0\r\nno value\r\n\r\n"] {
            assert_eq!(decode(bad, 99).unwrap_err().code, "InvalidRequest", "{bad:?}");
        }
    }
}
