//! Making the next version of a Targets file.

use alloc::collections::BTreeMap;
use alloc::string::String;

use crate::canonical::{write, write_members, write_string};
use crate::delegation::Delegations;
use crate::field::with;
use crate::header::{Header, Role, RoleType};
use crate::json::{Object, Value};
use crate::path::{TargetPath, UnsafePath};
use crate::targets::{TargetFile, Targets};
use crate::time::UtcTime;

/// The content of a Targets file under construction.
#[derive(Debug, Clone)]
pub struct TargetsBuilder {
    /// The fields all roles share.
    pub header: Header,
    /// Images by path.
    pub targets: BTreeMap<TargetPath, TargetFile>,
    /// Delegations, where wanted.
    pub delegations: Option<Delegations>,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

impl TargetsBuilder {
    /// Version 1, listing nothing.
    pub fn new(expires: UtcTime) -> Self {
        Self {
            header: Header::new(1, expires),
            targets: BTreeMap::new(),
            delegations: None,
            extra: Object::new(),
        }
    }

    /// The version after `previous`, with its content.
    ///
    /// # Errors
    /// [`UnsafePath`] when `previous` lists an image under a path that no client could store.
    pub fn next_of(previous: &Targets, expires: UtcTime) -> Result<Self, UnsafePath> {
        Ok(Self {
            header: previous.header().next(expires),
            ..Self::same_as(previous)?
        })
    }

    /// The content and the version of `file`: a draft that goes on being edited.
    ///
    /// # Errors
    /// As [`TargetsBuilder::next_of`].
    pub fn same_as(file: &Targets) -> Result<Self, UnsafePath> {
        let mut targets = BTreeMap::new();
        for (path, image) in file.iter() {
            targets.insert(TargetPath::new(&path)?, image);
        }
        Ok(Self {
            header: file.header().clone(),
            targets,
            delegations: file.delegations().cloned(),
            extra: file.extra().clone(),
        })
    }

    /// The canonical payload of this content, to be signed.
    pub fn to_payload(&self) -> String {
        // "targets" can be most of the file, so it is written in place rather than built first.
        let mut members = with(
            &self.header.to_members(RoleType::Targets, &self.extra),
            [("targets", Value::Null)],
        );
        if let Some(delegations) = &self.delegations {
            members.insert("delegations".into(), delegations.to_value());
        }
        let mut out = String::new();
        write_members(&mut out, &members, |out, (name, value)| {
            write_string(out, name);
            out.push(':');
            match name.as_str() {
                "targets" => self.write_targets(out),
                _ => write(out, value),
            }
        });
        out
    }

    fn write_targets(&self, out: &mut String) {
        write_members(out, &self.targets, |out, (path, image)| {
            write_string(out, path.as_str());
            out.push(':');
            write(out, &image.to_value());
        });
    }
}
