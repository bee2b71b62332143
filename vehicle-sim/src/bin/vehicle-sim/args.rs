//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  vehicle-sim director fleet --image-url file:///srv/firmware --image-root 1.root.json
  vehicle-sim provision car1 --director fleet --vin VIN1 \\
      --ecu gateway=gw-2 --ecu brake=brake-7,tcp --ecu door=door-1,partial
  vehicle-sim assign VIN1 brake brakes/7.3.img --director fleet
  vehicle-sim cycle car1 --director fleet
  vehicle-sim status car1

A confidential image is encrypted by the director before it is assigned:
  vehicle-sim encrypt brakes/7.4.img build/brake.img --director fleet

What is assigned can be carried to a vehicle that has no network:
  vehicle-sim bundle VIN1 workshop stick/update.tar --director fleet
  vehicle-sim cycle car1 --director fleet --bundle stick/update.tar

A vehicle that talks to a Director's service, with a certificate for its Primary:
  vehicle-sim provision car3 --vin VIN3 --ecu gateway3=gw-2 --director-root director/1.root.json \\
      --image-root image/1.root.json --director-url https://director.example.com:8443/v1/ \\
      --image-url https://images.example.com/
  vehicle-sim csr car3 --out car3.csr
  key-ceremony pki issue --ca device-ca --vehicle VIN3 --ecu gateway3 --out car3.pem car3.csr
  vehicle-sim register car3 --tls-cert car3.pem --tls-ca servers.pem
  vehicle-sim cycle car3 --tls-cert car3.pem --tls-ca servers.pem

Keys in a token (make the token first; the PIN comes from COUNTERSIGN_PIN):
  vehicle-sim provision car2 --director fleet --vin VIN2 --ecu gateway2=gw-2 \\
      --signing-key 'gateway2=pkcs11:token=car2;object=sign' \\
      --decryption-key 'gateway2=pkcs11:token=car2;object=decrypt'

Exit status: 0 on success, 1 if a vehicle refused something or a command failed, 2 for a command
line that cannot be understood. With --format json, one object on standard output.";

/// Simulate vehicles: everything about them is real but the vehicle.
#[derive(Debug, Parser)]
#[command(name = "vehicle-sim", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// How to report the result
    #[arg(long, value_enum, default_value_t = Format::Text, global = true)]
    pub(crate) format: Format,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a director with keys in files
    Director {
        /// Its folder; FOLDER/published is what is served
        folder: PathBuf,
        /// Base URL of the Image repository, which has metadata/ and targets/
        #[arg(long, value_name = "URL")]
        image_url: String,
        /// The Image repository's first Root
        #[arg(long, value_name = "FILE")]
        image_root: PathBuf,
        /// Base URL under which FOLDER/published is served [default: a file: URL]
        #[arg(long, value_name = "URL")]
        director_url: Option<String>,
    },
    /// Make a vehicle, and register it with the director in a folder, if there is one
    Provision {
        /// The vehicle's folder
        vehicle: PathBuf,
        #[command(flatten)]
        repositories: Repositories,
        /// Its unique identifier
        #[arg(long)]
        vin: String,
        /// An ECU: SERIAL=HARDWARE[,partial][,tcp]; the first one is the Primary
        #[arg(long = "ecu", value_name = "ECU", required = true)]
        ecus: Vec<String>,
        /// Where an ECU's signing key is made: SERIAL=URI [default: a file]
        #[arg(long = "signing-key", value_name = "KEY")]
        signing_keys: Vec<String>,
        /// Where an ECU's decryption key is made: SERIAL=URI [default: a file]
        #[arg(long = "decryption-key", value_name = "KEY")]
        decryption_keys: Vec<String>,
        /// Install on the other ECUs where one cannot take its part
        #[arg(long)]
        best_effort: bool,
    },
    /// Encrypt a confidential image of the Image repository
    Encrypt {
        /// Its target path
        image: String,
        /// A file with its bytes
        file: PathBuf,
        #[command(flatten)]
        director: DirectorFolder,
    },
    /// Assign an image to an ECU
    Assign {
        /// The vehicle
        vin: String,
        /// The ECU
        serial: String,
        /// The image's target path
        image: String,
        #[command(flatten)]
        director: DirectorFolder,
    },
    /// Write what is assigned in a vehicle into an offline bundle
    Bundle {
        /// The vehicle
        vin: String,
        /// What its Offline Targets file is called
        name: String,
        /// The bundle
        file: PathBuf,
        #[command(flatten)]
        director: DirectorFolder,
    },
    /// Replace the director's online keys by a new Root
    Rotate {
        #[command(flatten)]
        director: DirectorFolder,
    },
    /// Make a TLS key for a vehicle's Primary, and a request for its certificate
    Csr {
        /// The vehicle's folder
        vehicle: PathBuf,
        /// The request (PKCS #10, PEM)
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Register a vehicle with a Director's service: all its ECUs prove that they have their keys
    Register {
        /// The vehicle's folder
        vehicle: PathBuf,
        /// The certificate of its Primary
        #[arg(long, value_name = "FILE")]
        tls_cert: PathBuf,
        #[command(flatten)]
        network: Network,
    },
    /// Run a vehicle for one cycle, with the director in a folder or with a Director's service
    Cycle {
        /// The vehicle's folder
        vehicle: PathBuf,
        /// The director's folder
        #[arg(
            long,
            value_name = "FOLDER",
            required_unless_present = "tls_cert",
            conflicts_with_all = ["tls_cert", "tls_key", "tls_ca", "director_url"]
        )]
        director: Option<PathBuf>,
        /// The certificate of its Primary: talk to a Director's service
        #[arg(long, value_name = "FILE")]
        tls_cert: Option<PathBuf>,
        #[command(flatten)]
        network: Network,
        /// Take metadata and images out of this offline bundle
        #[arg(long, value_name = "FILE")]
        bundle: Option<PathBuf>,
    },
    /// Show what the ECUs of a vehicle have installed
    Status {
        /// The vehicle's folder
        vehicle: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct DirectorFolder {
    /// The director's folder
    #[arg(long = "director", value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

/// What a vehicle is made for: a director in a folder, or a Director's service.
#[derive(Debug, clap::Args)]
pub(crate) struct Repositories {
    /// The director's folder
    #[arg(
        long = "director",
        value_name = "FOLDER",
        required_unless_present = "director_root",
        conflicts_with_all = ["director_root", "image_root", "director_url", "image_url"]
    )]
    pub(crate) folder: Option<PathBuf>,
    /// The first Root of the Director's service
    #[arg(long, value_name = "FILE", requires_all = ["image_root", "director_url", "image_url"])]
    pub(crate) director_root: Option<PathBuf>,
    /// The Image repository's first Root
    #[arg(long, value_name = "FILE", requires = "director_root")]
    pub(crate) image_root: Option<PathBuf>,
    /// Base URL of the Director's service, as https://HOST:PORT/v1/
    #[arg(long, value_name = "URL", requires = "director_root")]
    pub(crate) director_url: Option<String>,
    /// Base URL of the Image repository; it has metadata/ and targets/
    #[arg(long, value_name = "URL", requires = "director_root")]
    pub(crate) image_url: Option<String>,
}

/// How a Director's service is reached.
#[derive(Debug, clap::Args)]
pub(crate) struct Network {
    /// The private key of the certificate [default: the one that csr has made]
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Certification authorities of all https servers, PEM [default: Mozilla's]
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Base URL of the service [default: that of the vehicle's mapping]
    #[arg(long, value_name = "URL", requires = "tls_cert")]
    pub(crate) director_url: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For scripts
    Json,
}
