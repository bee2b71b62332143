//! A factory: a folder with a profile, and the published files of two repositories.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_ceremony::CeremonyError;
use countersign_ceremony::profile::Accepted;
use countersign_ceremony::provision::{Bundle, Order, Row, TimeGiven, gather};
use countersign_metadata::{Key, PublicKey, RoleType, Root, Unsigned, UtcTime};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use tempfile::TempDir;

/// Whom the test vectors are about.
pub(crate) const VIN: &str = "VIN-OF-THIS-CAR";
pub(crate) const SERIAL: &str = "P1";

/// Which files of the vectors' repositories are published: two, without a time server.
pub(crate) const HONEST: &str = "uptane-director/honest/1";
/// With a time server, and an attestation of the time [`NOW`] minus a while.
pub(crate) const TIMED: &str = "uptane-time/honest/1";

/// When all of this happens.
pub(crate) const NOW: &str = "2030-02-01T00:00:00Z";

pub(crate) struct Stage {
    folder: TempDir,
    pub(crate) profile: String,
}

pub(crate) fn vectors(name: &str) -> PathBuf {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../test-vectors/vectors");
    vectors.join(name)
}

pub(crate) fn time(text: &str) -> UtcTime {
    text.parse().unwrap()
}

/// Accepts what the policy refuses in the vectors' Roots.
pub(crate) fn accepted() -> Vec<Accepted> {
    ["root-threshold-low=a test", "root-expiry-long=a test"]
        .map(|text| Accepted::parse(text).unwrap())
        .into()
}

/// What is below a folder.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(inside).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            found.insert(name.to_owned(), fs::read(&path).unwrap());
        }
    }
    found
}

/// A Root that holds by itself: two of three keys for Root, one for each other role.
pub(crate) fn root_of(root: [u8; 3], [targets, snapshot, timestamp]: [u8; 3]) -> Vec<u8> {
    let pair = |seed: u8| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let key = |seed: u8| {
        let public = pair(seed).public_key().as_ref().try_into().unwrap();
        Key::new(&PublicKey::Ed25519(public))
    };
    let mut content = Root::new(time("2030-12-31T00:00:00Z"), true);
    for seed in root {
        content.add_key(RoleType::Root, key(seed));
    }
    for (role, seed) in [
        (RoleType::Targets, targets),
        (RoleType::Snapshot, snapshot),
        (RoleType::Timestamp, timestamp),
    ] {
        content.add_key(role, key(seed));
    }
    content.roles.get_mut(&RoleType::Root).unwrap().threshold = 2;
    let mut file = Unsigned::new(content.to_payload());
    for seed in root {
        let signature = pair(seed).sign(file.payload()).as_ref().to_vec();
        file.add_signature(key(seed).id(), signature);
    }
    file.to_file()
}

impl Stage {
    /// With the repositories of a vector, and a Primary's profile.
    pub(crate) fn with(published: &str) -> Self {
        let published = vectors(published);
        let (director, image) = (published.join("director"), published.join("image"));
        let (director, image) = (director.display(), image.display());
        let profile = format!(
            "name = \"Gateway A\"\n\
             [director]\nroot = \"{director}\"\nmetadata = \"{director}/metadata\"\n\
             urls = [\"https://director.example.com/{{vin}}\"]\n\
             [image]\nroot = \"{image}\"\nmetadata = \"{image}/metadata\"\n\
             urls = [\"https://images.example.com\"]\n\
             [ecu]\nhardware_id = \"pcu-a\"\nverification = \"full\"\n\
             signing_key = \"file:report.pem?encryption=none\"\n\
             decryption_key = \"file:images.pem?encryption=none\"\n\
             [installed]\npath = \"pcu.img\"\nrelease_counter = 4\nfile = \"pcu.img\"\n"
        );
        let stage = Self {
            folder: tempfile::tempdir().unwrap(),
            profile,
        };
        stage.write("pcu.img", "the factory's");
        stage
    }

    /// Of one plain repository.
    pub(crate) fn plain() -> Self {
        let image = vectors(HONEST).join("image/metadata");
        let image = image.display();
        let stage = Self::with(HONEST);
        let profile = format!(
            "name = \"Sensor\"\n[repository]\nroot = \"{image}\"\nmetadata = \"{image}\"\n\
             urls = [\"https://images.example.com\"]\n"
        );
        Self { profile, ..stage }
    }

    /// With this part of the profile replaced.
    pub(crate) fn but(mut self, from: &str, to: &str) -> Self {
        assert!(self.profile.contains(from), "{from:?}");
        self.profile = self.profile.replacen(from, to, 1);
        self
    }

    /// Without the metadata of both repositories.
    pub(crate) fn roots_only(mut self) -> Self {
        let lines = self
            .profile
            .lines()
            .filter(|line| !line.starts_with("metadata"));
        self.profile = lines.map(|line| format!("{line}\n")).collect();
        self
    }

    /// Without the Image repository's.
    pub(crate) fn without_image_metadata(mut self) -> Self {
        let lines = self
            .profile
            .lines()
            .filter(|line| !line.ends_with("image/metadata\""));
        self.profile = lines.map(|line| format!("{line}\n")).collect();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The vectors' Primary with both of its keys, and the ECUs beside it.
    pub(crate) fn row(&self) -> Row {
        self.request("p1");
        self.public_key("images", "X25519");
        Row {
            vehicle: VIN.into(),
            ecu: SERIAL.into(),
            signing_key: Some("p1.csr".into()),
            encryption_key: Some("images.pub".into()),
            others: [("S1", "brake-b"), ("S2", "lamp-c")]
                .map(|(serial, hardware)| (serial.into(), hardware.into()))
                .into(),
        }
    }

    pub(crate) fn order(&self, rows: Vec<Row>) -> Order {
        self.write("profile.toml", &self.profile);
        Order {
            profile: self.path("profile.toml"),
            rows,
            keys: self.path("keys"),
            time: TimeGiven::Stated(time("2030-01-31T00:00:00Z")),
            accepted: accepted(),
        }
    }

    pub(crate) fn gather(&self, rows: Vec<Row>) -> Result<Bundle, CeremonyError> {
        gather(&self.order(rows), time(NOW))
    }

    /// The bundle of the vectors' Primary.
    #[track_caller]
    pub(crate) fn bundle(&self) -> Bundle {
        self.gather(vec![self.row()])
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Writes a bundle as somebody would who has read the review.
    pub(crate) fn make(&self, bundle: &Bundle, out: &str) -> PathBuf {
        bundle
            .write(&self.path(out), &bundle.confirmation())
            .unwrap();
        self.path(out)
    }

    /// `keys/NAME.key` and `keys/NAME.csr`.
    pub(crate) fn request(&self, name: &str) {
        self.private_key(name, "ed25519");
        self.openssl(&format!(
            "req -new -key {name}.key -subj /CN=any -out {name}.csr"
        ));
    }

    /// `keys/NAME.key` and `keys/NAME.pub`.
    pub(crate) fn public_key(&self, name: &str, algorithm: &str) {
        self.private_key(name, algorithm);
        self.openssl(&format!("pkey -in {name}.key -pubout -out {name}.pub"));
    }

    fn private_key(&self, name: &str, algorithm: &str) {
        fs::create_dir_all(self.path("keys")).unwrap();
        self.openssl(&format!("genpkey -algorithm {algorithm} -out {name}.key"));
    }

    pub(crate) fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.path("keys"))
            .env("OPENSSL_CONF", "/dev/null")
            .output()
            .expect("these tests need openssl; on Debian: apt-get install openssl");
        assert!(output.status.success(), "{arguments}: {output:?}");
    }
}
