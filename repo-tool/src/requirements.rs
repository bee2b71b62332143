//! Whose signatures a staged file needs: one authority, or two while keys change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use countersign_metadata::{
    Authority, Key, KeyId, PublicKey, Role, RoleKeys, RoleType, Root, Signed, Tally, UtcTime,
};

use crate::drafts::Drafts;
use crate::error::RepoError;
use crate::published::Published;
use crate::rotation::EarlierRoot;
use crate::tallies::Tallies;
use crate::tree::Tree;

/// One authority whose threshold a file must reach.
#[derive(Debug, Clone)]
pub(crate) struct Requirement {
    pub(crate) by: By,
    pub(crate) authority: Authority,
    pub(crate) keys: BTreeMap<KeyId, PublicKey>,
    tallies: Tallies,
}

/// Why an authority must sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum By {
    /// The published Root says so.
    Root,
    /// The staged Root will say so.
    NextRoot,
    /// A Root before the published one says so, and clients may still go by it.
    EarlierRoot {
        /// Its version.
        version: u64,
        /// Until when.
        until: UtcTime,
    },
    /// The delegating role says so.
    Delegator(String),
}

impl By {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Root => "the current root's keys".into(),
            Self::NextRoot => "the next root's keys".into(),
            Self::EarlierRoot { version, until } => {
                format!("root {version}'s keys, for clients on their way over until {until}")
            }
            Self::Delegator(role) => format!("the keys that {role} delegates to"),
        }
    }
}

impl Requirement {
    fn new(
        by: By,
        role: &str,
        role_keys: &RoleKeys,
        keys: &BTreeMap<KeyId, Key>,
        tallies: &Tallies,
    ) -> Self {
        let public = |id: &KeyId| Some((id.clone(), keys.get(id)?.public()?));
        Self {
            by,
            authority: Authority::assume(role, role_keys, keys),
            keys: role_keys.keyids.iter().filter_map(public).collect(),
            tallies: tallies.clone(),
        }
    }

    pub(crate) fn of_root(by: By, root: &Root, kind: RoleType, tallies: &Tallies) -> Self {
        let nobody = RoleKeys::new([], u32::MAX);
        let role_keys = root.roles.get(&kind).unwrap_or(&nobody);
        Self::new(by, kind.name(), role_keys, &root.keys, tallies)
    }

    pub(crate) fn tally<T: Role>(&self, file: &Signed<T>) -> Tally {
        self.tallies.of(file, &self.authority)
    }

    pub(crate) fn is_met<T: Role>(&self, file: &Signed<T>) -> bool {
        self.tally(file).is_met()
    }

    /// A threshold that the keys can never reach.
    pub(crate) fn unreachable(&self) -> Option<RepoError> {
        let keys = self.keys.values().collect::<BTreeSet<_>>().len();
        let threshold = self.authority.threshold();
        (threshold as usize > keys).then(|| RepoError::Unreachable {
            role: self.authority.role().into(),
            threshold,
            keys,
        })
    }
}

/// What happens to the keys that a Root takes out of the online roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outgoing {
    /// They sign the files that lead over, before the Root and for a while after it, so that no
    /// client ever sees a file that it refuses.
    Sign,
    /// They cannot sign any more, or must not, and are not asked: clients that are between two
    /// requests are refused once.
    Lost,
}

/// Computes requirements out of what is published and staged.
pub(crate) struct Requirements<'a> {
    published: Option<Root>,
    staged: Option<Root>,
    earlier: Vec<EarlierRoot>,
    tree: Tree<'a>,
    outgoing: Outgoing,
    tallies: Tallies,
}

impl<'a> Requirements<'a> {
    pub(crate) fn new(
        drafts: &'a Drafts,
        published: &'a Published,
        earlier: Vec<EarlierRoot>,
        outgoing: Outgoing,
        tallies: Tallies,
    ) -> Result<Self, RepoError> {
        Ok(Self {
            published: published.root_content()?,
            staged: drafts.content::<Root>("root")?.map(Arc::unwrap_or_clone),
            earlier,
            tree: Tree::new(drafts, published),
            outgoing,
            tallies,
        })
    }

    /// Without the staged Root, for files that go out before it.
    pub(crate) fn without_staged(self) -> Self {
        Self {
            staged: None,
            ..self
        }
    }

    /// Whose signatures the next file of `role` needs.
    ///
    /// # Errors
    /// [`RepoError::NoSuchRole`] when nobody delegates to it.
    pub(crate) fn of(&self, role: &str) -> Result<Vec<Requirement>, RepoError> {
        match RoleType::from_name(role) {
            Some(kind) => self.of_top_level(kind),
            None => {
                let missing = || RepoError::NoSuchRole { role: role.into() };
                let found = self.tree.delegation(role)?.ok_or_else(missing)?;
                let by = By::Delegator(found.delegator);
                Ok(vec![Requirement::new(
                    by,
                    role,
                    &found.role_keys,
                    &found.keys,
                    &self.tallies,
                )])
            }
        }
    }

    /// TUF 5.3.4 asks for both Roots' thresholds on a Root. A file of another role is accepted by
    /// clients at each Root that they may go by, so each of these asks for its own: the published
    /// one, the staged one that is about to follow, and those before on the way over.
    fn of_top_level(&self, kind: RoleType) -> Result<Vec<Requirement>, RepoError> {
        let leads_over = self.outgoing == Outgoing::Sign;
        let mut found: Vec<Requirement> = Vec::new();
        let mut ask = |by, root: &Root| {
            let requirement = Requirement::of_root(by, root, kind, &self.tallies);
            if !found
                .iter()
                .any(|known| known.authority == requirement.authority)
            {
                found.push(requirement);
            }
        };
        if let Some(root) = &self.published
            && (self.staged.is_none() || leads_over || kind == RoleType::Root)
        {
            ask(By::Root, root);
        }
        if let Some(root) = &self.staged {
            ask(By::NextRoot, root);
        }
        if leads_over && kind != RoleType::Root {
            for EarlierRoot { root, until } in &self.earlier {
                let (version, until) = (root.version(), *until);
                ask(By::EarlierRoot { version, until }, root);
            }
        }
        match found.is_empty() {
            true => Err(RepoError::NoSuchRole {
                role: kind.name().into(),
            }),
            false => Ok(found),
        }
    }
}
