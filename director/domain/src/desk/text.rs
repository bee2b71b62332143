//! What was published last, as a text for a database.

use countersign_metadata::json::{Object, Value, parse};
use countersign_metadata::{Header, MetaFile, MetadataError, canonical};

use super::{Desk, Issue};

impl Desk {
    /// For a database; [`Desk::of_text`] reads it. Empty if nothing was published.
    pub fn to_text(&self) -> String {
        let Some(last) = &self.last else {
            return String::new();
        };
        let members: [(&str, Value); 6] = [
            ("content", hex::encode(last.content).into()),
            ("root", last.root.into()),
            ("targets", header(&last.targets)),
            ("snapshot", header(&last.snapshot)),
            ("timestamp", header(&last.timestamp)),
            ("snapshotFile", last.snapshot_file.to_value()),
        ];
        canonical::encode(&object(members))
    }

    /// What [`Desk::to_text`] wrote.
    ///
    /// # Errors
    /// [`MetadataError`]
    pub fn of_text(text: &str) -> Result<Self, MetadataError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let members = match parse(text.as_bytes())? {
            Value::Object(members) => members,
            _ => return Err(wrong("desk")),
        };
        let mut content = [0; 32];
        let digest = text_of(&members, "content")?;
        hex::decode_to_slice(digest, &mut content).map_err(|_| wrong("content"))?;
        Ok(Self {
            last: Some(Issue {
                content,
                root: number_of(&members, "root")?,
                targets: header_of(&members, "targets")?,
                snapshot: header_of(&members, "snapshot")?,
                timestamp: header_of(&members, "timestamp")?,
                snapshot_file: MetaFile::of(member(&members, "snapshotFile")?)?,
            }),
        })
    }
}

fn header(header: &Header) -> Value {
    object([
        ("version", header.version.into()),
        ("expires", header.expires.to_string().into()),
    ])
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let members = members.map(|(name, value)| (name.to_owned(), value));
    Object::from_iter(members).into()
}

fn header_of(members: &Object, name: &str) -> Result<Header, MetadataError> {
    let members = member(members, name)?.as_object();
    let members = members.ok_or_else(|| wrong(name))?;
    let expires = text_of(members, "expires")?.parse();
    let version = number_of(members, "version")?;
    Ok(Header::new(version, expires.map_err(|_| wrong("expires"))?))
}

fn number_of(members: &Object, name: &str) -> Result<u64, MetadataError> {
    match member(members, name)? {
        Value::Integer(number) => u64::try_from(*number).map_err(|_| wrong(name)),
        _ => Err(wrong(name)),
    }
}

fn text_of<'m>(members: &'m Object, name: &str) -> Result<&'m str, MetadataError> {
    member(members, name)?.as_str().ok_or_else(|| wrong(name))
}

fn member<'m>(members: &'m Object, name: &str) -> Result<&'m Value, MetadataError> {
    members.get(name).ok_or_else(|| wrong(name))
}

fn wrong(name: &str) -> MetadataError {
    MetadataError::Field {
        field: format!("desk.{name}"),
        what: "is not what was written".into(),
    }
}
