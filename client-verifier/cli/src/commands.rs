//! One function for each command: library calls, no rules.

use std::path::Path;
use std::time::Duration;

use clap::CommandFactory;
use countersign_client::client::{Client, ClientError, initialise, read_root};
use countersign_client::clock::system_time;
use countersign_client::fetch::{HttpFetcher, Patience, TlsRoots, UrlFetcher};
use countersign_client::files::TargetDir;
use countersign_client::store::DirStore;
use countersign_metadata::Role;
use countersign_verifier::{Code, Context, Reject, Trusted};

use crate::args::{Arguments, Command};
use crate::output::Done;
use crate::progress::Progress;
use crate::uptane;

/// How long to wait for another process that uses the same directory.
pub(crate) const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// Runs the command; the lines to print when it succeeds.
pub(crate) fn run(arguments: Arguments) -> Result<Done, Reject> {
    let repository = arguments.repository.clone();
    let outcome = match &arguments.command {
        Command::Init { root } => init(&arguments, root),
        Command::Refresh => refresh(&arguments),
        Command::Download => download(&arguments),
        Command::Completions { shell } => return Ok(completions(*shell).into()),
        Command::Man => return man().map(Done::from),
        uptane => return run_uptane(&arguments, uptane),
    };
    outcome
        .map(Done::from)
        .map_err(|error| error.to_reject(&repository))
}

fn run_uptane(arguments: &Arguments, command: &Command) -> Result<Done, Reject> {
    let directory = needed(&arguments.state_dir, "--state-dir")?;
    let inputs = uptane::Inputs {
        director_url: arguments.director_url.as_deref(),
        image_url: arguments.image_url.as_deref(),
        attestation: arguments.time_attestation.as_deref(),
        image_file: arguments.image_file.as_deref(),
        bundle: arguments.bundle.as_deref(),
    };
    match command {
        Command::UptaneInit {
            vehicle,
            director_root,
            image_root,
            map,
        } => uptane::init(
            directory,
            vehicle,
            (director_root, image_root),
            map.as_deref(),
            &inputs,
        ),
        Command::UptaneNonce => uptane::nonce(directory),
        Command::UptaneCycle => uptane::cycle(directory, fetcher(arguments)?, &inputs),
        Command::UptaneInstall => uptane::install(directory, &inputs),
        _ => Err(usage("no command of Uptane")),
    }
}

fn init(arguments: &Arguments, root: &Path) -> Result<Vec<String>, ClientError> {
    let bytes = read_root(root)
        .map_err(|error| usage(format!("cannot read {}: {error}", root.display())))?;
    let done = initialise(&mut store(arguments)?, bytes)?;
    let (version, expires) = (
        done.trusted.content().version(),
        done.trusted.content().expires(),
    );
    Ok(vec![match done.given == version {
        true => format!("trusting root version {version}, expires {expires}"),
        false => format!(
            "root version {version} is trusted here, reached from this one (version {}); it expires {expires}",
            done.given
        ),
    }])
}

fn refresh(arguments: &Arguments) -> Result<Vec<String>, ClientError> {
    let mut client = client_with(arguments, store(arguments)?)?;
    let trusted = client.refresh(context(arguments)?)?;
    Ok(vec![summary(&trusted)])
}

fn download(arguments: &Arguments) -> Result<Vec<String>, ClientError> {
    let targets_url = needed_url(&arguments.target_base_url, "--target-base-url")?;
    needed_url(&arguments.metadata_url, "--metadata-url")?;
    let directory = TargetDir::open(needed(&arguments.target_dir, "--target-dir")?)?;
    if arguments.target_names.is_empty() {
        return Err(missing("--target-name").into());
    }
    let store = store(arguments)?;
    let partial = store.partial_directory();
    let mut client = client_with(arguments, store)?;
    let mut trusted = client.refresh(context(arguments)?)?;
    let mut lines = vec![summary(&trusted)];
    for name in &arguments.target_names {
        let target = client.find(&mut trusted, name)?;
        let progress = Progress::new(name, target.file().length);
        let told = |bytes| progress.told(bytes);
        let image = client.download(&trusted, &target, targets_url, &directory, &partial, &told)?;
        let how = if image.was_there {
            "already there"
        } else {
            "downloaded"
        };
        lines.push(format!(
            "{name}: {how}, {} bytes, verified",
            target.file().length
        ));
    }
    Ok(lines)
}

fn summary(trusted: &Trusted) -> String {
    let timestamp = trusted.timestamp().map(|file| file.content().version());
    format!(
        "up to date: root {}, timestamp {}, snapshot {}, targets {}",
        trusted.root().content().version(),
        timestamp.unwrap_or_default(),
        trusted.snapshot().content().version(),
        trusted.targets().version(),
    )
}

fn store(arguments: &Arguments) -> Result<DirStore, ClientError> {
    let directory = needed(&arguments.metadata_dir, "--metadata-dir")?;
    Ok(DirStore::open(directory, LOCK_PATIENCE)?)
}

fn client_with(
    arguments: &Arguments,
    store: DirStore,
) -> Result<Client<UrlFetcher, DirStore>, ClientError> {
    let url = needed_url(&arguments.metadata_url, "--metadata-url")?;
    Ok(Client::new(fetcher(arguments)?, store, url))
}

fn fetcher(arguments: &Arguments) -> Result<UrlFetcher, Reject> {
    let roots = match &arguments.ca_file {
        Some(file) => TlsRoots::from_pem_file(file).map_err(|error| usage(error.to_string()))?,
        None => TlsRoots::mozilla(),
    };
    let window = Duration::from_secs(arguments.patience);
    let patience = Patience {
        connect: window.min(Patience::default().connect),
        response: window,
        window,
        min_bytes_per_window: arguments.min_rate.saturating_mul(arguments.patience),
    };
    Ok(UrlFetcher::new(HttpFetcher::new(patience, roots)))
}

fn context(arguments: &Arguments) -> Result<Context, Reject> {
    let now = system_time()
        .ok_or_else(|| usage("the system's clock is outside the years 0 to 9999; set it"))?;
    Ok(Context {
        repository: arguments.repository.clone(),
        ..Context::new(now)
    })
}

fn needed<'a, T>(option: &'a Option<T>, name: &str) -> Result<&'a T, Reject> {
    option.as_ref().ok_or_else(|| missing(name))
}

fn needed_url<'a>(option: &'a Option<String>, name: &str) -> Result<&'a str, Reject> {
    let url = needed(option, name)?;
    UrlFetcher::check_base_url(url).map_err(|error| usage(format!("{name}: {error}")))?;
    Ok(url)
}

fn missing(name: &str) -> Reject {
    usage(format!("this command needs {name}; see --help"))
}

pub(crate) fn usage(detail: impl Into<String>) -> Reject {
    Reject::new(Code::Usage, "", detail)
}

fn completions(shell: clap_complete::Shell) -> Vec<String> {
    let mut script = Vec::new();
    clap_complete::generate(
        shell,
        &mut Arguments::command(),
        "client-verifier",
        &mut script,
    );
    vec![String::from_utf8_lossy(&script).into_owned()]
}

fn man() -> Result<Vec<String>, Reject> {
    let mut page = Vec::new();
    match clap_mangen::Man::new(Arguments::command()).render(&mut page) {
        Ok(()) => Ok(vec![String::from_utf8_lossy(&page).into_owned()]),
        Err(error) => Err(usage(error.to_string())),
    }
}
