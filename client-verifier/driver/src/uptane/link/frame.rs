//! One message on the wire: two lengths, a JSON header, raw bytes.

use std::io::{self, Read, Write};

use super::LinkError;

/// The longest header in bytes. The longest one names an image: a path of
/// [`MAX_TARGET_PATH`](countersign_metadata::limits::MAX_TARGET_PATH) bytes, each percent-encoded,
/// fits twice.
pub const MAX_HEADER: usize = 16 * 1024;

/// The longest body in bytes: one part of a file, a signed report or an attestation of the time.
pub const MAX_BODY: usize = 64 * 1024;

/// One message as it travels: a header that says what it is, and the bytes that it brings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// JSON.
    pub header: Vec<u8>,
    /// Anything.
    pub body: Vec<u8>,
}

impl Frame {
    /// Reads one frame. Nothing is read beyond its end, and memory is set aside only for lengths
    /// within the bounds.
    ///
    /// # Errors
    /// [`LinkError::TooLong`] for a length beyond its bound, [`LinkError::Io`] if the frame breaks
    /// off.
    pub fn read_from(source: &mut dyn Read) -> Result<Self, LinkError> {
        let mut lengths = [0; 8];
        source.read_exact(&mut lengths)?;
        let [h0, h1, h2, h3, b0, b1, b2, b3] = lengths;
        let header = bounded("header", [h0, h1, h2, h3], MAX_HEADER)?;
        let body = bounded("body", [b0, b1, b2, b3], MAX_BODY)?;
        Ok(Self {
            header: read_exactly(source, header)?,
            body: read_exactly(source, body)?,
        })
    }

    /// Writes the frame, in one piece.
    ///
    /// # Errors
    /// [`LinkError::TooLong`] if it is beyond its bounds: then nothing was written.
    /// [`LinkError::Io`] if it could not be sent.
    pub fn write_to(&self, sink: &mut dyn Write) -> Result<(), LinkError> {
        let header = length("header", &self.header, MAX_HEADER)?;
        let body = length("body", &self.body, MAX_BODY)?;
        let bytes = [&header[..], &body, &self.header, &self.body].concat();
        sink.write_all(&bytes)?;
        Ok(sink.flush()?)
    }
}

fn bounded(what: &'static str, length: [u8; 4], limit: usize) -> Result<usize, LinkError> {
    match usize::try_from(u32::from_be_bytes(length)) {
        Ok(length) if length <= limit => Ok(length),
        _ => Err(LinkError::TooLong { what, limit }),
    }
}

fn length(what: &'static str, bytes: &[u8], limit: usize) -> Result<[u8; 4], LinkError> {
    match u32::try_from(bytes.len()) {
        Ok(length) if bytes.len() <= limit => Ok(length.to_be_bytes()),
        _ => Err(LinkError::TooLong { what, limit }),
    }
}

fn read_exactly(source: &mut dyn Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_of(frame: &Frame) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame.write_to(&mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(header: Vec<u8>, body: Vec<u8>, rest: Vec<u8>) {
            let frame = Frame { header, body };
            let bytes = [bytes_of(&frame), rest.clone()].concat();
            let mut source = &bytes[..];
            prop_assert_eq!(Frame::read_from(&mut source).unwrap(), frame);
            prop_assert_eq!(source, &rest[..], "read beyond the frame");
        }

        #[test]
        fn whatever_comes_is_a_frame_or_an_error(bytes: Vec<u8>) {
            if let Ok(frame) = Frame::read_from(&mut &bytes[..]) {
                let again = bytes_of(&frame);
                prop_assert_eq!(&again[..], &bytes[..again.len()]);
            }
        }

        #[test]
        fn a_frame_cut_anywhere_is_an_error(
            header in proptest::collection::vec(any::<u8>(), 1..50),
            body in proptest::collection::vec(any::<u8>(), 0..50),
            at in any::<proptest::sample::Index>(),
        ) {
            let bytes = bytes_of(&Frame { header, body });
            let cut = &bytes[..at.index(bytes.len())];
            prop_assert!(matches!(Frame::read_from(&mut &cut[..]), Err(LinkError::Io(_))));
        }
    }

    #[test]
    fn lengths_beyond_the_bounds_are_refused_before_anything_is_set_aside() {
        for (header, body, what) in [
            (MAX_HEADER as u32 + 1, 0, "header"),
            (u32::MAX, 0, "header"),
            (0, MAX_BODY as u32 + 1, "body"),
            (0, u32::MAX, "body"),
        ] {
            let bytes = [header.to_be_bytes(), body.to_be_bytes()].concat();
            match Frame::read_from(&mut bytes.chain(io::repeat(0))) {
                Err(LinkError::TooLong { what: found, .. }) => assert_eq!(found, what),
                other => panic!("{other:?}"),
            }
        }
        let long = Frame {
            header: vec![0; MAX_HEADER + 1],
            body: Vec::new(),
        };
        let mut sink = Vec::new();
        assert!(long.write_to(&mut sink).is_err());
        assert!(sink.is_empty());
    }
}
