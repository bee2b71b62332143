//! The director: its folder, its commands, and its process.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use countersign_director::tokens::Scope;
use serde_json::Value;

use super::keys::{Keys, OFFLINE_ROLES, ONLINE};
use crate::stage::{Stage, done};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The settings of the process.
const SETTINGS: &str = "director.toml";

/// The same with the keys for what is carried, which are not at hand otherwise.
const CARRYING: &str = "carrying.toml";

/// Any port; the director says which.
const ANYWHERE: &str = "127.0.0.1:0";

/// How long it may take to finish what it works on.
const GRACE: Duration = Duration::from_secs(40);

/// A director and, while it serves, its process.
pub(super) struct Director {
    stage: Stage,
    folder: PathBuf,
    /// The settings as `director init` has written them.
    template: String,
    /// Where vehicles find it, once it was started.
    devices: Option<SocketAddr>,
    process: Option<Process>,
}

impl Director {
    /// `director init`
    pub(super) fn init(stage: &Stage, image_url: &str) -> Result<Self> {
        let folder = stage.folder.join("director");
        let root = stage.published().join("metadata/1.root.json");
        let mut command = stage.director();
        command.arg("init").arg(&folder);
        command.args(["--image-url", image_url, "--image-root"]);
        done(command.arg(root))?;
        Ok(Self {
            template: fs::read_to_string(folder.join(SETTINGS))?,
            stage: stage.clone(),
            folder,
            devices: None,
            process: None,
        })
    }

    /// Names the keys in the settings. It reads them when it is started.
    pub(super) fn configure(&self, keys: &Keys) -> Result<()> {
        let in_file = |name: &str| format!("file:keys/{name}.pem?encryption=none");
        let mut settings = self.template.replace(&in_file("vault"), &keys.vault());
        for role in ONLINE {
            settings = settings.replace(&in_file(role), &keys.uri(role));
        }
        fs::write(self.folder.join(SETTINGS), &settings)?;
        for role in OFFLINE_ROLES {
            let setting = format!("offline_{role} = [");
            let uri = keys.offline_uri(role);
            settings = settings.replace(&setting, &format!("{setting}\"{uri}\""));
        }
        fs::write(self.folder.join(CARRYING), settings)?;
        Ok(())
    }

    /// Where its certificates and lists are.
    pub(super) fn tls(&self) -> PathBuf {
        self.folder.join("tls")
    }

    /// Where it keeps the bytes of images.
    pub(super) fn images(&self) -> PathBuf {
        self.folder.join("images")
    }

    /// All that is on its disk.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its database.
    pub(super) fn database(&self) -> String {
        format!("sqlite:{}", self.folder.join("director.sqlite").display())
    }

    /// Runs a command on its machine, and gives what it says.
    pub(super) fn command(&self, words: &[&str]) -> Result<Value> {
        self.command_with(SETTINGS, words)
    }

    /// A token for the admin API that is good for everything.
    pub(super) fn make_token(&self) -> Result<String> {
        let mut words = vec!["token", "create", "demo"];
        for scope in Scope::ALL {
            words.extend(["--scope", scope.name()]);
        }
        let file = self.stage.folder.join("demo.token");
        let out = file.display().to_string();
        words.extend(["--out", &out]);
        self.command(&words)?;
        Ok(fs::read_to_string(file)?.trim_end().to_owned())
    }

    /// Writes what is ordered of a vehicle onto a stick, with the keys for that at hand.
    pub(super) fn carry(&self, vin: &str, stick: &Path) -> Result<()> {
        let out = stick.display().to_string();
        self.command_with(CARRYING, &["bundle", vin, "--out", &out])?;
        Ok(())
    }

    fn command_with(&self, settings: &str, words: &[&str]) -> Result<Value> {
        let mut command = self.stage.director();
        command.arg("--config").arg(self.folder.join(settings));
        let output = done(command.args(["--format", "json"]).args(words))?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Takes in a Root.
    pub(super) fn import_root(&self, root: &[u8]) -> Result<()> {
        let file = self.stage.folder.join("director-root.json");
        fs::write(&file, root)?;
        self.command(&["root", "import", &file.display().to_string()])?;
        Ok(())
    }

    /// `director serve`; where people find it. Vehicles find it where they did before.
    pub(super) fn start(&mut self) -> Result<SocketAddr> {
        let log = self.stage.folder.join("director.log");
        let listen = self.devices.map(|address| address.to_string());
        let mut command = self.stage.director();
        command.arg("--config").arg(self.folder.join(SETTINGS));
        command.arg("serve");
        command.args(["--listen", listen.as_deref().unwrap_or(ANYWHERE)]);
        command.args(["--admin-listen", ANYWHERE]);
        command.stdout(Stdio::piped());
        command.stderr(File::options().create(true).append(true).open(&log)?);
        let mut process = Process::start(command)?;
        let listening = |_| format!("the director does not start; see {}", log.display());
        self.devices = Some(process.says("listening on ").map_err(listening)?);
        let people = process.says("admin listening on ").map_err(listening)?;
        self.process = Some(process);
        Ok(people)
    }

    /// What vehicles call it.
    pub(super) fn url(&self) -> Result<String> {
        let address = self.devices.ok_or("the director was never started")?;
        Ok(format!("https://{address}/v1/"))
    }

    /// Lets it load its certificates and lists anew.
    pub(super) fn reload(&self) -> Result<()> {
        self.process.as_ref().ok_or("it is not there")?.tell("HUP")
    }

    /// Tells it to end; whether it has ended in order.
    pub(super) fn stop(&mut self) -> Result<bool> {
        self.process.take().ok_or("it is not there")?.end()
    }
}

/// A process that does not outlive the story, however that ends.
struct Process {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Process {
    fn start(mut command: Command) -> Result<Self> {
        let mut child = command.spawn()?;
        let out = child.stdout.take().ok_or("no standard output")?;
        Ok(Self {
            child,
            out: BufReader::new(out),
        })
    }

    /// The address in its next line, which has to begin like this.
    fn says(&mut self, beginning: &str) -> Result<SocketAddr> {
        let mut line = String::new();
        self.out.read_line(&mut line)?;
        let address = line.trim_end().strip_prefix(beginning);
        Ok(address.ok_or("it says something else")?.parse()?)
    }

    fn tell(&self, signal: &str) -> Result<()> {
        let id = self.child.id().to_string();
        done(Command::new("kill").args(["-s", signal, &id])).map(drop)
    }

    fn end(mut self) -> Result<bool> {
        self.tell("TERM")?;
        let since = Instant::now();
        while since.elapsed() < GRACE {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and that is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
