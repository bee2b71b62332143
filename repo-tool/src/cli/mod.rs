//! Parsing, one library call, printing.

mod delegation;
mod image;
mod init;
mod key;
mod output;
mod progress;
mod publish;
mod root;
mod show;
mod sign;
mod target;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use countersign_metadata::UtcTime;
use countersign_repo::{RepoError, Repository, keys, visible};
use countersign_signing::Secrets;

use self::output::{Format, Report, write_stdout};
use self::progress::Bars;

const EXAMPLES: &str = "\
Examples:
  repo-tool init --generate ed25519 --root-key file:keys/root.pem \\
      --targets-key file:keys/targets.pem \\
      --snapshot-key file:keys/online.pem --timestamp-key file:keys/online.pem
  repo-tool target add build/app.img --name app/1.0/app.img
  repo-tool status
  repo-tool sign && repo-tool publish
  repo-tool refresh                      (cron: renews what expires soon)

Exit codes:
  0  done, or nothing to do
  1  refused or failed; clients accept what they find. After a fault of the disk, or between the
     steps of a rotation, the first part of a release may be visible; the next 'publish'
     finishes it. 'verify': the tree has faults
  2  wrong usage
  3  publish, refresh: signatures are missing; the same command works once they are there.
     'sign' ends with 0 even if others have to sign too: it lists them, and in JSON says
     \"complete\": false";

/// Edits, signs and publishes a TUF image repository.
///
/// Editing stages changes and never signs. 'sign' signs what is staged with the keys that are
/// here; 'request' and 'attach' let other machines sign. 'publish' makes it visible after the
/// real verifier has walked the result as a client would.
#[derive(Parser)]
#[command(name = "repo-tool", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Apart from the options of the command itself.
const GLOBAL: &str = "Global options";

#[derive(clap::Args)]
struct Global {
    /// The repository's folder
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = ".",
        env = "COUNTERSIGN_REPO",
        help_heading = GLOBAL
    )]
    repo: PathBuf,
    /// How to print results
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, help_heading = GLOBAL)]
    format: Format,
    /// Print nothing but errors
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    quiet: bool,
    /// Never ask for a PIN or passphrase; implied when standard input is no terminal
    #[arg(long, global = true, help_heading = GLOBAL)]
    no_prompt: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Start a repository: writes repo.toml and stages the first root
    Init(init::Init),
    /// Make and look at keys
    #[command(subcommand)]
    Key(key::Key),
    /// Add, remove and list images
    #[command(subcommand)]
    Target(target::Target),
    /// Delegate to other roles
    #[command(subcommand)]
    Delegation(delegation::Delegation),
    /// Spread a role's images over many bins, so that adding one costs one bin
    Bins(delegation::Bins),
    /// Stage the next version of a role with a new date
    Renew(publish::Renew),
    /// Throw away what is staged; repo.toml and added images stay as they are
    Discard(publish::Discard),
    /// Show what is staged, who has to sign and what expires when
    Status(show::Status),
    /// Show what publishing would change
    Diff,
    /// Sign what is staged, or a request from another machine
    ///
    /// Ends with exit code 0 although others still have to sign: they are listed, and with
    /// --format json "complete" is false. A key of repo.toml that is not here is passed over; one
    /// that is here but fails (a wrong PIN, a damaged file) is an error unless its signature
    /// turned out not to be needed.
    Sign(sign::Sign),
    /// Write what has to be signed on another machine
    Request(sign::Request),
    /// Take in signatures made on another machine
    Attach(sign::Attach),
    /// Make what is staged and signed visible to clients
    ///
    /// Only what is new is checked: images that were published before are not read again; that
    /// is what 'verify' is for.
    Publish(publish::Publish),
    /// Show, edit or import the root
    #[command(subcommand)]
    Root(root::Root),
    /// Renew timestamp and snapshot if they expire soon, and publish them: the cron job
    Refresh(publish::Refresh),
    /// Check a whole published tree: every role and every image
    Verify(show::Verify),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all commands into a folder
    Man {
        /// The folder
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return wrong_usage(&error),
    };
    let Global { format, quiet, .. } = cli.global;
    match execute(&cli) {
        Ok(report) => {
            report.print(format, quiet);
            ExitCode::from(report.exit_code)
        }
        Err(error) => {
            output::print_error(&error, format);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Help and version go to standard output; an error goes where all errors go.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    let text = error.render().to_string();
    let safe = keys::redact(&text);
    if error.use_stderr() && wants_json() {
        let message = match error.kind() {
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                "a command is missing; 'repo-tool --help' lists them".to_owned()
            }
            _ => one_sentence(&safe),
        };
        output::print_error(&RepoError::Usage(message), Format::Json);
    } else if error.use_stderr() && (safe != text || visible::command_line_hides()) {
        output::print_error(&RepoError::Usage(one_sentence(&safe)), Format::Text);
    } else {
        // There is nowhere left to report a failure to print.
        let _ = error.print();
    }
    code
}

/// The first paragraph of what clap says, without line breaks.
fn one_sentence(text: &str) -> String {
    let first = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = first.split_whitespace().collect();
    let sentence = words.join(" ");
    sentence
        .strip_prefix("error: ")
        .unwrap_or(&sentence)
        .to_owned()
}

/// What --format says, on a command line that could not be read.
fn wants_json() -> bool {
    let words: Vec<_> = std::env::args_os().collect();
    words.iter().any(|word| word == "--format=json")
        || words
            .windows(2)
            .any(|pair| pair[0] == "--format" && pair[1] == "json")
}

fn execute(cli: &Cli) -> Result<Report, RepoError> {
    let global = &cli.global;
    match &cli.command {
        Command::Init(init) => init.run(global),
        Command::Key(key) => key.run(global),
        Command::Target(target) => target.run(global),
        Command::Delegation(delegation) => delegation.run(global),
        Command::Bins(bins) => bins.run(global),
        Command::Renew(renew) => renew.run(global),
        Command::Discard(discard) => discard.run(global),
        Command::Status(status) => status.run(global),
        Command::Diff => show::diff(global),
        Command::Sign(sign) => sign.run(global),
        Command::Request(request) => request.run(global),
        Command::Attach(attach) => attach.run(global),
        Command::Publish(publish) => publish.run(global),
        Command::Root(root) => root.run(global),
        Command::Refresh(refresh) => refresh.run(global),
        Command::Verify(verify) => verify.run(global),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "repo-tool", &mut script);
            write_stdout(&script);
            Ok(Report::silent())
        }
        Command::Man { out } => manual(out.as_deref()),
    }
}

fn manual(out: Option<&std::path::Path>) -> Result<Report, RepoError> {
    match out {
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
            rendered.map_err(|error| RepoError::Usage(error.to_string()))?;
            write_stdout(&page);
        }
        Some(folder) => {
            let written = std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
            written.map_err(|error| {
                RepoError::Usage(format!("cannot write to {}: {error}", folder.display()))
            })?;
        }
    }
    Ok(Report::silent())
}

impl Global {
    fn secrets(&self) -> Secrets {
        match self.no_prompt {
            true => Secrets::unattended(&self.repo),
            false => Secrets::interactive(&self.repo),
        }
    }

    fn open(&self) -> Result<Repository, RepoError> {
        let repository = Repository::open(&self.repo, now()?, self.secrets())?;
        Ok(repository.with_progress(Box::new(self.bars())))
    }

    fn bars(&self) -> Bars {
        Bars::new(self.quiet || self.format == Format::Json)
    }
}

fn now() -> Result<UtcTime, RepoError> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    since
        .and_then(|since| UtcTime::from_unix(i64::try_from(since.as_secs()).ok()?))
        .ok_or_else(|| RepoError::Usage("the system clock is before 1970 or after 9999".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
