//! What an ECU has to do, in the words of its cases.

use crate::cases::StepDraft;
use crate::cases::draft::ANY;
use crate::format::{Action, Assigned, Verdict};

const TOP_LEVEL: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];

/// Trusted versions of Root, Timestamp, Snapshot and Targets.
pub(super) type Versions = [u64; 4];

/// Nothing of a repository is looked at.
pub(super) const WHATEVER: Versions = [ANY; 4];

/// Only the Root that it was provisioned with.
pub(super) const NOTHING_YET: Versions = [1, 0, 0, 0];

/// What is published first.
pub(super) const ONE: Versions = [1, 1, 1, 1];

/// What is published next, under the same Root.
pub(super) const TWO: Versions = [1, 2, 2, 2];

impl StepDraft {
    /// All is well; afterwards these versions of the Director's and of the Image repository's roles are
    /// trusted.
    pub(super) fn is_well(&mut self, director: Versions, image: Versions) -> &mut Self {
        self.step.expect.verdict = Verdict::Accept;
        self.trusts_both(director, image)
    }

    /// It is refused for the sake of a `REPOSITORY/ROLE`; afterwards these versions are trusted.
    pub(super) fn is_refused(
        &mut self,
        code: &str,
        place: &str,
        attack: &str,
        (director, image): (Versions, Versions),
    ) -> &mut Self {
        let (repository, role) = place.split_once('/').unwrap_or((place, ""));
        let expect = &mut self.step.expect;
        expect.verdict = Verdict::Reject;
        expect.code = Some(code.into());
        expect.attack = Some(attack.into());
        expect.role = Some(role.into()).filter(|role: &String| !role.is_empty());
        expect.repository = Some(repository.into()).filter(|name: &String| !name.is_empty());
        self.trusts_both(director, image)
    }

    /// The installation is refused.
    pub(super) fn does_not_install(&mut self, code: &str, attack: &str) -> &mut Self {
        self.is_refused(code, "", attack, (WHATEVER, WHATEVER))
            .runs_what_it_did()
    }

    fn trusts_both(&mut self, director: Versions, image: Versions) -> &mut Self {
        for (repository, versions) in [("director", director), ("image", image)] {
            for (role, version) in TOP_LEVEL.into_iter().zip(versions) {
                if version != ANY {
                    let version = Some(version).filter(|version| *version > 0);
                    self.trusted.insert(format!("{repository}/{role}"), version);
                }
            }
        }
        self
    }

    /// These are assigned: ECU, path and release counter.
    pub(super) fn assigns(&mut self, images: &[(&str, &str, u64)]) -> &mut Self {
        let assigned = images.iter().map(|(ecu, path, release_counter)| Assigned {
            ecu: (*ecu).into(),
            path: (*path).into(),
            release_counter: *release_counter,
            encrypted: false,
        });
        let mut assigned: Vec<Assigned> = assigned.collect();
        assigned.sort();
        self.step.expect.assigned = Some(assigned);
        self
    }

    /// Of what is assigned, this travels encrypted.
    pub(super) fn encrypted(&mut self, path: &str) -> &mut Self {
        for assigned in self.step.expect.assigned.iter_mut().flatten() {
            assigned.encrypted |= assigned.path == path;
        }
        self
    }

    /// These bytes run afterwards.
    pub(super) fn runs(&mut self, image: &[u8]) -> &mut Self {
        self.step.expect.installed = Some(crate::simulate::sha256_hex(image));
        self
    }

    /// What ran before the first step still does.
    pub(super) fn runs_what_it_did(&mut self) -> &mut Self {
        self.step.expect.installed = Some("factory".into());
        self
    }

    /// The ECU has drawn this nonce.
    pub(super) fn nonce(&mut self, nonce: &str) -> &mut Self {
        if let Action::Cycle(cycle) = &mut self.step.action {
            cycle.nonce = Some(nonce.into());
        }
        self
    }

    /// This is what the time server has answered.
    pub(super) fn attested(&mut self, attestation: &[u8]) -> &mut Self {
        self.give("attestation", attestation)
    }

    /// This is the image that the Primary hands over.
    pub(super) fn handed(&mut self, image: &[u8]) -> &mut Self {
        self.give("image", image)
    }
}
