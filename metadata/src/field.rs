//! Taking the known fields out of an object, so that what is left is the unknown ones.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::error::MetadataError;
use crate::json::{Object, Value, parse_canonical};
use crate::path::TargetPath;
use crate::scan::{self, Scanner};
use crate::targets::TargetFile;
use crate::time::UtcTime;

type Result<T> = core::result::Result<T, MetadataError>;

/// The members of one object and the path that leads to it.
pub(crate) struct Fields<'a> {
    path: String,
    members: Members<'a>,
}

/// A member that was read where it stands. What is wrong with it is for later: a file of another kind is to be refused
/// as that.
pub(crate) struct Large<T>(Option<Result<T>>);

/// Where members come from.
enum Members<'a> {
    /// A value: what is taken is taken out of it, and the rest are the unknown fields.
    Built(Object),
    /// An object in canonical text, of which nothing is built but what is asked for, and the names that
    /// were taken: a small device has no memory for the whole.
    Text(&'a str, Unknown, Vec<String>),
}

/// What becomes of unknown fields in text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Kept,
    /// They cost nothing, whatever a file holds that nobody has vouched for.
    LeftOut,
}

/// One member's value.
enum Part<'a> {
    Built(Value),
    Text(&'a str, Unknown),
}

impl<T> Large<T> {
    pub(crate) fn new() -> Self {
        Self(None)
    }

    pub(crate) fn read<'t>(
        &mut self,
        scanner: &mut Scanner<'t>,
        read: impl FnOnce(&mut Scanner<'t>) -> Result<T>,
    ) -> Result<()> {
        let before = scanner.clone();
        let found = read(scanner);
        if found.is_err() {
            *scanner = before;
            scanner.skip()?;
        }
        self.0 = Some(found);
        Ok(())
    }

    /// The member `name`, beside `others`.
    pub(crate) fn required(self, others: &Fields<'_>, name: &str) -> Result<T> {
        self.0.unwrap_or_else(|| others.fail(name, "is missing"))
    }

    pub(crate) fn optional(self) -> Result<Option<T>> {
        self.0.transpose()
    }

    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

impl<'a> Fields<'a> {
    pub(crate) fn of(path: impl Into<String>, value: Value) -> Result<Self> {
        Self::of_part(path.into(), Part::Built(value))
    }

    /// Of canonical text, without the unknown fields.
    pub(crate) fn of_text(path: impl Into<String>, text: &'a str) -> Result<Self> {
        Self::of_part(path.into(), Part::Text(text, Unknown::LeftOut))
    }

    /// Of canonical text, which is built member by member.
    pub(crate) fn of_payload(path: impl Into<String>, text: &'a str) -> Result<Self> {
        Self::of_part(path.into(), Part::Text(text, Unknown::Kept))
    }

    /// Of an object in canonical text, some of whose members are so large that `read` takes them where they stand, each
    /// for instance into a [`Large`]. It answers `None` for all others, and these are the fields.
    pub(crate) fn beside<'t>(
        path: impl Into<String>,
        scanner: &mut Scanner<'t>,
        read: &mut dyn FnMut(&mut Scanner<'t>, &str) -> Option<Result<()>>,
    ) -> Result<Self> {
        let mut members = Object::new();
        scanner.object(|scanner, key, _| {
            if let Some(read) = read(scanner, &key) {
                return read;
            }
            members.insert(key.into_owned(), scanner.canonical_value()?);
            Ok(())
        })?;
        Self::of(path, members.into())
    }

    fn of_part(path: String, part: Part<'a>) -> Result<Self> {
        let members = match part {
            Part::Built(Value::Object(members)) => Members::Built(members),
            Part::Text(text, unknown) if text.starts_with('{') => {
                Members::Text(text, unknown, Vec::new())
            }
            _ => return Err(MetadataError::field(path, "must be an object")),
        };
        Ok(Self { path, members })
    }

    /// What was not taken: the unknown fields.
    pub(crate) fn rest(self) -> Object {
        let (text, taken) = match self.members {
            Members::Built(members) => return members,
            Members::Text(_, Unknown::LeftOut, _) => return Object::new(),
            Members::Text(text, Unknown::Kept, taken) => (text, taken),
        };
        let mut rest = Object::new();
        for (name, text) in scan::Members::of(text) {
            if taken.iter().all(|taken| *taken != name) {
                // What was read before is read again.
                rest.insert(
                    name.into_owned(),
                    parse_canonical(text).unwrap_or(Value::Null),
                );
            }
        }
        rest
    }

    /// The path of one member.
    pub(crate) fn path_of(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    pub(crate) fn fail<T>(&self, name: &str, what: impl Into<String>) -> Result<T> {
        Err(MetadataError::field(self.path_of(name), what))
    }

    pub(crate) fn fail_here<T>(&self, what: &str) -> Result<T> {
        Err(MetadataError::field(self.path.as_str(), what))
    }

    pub(crate) fn members_has(&self, name: &str) -> bool {
        match &self.members {
            Members::Built(members) => members.contains_key(name),
            Members::Text(text, ..) => scan::Members::find(text, name).is_some(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match &self.members {
            Members::Built(members) => members.is_empty(),
            Members::Text(text, ..) => scan::Members::of(text).next().is_none(),
        }
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        match self.part(name)? {
            Part::Built(value) => Some(value),
            Part::Text(text, _) => parse_canonical(text).ok(),
        }
    }

    /// A member that should be neither an array nor an object: such a one comes without what is in it.
    fn scalar(&mut self, name: &str) -> Option<Value> {
        match self.part(name)? {
            Part::Text(text, _) if text.starts_with(['[', '{']) => Some(Value::Array(Vec::new())),
            Part::Text(text, _) => parse_canonical(text).ok(),
            Part::Built(value) => Some(value),
        }
    }

    fn part(&mut self, name: &str) -> Option<Part<'a>> {
        match &mut self.members {
            Members::Built(members) => members.remove(name).map(Part::Built),
            Members::Text(text, unknown, taken) => {
                let part = scan::Members::find(text, name)?;
                if *unknown == Unknown::Kept {
                    taken.push(name.into());
                }
                Some(Part::Text(part, *unknown))
            }
        }
    }

    /// An object, to take its members.
    pub(crate) fn fields(&mut self, name: &str) -> Result<Self> {
        match self.optional_fields(name)? {
            Some(fields) => Ok(fields),
            None => self.fail(name, "is missing"),
        }
    }

    pub(crate) fn optional_fields(&mut self, name: &str) -> Result<Option<Self>> {
        let part = self.part(name);
        part.map(|part| Self::of_part(self.path_of(name), part))
            .transpose()
    }

    /// Shows the members of this object, each of them an object itself.
    pub(crate) fn each(self, show: &mut dyn FnMut(&str, Self) -> Result<()>) -> Result<()> {
        let Self { path, members } = self;
        let mut show = |name: &str, part| {
            let fields = Self::of_part(format!("{path}.{name}"), part)?;
            show(name, fields)
        };
        match members {
            Members::Built(members) => members
                .into_iter()
                .try_for_each(|(name, value)| show(&name, Part::Built(value))),
            Members::Text(text, unknown, _) => scan::Members::of(text)
                .try_for_each(|(name, text)| show(&name, Part::Text(text, unknown))),
        }
    }

    pub(crate) fn required(&mut self, name: &str) -> Result<Value> {
        match self.take(name) {
            Some(value) => Ok(value),
            None => self.fail(name, "is missing"),
        }
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Object> {
        match self.required(name)? {
            Value::Object(members) => Ok(members),
            _ => self.fail(name, "must be an object"),
        }
    }

    pub(crate) fn array(&mut self, name: &str) -> Result<Vec<Value>> {
        match self.required(name)? {
            Value::Array(items) => Ok(items),
            _ => self.fail(name, "must be an array"),
        }
    }

    /// Whether an array, where given, is empty.
    #[cfg(feature = "rustcrypto")]
    pub(crate) fn list_is_empty(&mut self, name: &str) -> Result<Option<bool>> {
        match self.part(name) {
            None => Ok(None),
            Some(Part::Text(text, _)) if text.starts_with('[') => Ok(Some(text == "[]")),
            Some(Part::Built(Value::Array(items))) => Ok(Some(items.is_empty())),
            Some(_) => self.fail(name, "must be an array"),
        }
    }

    pub(crate) fn strings(&mut self, name: &str) -> Result<Vec<String>> {
        let items = self.array(name)?;
        items
            .into_iter()
            .map(|item| self.to_string(name, item))
            .collect()
    }

    pub(crate) fn string(&mut self, name: &str) -> Result<String> {
        match self.scalar(name) {
            Some(value) => self.to_string(name, value),
            None => self.fail(name, "is missing"),
        }
    }

    pub(crate) fn boolean(&mut self, name: &str) -> Result<Option<bool>> {
        match self.scalar(name) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(truth)),
            Some(_) => self.fail(name, "must be true or false"),
        }
    }

    /// An integer from `least` to 2^64-1.
    pub(crate) fn unsigned(&mut self, name: &str, least: u64) -> Result<u64> {
        match self.optional_unsigned(name, least)? {
            Some(number) => Ok(number),
            None => self.fail(name, "is missing"),
        }
    }

    pub(crate) fn optional_unsigned(&mut self, name: &str, least: u64) -> Result<Option<u64>> {
        match self.scalar(name) {
            None => Ok(None),
            Some(Value::Integer(number)) => match u64::try_from(number) {
                Ok(number) if number >= least => Ok(Some(number)),
                _ => self.fail(name, format!("must be at least {least}")),
            },
            Some(_) => self.fail(name, "must be an integer"),
        }
    }

    /// The `custom` of a target.
    pub(crate) fn custom_of(file: &TargetFile) -> Result<Self> {
        match &file.custom {
            Some(members) => Self::of("custom", members.clone().into()),
            None => Err(MetadataError::field("custom", "is missing")),
        }
    }

    /// The names of the members that were not taken yet.
    pub(crate) fn names(&self) -> Vec<String> {
        match &self.members {
            Members::Built(members) => members.keys().cloned().collect(),
            Members::Text(text, ..) => scan::Members::of(text)
                .map(|(name, _)| name.into_owned())
                .collect(),
        }
    }

    pub(crate) fn members_is_null(&self, name: &str) -> bool {
        match &self.members {
            Members::Built(members) => members.get(name) == Some(&Value::Null),
            Members::Text(text, ..) => scan::Members::find(text, name) == Some("null"),
        }
    }

    /// A string of at most `longest` characters.
    pub(crate) fn text(&mut self, name: &str, longest: usize) -> Result<String> {
        let text = self.string(name)?;
        match text.chars().nth(longest) {
            None => Ok(text),
            Some(_) => self.fail(name, format!("must have at most {longest} characters")),
        }
    }

    pub(crate) fn optional_text(&mut self, name: &str, longest: usize) -> Result<Option<String>> {
        match self.members_has(name) {
            true => self.text(name, longest).map(Some),
            false => Ok(None),
        }
    }

    pub(crate) fn target_path(&mut self, name: &str) -> Result<TargetPath> {
        let text = self.string(name)?;
        TargetPath::new(&text).or_else(|error| self.fail(name, error.why))
    }

    pub(crate) fn time(&mut self, name: &str) -> Result<UtcTime> {
        let text = self.string(name)?;
        let time = text.parse();
        time.or_else(|_| self.fail(name, "must look like 2030-01-31T23:59:59Z"))
    }

    /// 1 to `longest` bytes in hexadecimal.
    pub(crate) fn hex(&mut self, name: &str, longest: usize) -> Result<Vec<u8>> {
        // A text that stands there as it is needs no memory of its own.
        let decoded = match self.part(name) {
            Some(Part::Text(text, _)) if text.starts_with('"') => Scanner::canonical(text)
                .string()
                .map(|(text, _)| hex::decode(&*text))?,
            Some(Part::Built(Value::String(text))) => hex::decode(text),
            Some(_) => return self.fail(name, "must be a string"),
            None => return self.fail(name, "is missing"),
        };
        match decoded {
            Ok(bytes) if (1..=longest).contains(&bytes.len()) => Ok(bytes),
            _ => self.fail(name, format!("must be 1 to {longest} bytes in hexadecimal")),
        }
    }

    fn to_string(&self, name: &str, value: Value) -> Result<String> {
        match value {
            Value::String(text) => Ok(text),
            _ => self.fail(name, "must be a string"),
        }
    }
}

/// Adds the members that a role writes itself to the unknown ones it carries.
pub(crate) fn with<const N: usize>(extra: &Object, known: [(&str, Value); N]) -> Object {
    let mut members = extra.clone();
    members.extend(
        known
            .into_iter()
            .map(|(name, value)| (name.to_string(), value)),
    );
    members
}
