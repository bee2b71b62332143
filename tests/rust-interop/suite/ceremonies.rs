//! tough follows a chain of roots out of ceremonies, whose keys are all in tokens.

use std::fs;
use std::path::PathBuf;

use countersign_ceremony::conduct::REQUEST;
use countersign_ceremony::exchange::Message;
use countersign_ceremony::holder::{self, Answer, Existence, ReadRequest, Station};
use countersign_ceremony::review;
use countersign_ceremony::rotate::{self, Rotation, Why};
use countersign_ceremony::sealing::ReadSealRequest;
use countersign_ceremony::{Extent, Folder, verify};
use countersign_metadata::RoleType;
use countersign_repo::policy::{Policy, RolePolicy, Span, TopLevel};
use countersign_repo::{NamedKeys, NewTarget, Outgoing, Repository, Visibility};
use countersign_signing::Secrets;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Client, Ours, Sigstore, Tough, expect_refusal, fetch};
use crate::tokens::{self, with_tokens};
use crate::tree::{self, Tree};

const IMAGE: &str = "kernel.img";
/// What tough, sigstore-tuf and our client say when too few keys have signed the root.
const TOO_FEW: [&str; 3] = [
    "threshold of 2 not met for role root",
    "threshold not met for role root",
    "signature-threshold (root)",
];
/// What they say when a root was left out.
const LEFT_OUT: [&str; 3] = ["Found version 5", "trusted 3, got 5", "root-version (root)"];
const PEOPLE: [&str; 6] = ["anna", "ben", "chris", "dora", "release", "online"];

/// tough reads no P-384, so the keys are of the kinds that it has.
const PROFILE: &str = r#"
name = "Example Motors"
holders = { anna = "Anna", ben = "Ben", chris = "Chris", release = "release", online = "server" }

[roles.root]
threshold = 2
expires = "365d"
keys = [
    { holder = "anna", algorithm = "ecdsa-p256", uri = "pkcs11:token=anna;object=root" },
    { holder = "ben", algorithm = "ed25519", uri = "pkcs11:token=ben;object=root" },
    { holder = "chris", algorithm = "rsa-2048", uri = "pkcs11:token=chris;object=root" },
]

[roles.targets]
threshold = 1
expires = "90d"
keys = [{ holder = "release", algorithm = "ecdsa-p256", uri = "pkcs11:token=release;object=targets" }]

[roles.snapshot]
threshold = 1
expires = "7d"
keys = [{ holder = "online", algorithm = "ed25519", uri = "pkcs11:token=online;object=snapshot" }]

[roles.timestamp]
threshold = 1
expires = "1d"
keys = [{ holder = "online", algorithm = "ed25519", uri = "pkcs11:token=online;object=timestamp" }]
"#;

/// What a rotation changes: `ROLE/HOLDER/OBJECT` comes, `TOKEN/OBJECT` signs.
struct Change {
    why: Why,
    remove: &'static [&'static str],
    add: &'static [&'static str],
    threshold: Option<u32>,
    signers: &'static [&'static str],
}

const CHANGES: [Change; 4] = [
    // Chris lost the token; Dora takes over.
    Change {
        why: Why::Lost,
        remove: &["root/chris"],
        add: &["root/dora/root"],
        threshold: None,
        signers: &["anna/root", "ben/root"],
    },
    // All root keys at once.
    Change {
        why: Why::Scheduled,
        remove: &[],
        add: &["root/anna/root-2", "root/ben/root-2", "root/dora/root-2"],
        threshold: None,
        signers: &["anna/root", "dora/root", "anna/root-2", "ben/root-2"],
    },
    // The publishing server was broken into.
    Change {
        why: Why::Compromised,
        remove: &[],
        add: &["snapshot/online/snapshot-2", "timestamp/online/timestamp-2"],
        threshold: None,
        signers: &["ben/root-2", "dora/root-2"],
    },
    // Three signatures from now on.
    Change {
        why: Why::Scheduled,
        remove: &[],
        add: &[],
        threshold: Some(3),
        signers: &["anna/root-2", "ben/root-2", "dora/root-2"],
    },
];

#[test]
fn tough_follows_a_chain_of_ceremonies_in_tokens() {
    let name = "ceremonies::tough_follows_a_chain_of_ceremonies_in_tokens";
    with_tokens(name, &PEOPLE, chain_of_ceremonies);
}

fn chain_of_ceremonies() {
    let mut held = Held::first();
    let tree = held.start_repository();
    let mut tough = Tough::new(&tree).expect("a client");
    let mut sigstore = Sigstore::new(&tree).expect("a client");
    assert_eq!(tough.fetch(IMAGE), Ok(Some(image(1))));
    for change in &CHANGES {
        held.rotate(change);
        held.publish_root(change);
        let newest = Ok(Some(image(held.roots.len())));
        assert_eq!(tough.fetch(IMAGE), newest);
        assert_eq!(sigstore.fetch(IMAGE), newest);
    }
    for (number, root) in (1..=5).zip(&held.roots) {
        let path = tree.metadata().join(format!("{number}.root.json"));
        assert_eq!(&fs::read(path).expect("published"), root);
    }
    assert_eq!(held.roots.len(), 5);
    // Those that were away all the time.
    let newest = Ok(Some(image(5)));
    assert_eq!(fetch::<Tough>(&tree, IMAGE), newest);
    assert_eq!(fetch::<Sigstore>(&tree, IMAGE), newest);
    assert_eq!(fetch::<Ours>(&tree, IMAGE), newest);

    let short = one_old_signature_less(&held.roots[1], &held.roots[2]);
    assert_eq!(short.len(), 2);
    for root in &short {
        refused(&tree, 3, root, TOO_FEW);
    }
    // The keys of root 3 have signed root 5 too.
    refused(&tree, 4, &held.roots[4], LEFT_OUT);
}

/// What is sealed so far, with a ceremony's folder for each root.
struct Held {
    folder: TempDir,
    roots: Vec<Vec<u8>>,
}

impl Held {
    fn first() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let roots = Vec::new();
        let mut held = Self { folder, roots };
        held.hold(PROFILE.into(), &["anna/root", "ben/root"]);
        held
    }

    fn rotate(&mut self, change: &Change) {
        let slot = |text: &str| rotate::parse_slot(text).expect("a place");
        let add = change.add.iter().map(|text| {
            let (place, object) = text.rsplit_once('/').expect("an object");
            let slot = slot(place);
            let uri = uri(&format!("{}/{object}", slot.holder));
            (slot, Some(uri))
        });
        let threshold = change.threshold.map(|number| (RoleType::Root, number));
        let rotation = Rotation {
            why: change.why,
            remove: change.remove.iter().map(|text| slot(text)).collect(),
            add: add.collect(),
            holders: Vec::new(),
            thresholds: threshold.into_iter().collect(),
            algorithm: None,
        };
        let last = Folder::open(&self.ceremony(self.roots.len())).expect("sealed");
        let profile = rotate::next_profile(last.ceremony(), &rotation).expect("a profile");
        drop(last);
        self.hold(profile.to_text(), change.signers);
    }

    /// A whole ceremony, through the files that travel between its participants.
    fn hold(&mut self, profile: String, signers: &[&str]) {
        let path = self.ceremony(self.roots.len() + 1);
        let previous = self.roots.last().cloned();
        let (now, secrets) = (tree::now(), self.secrets());
        let station = Station {
            secrets: &secrets,
            now,
            in_ci: false,
        };
        let planned = Folder::plan(&path, profile, previous.clone(), Vec::new(), now);
        let mut lead = planned.expect("planned");
        let back = self.folder.path().join("back.json");
        for entry in fs::read_dir(path.join("invitations")).into_iter().flatten() {
            let file = entry.expect("an entry").path();
            let Message::Invitation(invitation) = Message::read(&file).expect("readable") else {
                panic!("{} is no invitation", file.display());
            };
            let answer = Answer {
                uri: None,
                existence: Existence::Generate(None),
                accepted: Vec::new(),
                confirmed: &invitation.slot.to_string(),
            };
            holder::prove(&station, &invitation, answer, &back).expect("a new key");
            lead.merge(&back, &[], now).expect("proved");
            fs::remove_file(&back).expect("there");
        }
        let (root, _) = lead.next_root().expect("all keys");
        lead.review(&root, Vec::new(), &review::confirmation(&root), now)
            .expect("reviewed");
        let request = path.join(REQUEST);
        for signer in signers {
            let Message::Request(asked) = Message::read(&request).expect("readable") else {
                panic!("{} is no request", request.display());
            };
            let asked = ReadRequest::new(&request, *asked, &station).expect("a request");
            asked
                .sign(&station, &[uri(signer)], &asked.confirmation(), &back)
                .expect("signed");
            lead.merge(&back, &[], now).expect("merged");
            fs::remove_file(&back).expect("there");
        }
        let asked = lead.seal_request().expect("complete");
        let asked = ReadSealRequest::new(asked, &station).expect("a request");
        // A key that leaves cannot vouch for the transcript.
        let seals = signers.iter().find_map(|signer| {
            let sealed = asked.seal(&station, &[uri(signer)], &asked.confirmation());
            sealed.ok()
        });
        lead.seal(seals.expect("a seal"), now).expect("sealed");
        let sealed = lead.ceremony().sealed().expect("sealed");
        self.roots.push(sealed.root.clone());
        drop(lead);
        verify(&path, previous.as_deref(), Extent::Sealed).expect("verified");
    }

    fn ceremony(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("ceremony-{number}"))
    }

    /// Publishes the first root and a release.
    fn start_repository(&self) -> Tree {
        let days = |days: i64| Span::from_seconds(days * 86_400).expect("a span");
        let role = |expires| RolePolicy {
            threshold: 1,
            keys: Vec::new(),
            expires,
        };
        let policy = Policy::new(TopLevel {
            root: role(days(365)),
            targets: role(days(90)),
            snapshot: role(days(7)),
            timestamp: role(days(1)),
        });
        let named = [
            (RoleType::Targets, "release/targets"),
            (RoleType::Snapshot, "online/snapshot"),
            (RoleType::Timestamp, "online/timestamp"),
        ];
        let named = named.map(|(kind, key)| (kind, vec![uri(key)])).into();
        let root = ("1.root.json", self.roots[0].clone());
        let (folder, secrets) = (self.repository(), self.secrets());
        Repository::init_from_root(&folder, policy, root, &named, tree::now(), secrets)
            .expect("started");
        self.release();
        Tree::at(folder.join("published"))
    }

    /// Publishes the newest root and a release.
    fn publish_root(&self, change: &Change) {
        let mut named = NamedKeys::new();
        for text in change.add.iter().filter(|text| !text.starts_with("root/")) {
            let (role, key) = text.split_once('/').expect("a place");
            let kind = RoleType::from_name(role).expect("a role");
            named.insert(kind, vec![uri(key)]);
        }
        let file = self.roots.last().cloned().expect("a root");
        self.open()
            .import_root("next root", file, &named)
            .expect("imported");
        self.release();
    }

    fn release(&self) {
        let source = self.folder.path().join("new.img");
        fs::write(&source, image(self.roots.len())).expect("an image");
        let target = NewTarget {
            source,
            name: IMAGE.into(),
            custom: None,
            visibility: Visibility::Public,
        };
        let mut repository = self.open();
        repository.add_targets(&[target], None).expect("added");
        assert_eq!(repository.sign(&[]).expect("signed").missing, [""; 0]);
        repository.publish(Outgoing::Sign).expect("published");
    }

    fn secrets(&self) -> Secrets {
        Secrets::unattended(self.folder.path())
            .with("COUNTERSIGN_PKCS11_MODULE", tokens::module())
            .with("COUNTERSIGN_PIN", tokens::PIN)
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    fn open(&self) -> Repository {
        Repository::open(&self.repository(), tree::now(), self.secrets()).expect("opens")
    }
}

/// `TOKEN/OBJECT`
fn uri(key: &str) -> String {
    let (token, object) = key.split_once('/').expect("a token and an object");
    format!("pkcs11:token={token};object={object}")
}

fn image(release: usize) -> Vec<u8> {
    format!("kernel of release {release}")
        .repeat(release)
        .into()
}

/// `next` without each of the signatures by keys of `root`.
fn one_old_signature_less(root: &[u8], next: &[u8]) -> Vec<Vec<u8>> {
    let [old, next] = [root, next].map(|file| serde_json::from_slice::<Value>(file).expect("JSON"));
    let old = old["signed"]["roles"]["root"]["keyids"]
        .as_array()
        .expect("key ids");
    let signatures = next["signatures"].as_array().expect("signatures");
    let by_old = signatures
        .iter()
        .filter(|signature| old.contains(&signature["keyid"]));
    let without = |gone: &Value| {
        let kept: Vec<&Value> = signatures.iter().filter(|kept| *kept != gone).collect();
        json!({ "signed": next["signed"], "signatures": kept })
            .to_string()
            .into()
    };
    by_old.map(without).collect()
}

/// Nobody takes `file` for that version of the root.
fn refused(tree: &Tree, version: u64, file: &[u8], reasons: [&str; 3]) {
    let path = tree.metadata().join(format!("{version}.root.json"));
    let right = fs::read(&path).expect("published");
    fs::remove_file(&path).expect("removable");
    fs::write(&path, file).expect("writable");
    let [tough, sigstore, ours] = reasons;
    expect_refusal::<Tough>(tree, IMAGE, tough);
    expect_refusal::<Sigstore>(tree, IMAGE, sigstore);
    expect_refusal::<Ours>(tree, IMAGE, ours);
    fs::write(&path, right).expect("writable");
}
