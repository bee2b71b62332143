//! Taking the known fields out of an object, so that what is left is the unknown ones.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::error::MetadataError;
use crate::json::{Object, Value};
use crate::path::TargetPath;
use crate::targets::TargetFile;
use crate::time::UtcTime;

type Result<T> = core::result::Result<T, MetadataError>;

/// The members of one object and the path that leads to it.
pub(crate) struct Fields {
    path: String,
    members: Object,
}

impl Fields {
    pub(crate) fn of(path: impl Into<String>, value: Value) -> Result<Self> {
        let path = path.into();
        match value {
            Value::Object(members) => Ok(Self { path, members }),
            _ => Err(MetadataError::field(path, "must be an object")),
        }
    }

    /// What was not taken: the unknown fields.
    pub(crate) fn rest(self) -> Object {
        self.members
    }

    /// The path of one member.
    pub(crate) fn path_of(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    pub(crate) fn fail<T>(&self, name: &str, what: impl Into<String>) -> Result<T> {
        Err(MetadataError::field(self.path_of(name), what))
    }

    pub(crate) fn members_has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name)
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

    pub(crate) fn strings(&mut self, name: &str) -> Result<Vec<String>> {
        let items = self.array(name)?;
        items
            .into_iter()
            .map(|item| self.to_string(name, item))
            .collect()
    }

    pub(crate) fn string(&mut self, name: &str) -> Result<String> {
        let value = self.required(name)?;
        self.to_string(name, value)
    }

    pub(crate) fn boolean(&mut self, name: &str) -> Result<Option<bool>> {
        match self.take(name) {
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
        match self.take(name) {
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
        self.members.keys().cloned().collect()
    }

    pub(crate) fn members_is_null(&self, name: &str) -> bool {
        self.members.get(name) == Some(&Value::Null)
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
        let text = self.string(name)?;
        match hex::decode(&text) {
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
