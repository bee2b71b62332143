//! Everything around a director: its folder, its keys, an Image repository, and its processes.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use countersign_client::clock::system_time;
use countersign_director_domain::keys::{DirectorKeys, OfflineKeys, OnlineKeys, signed};
use countersign_metadata::uptane::{HardwareId, ImageCustom};
use countersign_metadata::{Root, UtcTime};
use countersign_repo::policy::{Policy, RolePolicy, TopLevel};
use countersign_repo::{NewTarget, Outgoing, Repository, Visibility};
use countersign_signing::{Algorithm, KeyUri, Secrets, Signer};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::pki::Pki;

const DIRECTOR: &str = env!("CARGO_BIN_EXE_director");

/// A director's folder, and what it needs.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    pub(crate) pki: Pki,
    token: String,
    /// How many sets of online keys there were.
    generation: u32,
    root: Root,
}

/// A process that serves. It is killed when this goes.
pub(crate) struct Serving {
    child: Child,
    pub(crate) device: String,
    pub(crate) admin: String,
    log: PathBuf,
}

impl Site {
    /// A director with images `image-1.img`, `image-2.img`, ... for hardware `ecu`, on this database.
    pub(crate) fn new(database: Option<&str>, images: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = start_repository(folder.path(), images);
        let published = repository.join("published");
        let home = folder.path().join("director");
        let image_root = published.join("metadata/1.root.json");
        let image_url = format!("file://{}/", published.display());
        director(&home)
            .arg("init")
            .arg(&home)
            .args(["--generate-keys", "--image-url", &image_url, "--image-root"])
            .arg(image_root)
            .succeeds();
        let pki = Pki::new();
        pki.install(&home.join("tls"));
        let mut site = Self {
            root: Root::new(now(), true),
            folder,
            pki,
            token: String::new(),
            generation: 1,
        };
        if let Some(url) = database {
            site.edit("sqlite:director.sqlite", url);
        }
        site.edit("requests_per_minute = 600", "requests_per_minute = 600000");
        site.edit("burst = 200", "burst = 100000");
        site.edit("# open_to_tenant", "open_to_tenant");
        let keys = site.keys();
        for role in ["snapshot", "targets"] {
            let names = format!("[{}]", quoted(&format!("offline-{role}")));
            site.edit(
                &format!("offline_{role} = []"),
                &format!("offline_{role} = {names}"),
            );
        }
        site.root = keys.first_root(now().plus_seconds(86_400 * 365).unwrap());
        let file = signed(site.root.to_payload(), &*keys.root).unwrap();
        site.import(&file);
        let made = site
            .director()
            .args(["--format", "json", "token", "create", "test"])
            .args([
                "--scope", "read", "--scope", "vehicles", "--scope", "assign",
            ])
            .args(["--scope", "images", "--scope", "admin"])
            .json();
        site.token = made["token"].as_str().unwrap().to_owned();
        site
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("director")
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn image_root(&self) -> PathBuf {
        self.path()
            .join("repository/published/metadata/1.root.json")
    }

    pub(crate) fn image_url(&self) -> String {
        format!(
            "file://{}/",
            self.path().join("repository/published").display()
        )
    }

    pub(crate) fn director_root(&self) -> PathBuf {
        self.path().join("1.root.json")
    }

    /// A command of the director's.
    pub(crate) fn director(&self) -> Command {
        director(&self.home())
    }

    /// Puts other words into the settings.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let path = self.home().join("director.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Starts a process. `at` are the addresses of one that was there before.
    pub(crate) fn serve(&self, at: Option<&Serving>) -> Serving {
        let any = "127.0.0.1:0";
        let device = at.map_or(any, |at| &at.device);
        let admin = at.map_or(any, |at| &at.admin);
        let log = self.path().join(format!("log-{}", rand()));
        let mut child = self
            .director()
            .args(["serve", "--listen", device, "--admin-listen", admin])
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = |prefix: &str| {
            let line = lines.next().and_then(Result::ok).unwrap_or_default();
            let address = line.strip_prefix(prefix);
            let log = || panic!("{line:?}: {}", fs::read_to_string(&log).unwrap());
            address.unwrap_or_else(log).to_owned()
        };
        Serving {
            device: address("listening on "),
            admin: address("admin listening on "),
            child,
            log,
        }
    }

    /// Asks the admin API.
    pub(crate) fn ask(&self, at: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("http://{at}/v1/{path}");
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(std::time::Duration::from_secs(30)))
            .build()
            .into();
        let bearer = format!("Bearer {}", self.token);
        let answer = match method {
            "GET" => agent.get(&url).header("authorization", bearer).call(),
            "POST" => agent
                .post(&url)
                .header("authorization", bearer)
                .content_type("application/json")
                .send(body.to_string()),
            _ => panic!("{method}"),
        };
        match answer {
            Ok(mut answer) => {
                let text = answer.body_mut().read_to_string().unwrap_or_default();
                let value = serde_json::from_str(&text).unwrap_or(Value::Null);
                (answer.status().as_u16(), value)
            }
            Err(_) => (0, Value::Null),
        }
    }

    /// Asks something that needs no token.
    pub(crate) fn ask_bare(&self, at: &str, path: &str) -> (u16, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let mut answer = agent.get(&format!("http://{at}/{path}")).call().unwrap();
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        (answer.status().as_u16(), text)
    }

    /// Takes an image of the repository into the catalogue.
    pub(crate) fn list_image(&self, at: &str, image: &str) {
        let (status, answer) = self.ask(at, "POST", "images", &json!({ "path": image }));
        assert!((200..300).contains(&status), "{status} {answer}");
    }

    /// Replaces the online keys by a new Root. The settings name both until then.
    pub(crate) fn rotate(&mut self) {
        let before = self.generation;
        self.generation += 1;
        for role in ["targets", "snapshot", "timestamp", "time"] {
            let uri = key_uri(&format!("{role}-{}", self.generation));
            countersign_signing::generate(&uri, Algorithm::Ed25519, &self.secrets()).unwrap();
            let old = format!("{role} = [{}", quoted(&name(role, before)));
            let both = format!(
                "{role} = [{}, {}",
                quoted(&name(role, self.generation)),
                quoted(&name(role, before))
            );
            self.edit(&old, &both);
        }
        let keys = self.keys();
        self.root = keys.next_root(&self.root, now().plus_seconds(86_400 * 365).unwrap());
        let file = signed(self.root.to_payload(), &*keys.root).unwrap();
        self.import(&file);
    }

    fn import(&self, root: &[u8]) {
        let path = self
            .path()
            .join(format!("{}.root.json", self.root.header.version));
        fs::write(&path, root).unwrap();
        self.director()
            .args(["root", "import"])
            .arg(path)
            .succeeds();
    }

    /// The keys of the generation that is in force.
    pub(crate) fn keys(&self) -> DirectorKeys {
        let open = |name: &str| self.key(name);
        DirectorKeys {
            root: open("root"),
            online: self.online(self.generation),
            offline: OfflineKeys {
                snapshot: open("offline-snapshot"),
                targets: open("offline-targets"),
            },
        }
    }

    /// The online keys before these.
    pub(crate) fn former_keys(&self) -> OnlineKeys {
        self.online(self.generation - 1)
    }

    fn online(&self, generation: u32) -> OnlineKeys {
        let open = |role: &str| self.key(&name(role, generation));
        OnlineKeys {
            targets: open("targets"),
            snapshot: open("snapshot"),
            timestamp: open("timestamp"),
            time: open("time"),
        }
    }

    fn key(&self, name: &str) -> Box<dyn Signer> {
        let uri = key_uri(name);
        if !self.home().join(format!("keys/{name}.pem")).exists() {
            countersign_signing::generate(&uri, Algorithm::Ed25519, &self.secrets()).unwrap();
        }
        countersign_signing::open(&uri, &self.secrets()).unwrap()
    }

    fn secrets(&self) -> Arc<Secrets> {
        Arc::new(Secrets::unattended(self.home()))
    }

    /// Checks the whole audit log.
    pub(crate) fn verify_audit(&self) -> u64 {
        let found = self
            .director()
            .args(["--format", "json", "audit", "verify"])
            .json();
        found["entries"].as_u64().unwrap()
    }
}

fn name(role: &str, generation: u32) -> String {
    match generation {
        1 => role.into(),
        _ => format!("{role}-{generation}"),
    }
}

fn key_uri(name: &str) -> KeyUri {
    format!("file:keys/{name}.pem?encryption=none")
        .parse()
        .unwrap()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", key_uri(name))
}

fn director(home: &Path) -> Command {
    let mut command = Command::new(DIRECTOR);
    command.arg("--config").arg(home.join("director.toml"));
    command
}

/// Commands that have to succeed.
pub(crate) trait Succeed {
    fn succeeds(&mut self) -> String;

    fn json(&mut self) -> Value {
        serde_json::from_str(&self.succeeds()).unwrap()
    }
}

impl Succeed for Command {
    fn succeeds(&mut self) -> String {
        let output = self.output().unwrap();
        assert!(output.status.success(), "{self:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Serving {
    /// As a power cut would end it.
    pub(crate) fn kill(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self
    }

    /// Ends it as an operator would, and waits.
    pub(crate) fn stop(mut self) -> Self {
        self.signal(Signal::TERM);
        assert!(self.child.wait().unwrap().success());
        self
    }

    /// Tells it to look at its certificates and lists.
    pub(crate) fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start_repository(folder: &Path, images: u64) -> PathBuf {
    let home = folder.join("repository");
    fs::create_dir_all(home.join("keys")).unwrap();
    let secrets = || Secrets::unattended(&home);
    let role = |name: &str, expires: &str| {
        let uri = key_uri(name);
        countersign_signing::generate(&uri, Algorithm::Ed25519, &secrets()).unwrap();
        RolePolicy {
            threshold: 1,
            keys: vec![uri.to_string()],
            expires: expires.parse().unwrap(),
        }
    };
    let policy = Policy::new(TopLevel {
        root: role("root", "365d"),
        targets: role("targets", "90d"),
        snapshot: role("snapshot", "14d"),
        timestamp: role("timestamp", "2d"),
    });
    let mut repository = Repository::init(&home, Some(&policy), now(), secrets()).unwrap();
    let new = (1..=images).map(|number| {
        let source = folder.join(format!("image-{number}"));
        fs::write(&source, format!("image {number}")).unwrap();
        let hardware = vec![HardwareId::new("ecu").unwrap()];
        NewTarget {
            source,
            name: format!("image-{number}.img"),
            custom: Some(ImageCustom::new(hardware, number).to_object()),
            visibility: Visibility::Public,
        }
    });
    let new: Vec<_> = new.collect();
    repository.add_targets(&new, None).unwrap();
    repository.sign(&[]).unwrap();
    repository.publish(Outgoing::Sign).unwrap();
    home
}

pub(crate) fn now() -> UtcTime {
    system_time().unwrap()
}

fn rand() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
