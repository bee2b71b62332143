//! Parsing, one library call, printing.

mod client;
mod init;
mod local;
mod output;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use countersign_client::clock::system_time;
use countersign_director::serve::{open, serve};
use countersign_director::settings::Settings;
use countersign_metadata::UtcTime;
use tracing_subscriber::EnvFilter;

use self::output::{Done, Failure, Format};

const EXAMPLES: &str = "\
A Director from nothing:
  director init /srv/director --image-url https://images.example.com/ --image-root 1.root.json
  director root import /path/from/the/ceremony/1.root.json
  director token create ci --scope assign --tenant fleet-a > token
  director serve

init, serve, root, audit, backup, after-restore and token work on the Director's own machine, with the
settings from --config, COUNTERSIGN_DIRECTOR_CONFIG or ./director.toml.

Over the admin API, from anywhere:
  export COUNTERSIGN_DIRECTOR_URL=https://director.example.com:8444/
  director vehicle announce WVWZZZ1JZXW000001 --tenant fleet-a --token-file token
  director image upload brake/3.1.img app.img --token-file token
  director assign WVWZZZ1JZXW000001 BRAKE-1=brake/3.1.img --token-file token

vehicle, image, assign, cancel, status and log take --url, --token-file and --ca; token takes them too.

Exit codes:
  0  done
  1  refused or failed; nothing is lost, and the message says what to do
  2  wrong usage";

/// The Director of an Uptane fleet: what to install, where, and never twice.
#[derive(Parser)]
#[command(name = "director", version, after_help = EXAMPLES)]
struct Cli {
    /// The settings
    #[arg(
        long,
        global = true,
        env = "COUNTERSIGN_DIRECTOR_CONFIG",
        default_value = "director.toml",
        value_name = "FILE"
    )]
    config: PathBuf,
    /// How to print results
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Init(init::Init),
    Serve(Serve),
    /// The Director's Root, out of a ceremony
    #[command(subcommand)]
    Root(local::Root),
    /// The audit log
    #[command(subcommand)]
    Audit(local::Audit),
    Bundle(local::Bundle),
    Backup(local::Backup),
    AfterRestore(local::AfterRestore),
    #[command(name = "token")]
    Tokens(client::Tokens),
    #[command(name = "vehicle")]
    Vehicles(client::Vehicles),
    #[command(name = "image")]
    Images(client::Images),
    Assign(client::Assign),
    Cancel(client::Cancel),
    Status(client::Status),
    Log(client::Log),
}

/// Listen for vehicles and for people, until SIGTERM
///
/// Prints "listening on ADDRESS" and "admin listening on ADDRESS" when requests are taken. Logs go to
/// standard error, one JSON object per line; RUST_LOG sets how much. SIGHUP loads certificates and
/// revocation lists anew, and so does a change of the files.
#[derive(clap::Args)]
struct Serve {
    /// Listen for vehicles here, whatever the settings say
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<std::net::SocketAddr>,
    /// Listen for people here, whatever the settings say
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin_listen: Option<std::net::SocketAddr>,
}

pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Runtime::new();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(execute(&cli)),
        Err(error) => Err(Failure::new("start", error)),
    };
    output::show(cli.format, done)
}

async fn execute(cli: &Cli) -> Result<Done, Failure> {
    match &cli.command {
        Command::Init(init) => init.run(),
        Command::Serve(options) => options.run(&cli.config).await,
        Command::Root(root) => root.run(&settings(&cli.config)?).await,
        Command::Audit(audit) => audit.run(&settings(&cli.config)?).await,
        Command::Bundle(bundle) => bundle.run(&settings(&cli.config)?).await,
        Command::Backup(backup) => backup.run(&settings(&cli.config)?).await,
        Command::AfterRestore(after) => after.run(&settings(&cli.config)?).await,
        Command::Tokens(tokens) => {
            let database = async || local::database(&settings(&cli.config)?).await;
            tokens.run(database).await
        }
        Command::Vehicles(vehicles) => vehicles.run(),
        Command::Images(images) => images.run(),
        Command::Assign(assign) => assign.run(),
        Command::Cancel(cancel) => cancel.run(),
        Command::Status(status) => status.run(),
        Command::Log(log) => log.run(),
    }
}

fn settings(path: &Path) -> Result<Settings, Failure> {
    Settings::read(path).map_err(|error| Failure::new("settings", error))
}

/// What time it is, for commands.
fn now() -> Result<UtcTime, Failure> {
    system_time().ok_or_else(|| Failure::new("clock", "the clock is outside the years 0 to 9999"))
}

impl Serve {
    async fn run(&self, config: &Path) -> Result<Done, Failure> {
        let level = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        tracing_subscriber::fmt()
            .json()
            .with_env_filter(level)
            .with_writer(std::io::stderr)
            .init();
        let mut settings = settings(config)?;
        if let Some(listen) = self.listen {
            settings.device.listen = listen;
        }
        if let Some(listen) = self.admin_listen {
            settings.admin.listen = listen;
        }
        let served = serve(&settings).await;
        served.map_err(|error| Failure::new("serve", error))?;
        Ok(Done::silent())
    }
}

/// The Director of these settings, for commands on its machine.
async fn service(settings: &Settings) -> Result<countersign_director::service::Service, Failure> {
    open(settings)
        .await
        .map_err(|error| Failure::new("settings", error))
}
