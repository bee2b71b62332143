//! Parsing, one library call, printing.

mod audit;
mod confirm;
mod drill;
mod holder;
mod lead;
mod output;
mod pki;
mod plan;
mod provision;
mod seal;
mod signers;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use countersign_ceremony::CeremonyError;
use countersign_metadata::UtcTime;
use countersign_repo::keys::redact;
use countersign_repo::visible;
use countersign_signing::Secrets;

use self::output::{Format, Report, write_stdout};

const EXAMPLES: &str = "\
A ceremony, in the order of its steps (the lead's machine, or a holder's):
  lead    key-ceremony plan profile.toml --out ceremony
  holder  key-ceremony keygen anna-root.json --out anna-root.proof.json
  lead    key-ceremony merge ceremony anna-root.proof.json ...
  lead    key-ceremony review ceremony
  holder  key-ceremony sign sign-root.json --key URI --out anna.signed.json
  lead    key-ceremony merge ceremony anna.signed.json ...
  lead    key-ceremony seal ceremony
  holder  key-ceremony sign seal.json --key URI --out anna.seal.json
  lead    key-ceremony seal ceremony anna.seal.json
  anyone  key-ceremony verify ceremony

Exit codes:
  0  done, or nothing to do
  1  refused or failed; nothing is lost, and the message says what to do
  2  wrong usage
  3  signatures or seals are missing; the message says whose";

/// Key ceremonies, rotations, compromise drills, the device PKI and provisioning.
///
/// Several people, each with a key in a token of their own, bring about the next root of trust.
/// What they do is written into a transcript that anybody can check later. Machines need no
/// network: small files travel between them.
#[derive(Parser)]
#[command(name = "key-ceremony", version, after_help = EXAMPLES)]
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
    /// How to print results
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, help_heading = GLOBAL)]
    format: Format,
    /// Print nothing but errors
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    quiet: bool,
    /// Never ask for a PIN, a passphrase or a confirmation; implied when standard input is no
    /// terminal
    #[arg(long, global = true, help_heading = GLOBAL)]
    no_prompt: bool,
}

#[derive(Subcommand)]
enum Command {
    Plan(plan::Plan),
    Keygen(holder::Keygen),
    Prove(holder::Prove),
    Merge(lead::Merge),
    Review(lead::Review),
    Sign(holder::Sign),
    Seal(seal::Seal),
    Verify(audit::Verify),
    Status(lead::Status),
    Rotate(plan::Rotate),
    /// List tokens, slots and the keys in them, with the URI to paste
    Signers(signers::Signers),
    /// Play a compromise in a sandbox and prove the recovery
    Drill(drill::Drill),
    /// The device PKI: certificates for vehicles and ECUs
    #[command(subcommand)]
    Pki(pki::Pki),
    /// What devices are given at manufacture: Roots, mapping, keys and time
    #[command(subcommand)]
    Provision(provision::Provision),
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

fn execute(cli: &Cli) -> Result<Report, CeremonyError> {
    let global = &cli.global;
    match &cli.command {
        Command::Plan(plan) => plan.run(global),
        Command::Keygen(keygen) => keygen.run(global),
        Command::Prove(prove) => prove.run(global),
        Command::Merge(merge) => merge.run(global),
        Command::Review(review) => review.run(global),
        Command::Sign(sign) => sign.run(global),
        Command::Seal(seal) => seal.run(global),
        Command::Verify(verify) => verify.run(global),
        Command::Status(status) => status.run(global),
        Command::Rotate(rotate) => rotate.run(global),
        Command::Signers(signers) => signers.run(global),
        Command::Drill(drill) => drill.run(global),
        Command::Pki(pki) => pki.run(global),
        Command::Provision(provision) => provision.run(global),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "key-ceremony", &mut script);
            write_stdout(&script);
            Ok(Report::silent())
        }
        Command::Man { out } => manual(out.as_deref()),
    }
}

fn manual(out: Option<&Path>) -> Result<Report, CeremonyError> {
    match out {
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
            rendered.map_err(|error| CeremonyError::Usage(error.to_string()))?;
            write_stdout(&page);
        }
        Some(folder) => {
            let written = std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
            written.map_err(|source| CeremonyError::Io {
                doing: "write to",
                path: folder.into(),
                source,
            })?;
        }
    }
    Ok(Report::silent())
}

/// Help and version go to standard output; an error goes where all errors go.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    let text = error.render().to_string();
    let safe = redact(&text);
    if error.use_stderr() && wants_json() {
        let message = match error.kind() {
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                "a command is missing; 'key-ceremony --help' lists them".to_owned()
            }
            _ => one_sentence(&safe),
        };
        output::print_error(&CeremonyError::Usage(message), Format::Json);
    } else if error.use_stderr() && (safe != text || visible::command_line_hides()) {
        output::print_error(&CeremonyError::Usage(one_sentence(&safe)), Format::Text);
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

impl Global {
    /// Relative paths in key URIs start at the working directory.
    fn secrets(&self) -> Secrets {
        match self.no_prompt {
            true => Secrets::unattended("."),
            false => Secrets::interactive("."),
        }
    }

    /// Whether progress bars and notes would be in somebody's way.
    fn silent(&self) -> bool {
        self.quiet || self.format == Format::Json
    }
}

/// Whether this is a CI machine, by the variable that all of them set.
fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

fn now() -> Result<UtcTime, CeremonyError> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    since
        .and_then(|since| UtcTime::from_unix(i64::try_from(since.as_secs()).ok()?))
        .ok_or_else(|| CeremonyError::Usage("the system clock is before 1970 or after 9999".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
