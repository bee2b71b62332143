//! Telling the model what is signed.

use countersign_metadata::uptane::Vin;

use super::model::Fact;
use super::stage::{Entries, Stage};
use crate::keys::Signer;
use crate::world::repo::Repo;
use crate::world::{DIRECTOR, vin};

impl Stage {
    /// Tells the model what honest people have just published.
    pub(super) fn record(&mut self, site: &'static str, roles: &[&str]) {
        for role in roles {
            let entries = match (site, *role) {
                (DIRECTOR, "targets") => Some(&self.assigned),
                (_, role) => self.listed.get(role),
            };
            let entries = entries.cloned().unwrap_or_default();
            let fact = self.fact(site, self.repo(site), role, &entries, vin());
            let file = self.repo(site).file(role).unwrap().clone();
            self.model.record(&file, fact);
        }
    }

    /// Tells the model what somebody else has made.
    pub(super) fn record_of(
        &mut self,
        site: &'static str,
        repo: &Repo,
        roles: &[&str],
        made: (&Entries, Vin),
    ) {
        for role in roles {
            let fact = self.fact(site, repo, role, made.0, made.1.clone());
            self.model.record(repo.file(role).unwrap(), fact);
        }
    }

    fn fact(
        &self,
        site: &'static str,
        repo: &Repo,
        role: &str,
        entries: &Entries,
        vehicle: Vin,
    ) -> Fact {
        let signer = |(role, keys): (&String, &Vec<Signer>)| (role.clone(), name_of(&keys[0]));
        let fact = Fact {
            repository: site,
            role: role.into(),
            key: name_of(&repo.keys[role][0]),
            vehicle: (site == DIRECTOR).then(|| vehicle.to_string()),
            ..Fact::default()
        };
        let (header, fact) = match role {
            "root" => {
                let offline = ["offline-snapshot", "offline-targets"].map(String::from);
                let offline = offline
                    .into_iter()
                    .zip(self.offline_keys.iter().map(name_of));
                let keys = repo.keys.iter().map(signer).chain(offline).collect();
                (&repo.root.header, Fact { keys, ..fact })
            }
            "timestamp" => {
                let version = repo.timestamp.snapshot.version;
                let versions = [("snapshot".into(), version)].into();
                (&repo.timestamp.header, Fact { versions, ..fact })
            }
            "snapshot" => {
                let listed = repo.snapshot.meta.iter();
                let versions = listed
                    .map(|(name, meta)| (name.replace(".json", ""), meta.version))
                    .collect();
                (&repo.snapshot.header, Fact { versions, ..fact })
            }
            _ => {
                let entries = entries.values().cloned().collect();
                let supplier = repo.keys.iter().filter(|(role, _)| *role == "supplier");
                let keys = supplier.map(signer).collect();
                let fact = Fact {
                    entries,
                    keys,
                    ..fact
                };
                (&repo.targets[role].header, fact)
            }
        };
        Fact {
            version: header.version,
            expires: Some(header.expires),
            ..fact
        }
    }
}

/// A key, as the model knows it.
pub(super) fn name_of(signer: &Signer) -> String {
    signer.key.id().as_str().into()
}
