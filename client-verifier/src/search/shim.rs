//! Stands in for what delegations will say of hardware and of several roles.
#![allow(dead_code)]

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use countersign_metadata::uptane::HardwareId;
use countersign_metadata::{Delegations, RoleKeys, TargetPath};

#[derive(Debug, Clone)]
pub(super) struct MultiRole {
    pub(super) name: String,
    pub(super) roles: Vec<(String, RoleKeys)>,
    pub(super) min_roles_in_agreement: u32,
    pub(super) terminating: bool,
}

pub(super) enum Matching<'a> {
    Role {
        name: Cow<'a, str>,
        terminating: bool,
    },
    Multi(&'a MultiRole),
}

impl Matching<'_> {
    pub(super) fn is_terminating(&self) -> bool {
        match self {
            Self::Role { terminating, .. } => *terminating,
            Self::Multi(multi) => multi.terminating,
        }
    }
}

pub(super) fn matching<'a>(
    delegations: &'a Delegations,
    path: &TargetPath,
    _: Option<&HardwareId>,
) -> Vec<Matching<'a>> {
    let all = delegations.matching(path).into_iter();
    all.map(|(name, terminating)| Matching::Role { name, terminating })
        .collect()
}
