//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand, ValueEnum};
use countersign_verifier::{Code, Reject};

use crate::output;

const EXAMPLES: &str = "\
Examples:
  client-verifier --metadata-dir /var/lib/tuf init root.json
  client-verifier --metadata-dir /var/lib/tuf --metadata-url https://fw.example.com/metadata refresh
  client-verifier --metadata-dir /var/lib/tuf --metadata-url https://fw.example.com/metadata \\
      --target-base-url https://fw.example.com/targets --target-dir /var/lib/images \\
      --target-name boards/a/kernel.img download

  client-verifier --state-dir /var/lib/ecu uptane-init vehicle.json \\
      --director-root d1.root.json --image-root i1.root.json --map map.json
  client-verifier --state-dir /var/lib/ecu uptane-cycle
  client-verifier --state-dir /var/lib/ecu uptane-install

Exit status: 0 on success, 1 on any refusal or error.
With --format json, one object on standard output:
  {\"ok\", \"code\", \"name\", \"attack\", \"role\", \"repository\", \"message\"}
where code and name are stable and ok results have code 0; uptane-cycle adds \"update\".";

/// Follow TUF and Uptane repositories, refusing whatever does not verify.
#[derive(Debug, Parser)]
#[command(name = "client-verifier", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// Directory of the trusted metadata
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) metadata_dir: Option<PathBuf>,

    /// Where the repository serves its metadata (https:, http: or file:)
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) metadata_url: Option<String>,

    /// Image to download; may be given several times, processed in order
    #[arg(long = "target-name", value_name = "NAME", global = true)]
    pub(crate) target_names: Vec<String>,

    /// Where the repository serves its images
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) target_base_url: Option<String>,

    /// Directory for downloaded images
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) target_dir: Option<PathBuf>,

    /// Trust only the certificates in this PEM file for https
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) ca_file: Option<PathBuf>,

    /// Give up a server that sends fewer bytes per second than this
    #[arg(long, value_name = "BYTES", default_value_t = 1024, global = true)]
    pub(crate) min_rate: u64,

    /// Seconds over which the rate is measured, and within which a server must answer
    #[arg(long, value_name = "SECONDS", default_value_t = 20,
          value_parser = clap::value_parser!(u64).range(1..=3600), global = true)]
    pub(crate) patience: u64,

    /// Directory of one ECU's Uptane state
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) state_dir: Option<PathBuf>,

    /// Where the Director serves metadata/ and targets/, in place of the mapping's addresses
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) director_url: Option<String>,

    /// Where the Image repository serves metadata/ and targets/, in place of the mapping's
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) image_url: Option<String>,

    /// A signed attestation of the time that answers the nonce of uptane-nonce
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) time_attestation: Option<PathBuf>,

    /// The image as it is served, for uptane-install where no cycle has downloaded it
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) image_file: Option<PathBuf>,

    /// An offline bundle that uptane-cycle and uptane-install take everything from
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) bundle: Option<PathBuf>,

    /// The repository's name in reports
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true,
        global = true
    )]
    pub(crate) repository: String,

    /// How to report the result
    #[arg(long, value_enum, default_value_t = Format::Text, global = true)]
    pub(crate) format: Format,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Trust ROOT as the first Root; makes no request
    Init {
        /// A Root file that came here by a way you trust
        root: PathBuf,
    },
    /// Bring the trusted metadata up to date
    Refresh,
    /// Refresh, then download the images named with --target-name
    Download,
    /// Provision one ECU of an Uptane vehicle; makes no request
    UptaneInit {
        /// Which ECU this is, in which vehicle (see docs/ecu-commands.md)
        vehicle: PathBuf,
        /// The Director's first Root, which came here by a way you trust
        #[arg(long, value_name = "FILE")]
        director_root: PathBuf,
        /// The Image repository's first Root
        #[arg(long, value_name = "FILE")]
        image_root: PathBuf,
        /// The repository mapping; without it, both repositories have to sign every image
        #[arg(long, value_name = "FILE")]
        map: Option<PathBuf>,
    },
    /// Print the nonce that the next attestation of the time has to answer
    UptaneNonce,
    /// Verify what the Director assigns, and download it
    UptaneCycle,
    /// Install on this ECU what the last uptane-cycle has found
    UptaneInstall,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON object on standard output
    Json,
}

/// Reads the command line. Usage errors exit with 1 like every refusal: callers test for it.
pub(crate) fn parse() -> Result<Arguments, ExitCode> {
    Arguments::try_parse().map_err(|error| {
        let help = matches!(
            error.kind(),
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
        );
        let json = || {
            let words: Vec<_> = std::env::args_os().collect();
            words.iter().any(|word| word == "--format=json")
                || words
                    .windows(2)
                    .any(|pair| pair[0] == "--format" && pair[1] == "json")
        };
        if !help && json() {
            let usage = Reject::new(Code::Usage, "", in_a_sentence(&error));
            return output::show(Format::Json, &Err(usage));
        }
        // There is nowhere left to report a failure to print.
        let _ = error.print();
        ExitCode::from(u8::from(!help))
    })
}

/// What is wrong, without the tips and the usage that are for a terminal.
fn in_a_sentence(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.trim_start_matches("error: ").lines();
    let first: Vec<&str> = lines
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    format!("{}; see --help", first.join(" "))
}
