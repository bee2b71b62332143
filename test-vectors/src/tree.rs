//! What a server serves in one step.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// Files by path, such as `metadata/1.root.json`. Path segments are percent-encoded.
pub type Files = BTreeMap<String, Vec<u8>>;

/// An answer of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200, with these bytes.
    Found(Vec<u8>),
    /// Another status, without a body.
    Status(u16),
}

/// A served repository.
#[derive(Debug, Clone, Default)]
pub struct Site {
    files: BTreeMap<Vec<Vec<u8>>, Vec<u8>>,
    status: BTreeMap<Vec<Vec<u8>>, u16>,
}

impl Site {
    /// Serves `files`.
    pub fn new(files: &Files) -> Self {
        let files = files
            .iter()
            .map(|(path, bytes)| (segments(path), bytes.clone()));
        Self {
            files: files.collect(),
            status: BTreeMap::new(),
        }
    }

    /// Serves `spaces` spaces after the file at `path`.
    pub fn pad(&mut self, path: &str, spaces: usize) {
        let bytes = self.files.entry(segments(path)).or_default();
        bytes.resize(bytes.len() + spaces, b' ');
    }

    /// Answers requests for `path` with `status`.
    pub fn status(&mut self, path: &str, status: u16) {
        self.status.insert(segments(path), status);
    }

    /// The answer to a request. Clients differ in which characters they percent-encode, so
    /// segments are compared decoded.
    pub fn get(&self, path: &str) -> Answer {
        let path = segments(path);
        match (self.status.get(&path), self.files.get(&path)) {
            (Some(status), _) => Answer::Status(*status),
            (None, Some(bytes)) => Answer::Found(bytes.clone()),
            (None, None) => Answer::Status(404),
        }
    }
}

fn segments(path: &str) -> Vec<Vec<u8>> {
    path.split('/')
        .map(|segment| percent_decode_str(segment).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_slash_is_not_a_separator() {
        let files = Files::from([("metadata/1.a%2Fb.json".into(), b"x".to_vec())]);
        let site = Site::new(&files);
        assert_eq!(
            site.get("metadata/1.a%2fb.json"),
            Answer::Found(b"x".to_vec())
        );
        assert_eq!(site.get("metadata/1.a/b.json"), Answer::Status(404));
    }
}
