//! One way to the admin API: an address, a token, and who may vouch for the server.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use rustls::crypto::ring::default_provider;
use serde_json::{Value, json};
use ureq::http::{Request, Response, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body, SendBody};
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::cli::output::Failure;

/// Where the admin API is, and who asks.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Remote {
    /// Base URL of the admin API
    #[arg(
        long,
        global = true,
        env = "COUNTERSIGN_DIRECTOR_URL",
        value_name = "URL"
    )]
    pub(super) url: Option<Url>,
    /// File with the token; without it, COUNTERSIGN_DIRECTOR_TOKEN has the token itself
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Trust only the certificates in this PEM file
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// The variable with a token. It is no option: other users see the arguments of a process.
const TOKEN: &str = "COUNTERSIGN_DIRECTOR_TOKEN";

const CONNECT: Duration = Duration::from_secs(10);

/// The Director answers within a minute unless it is set up otherwise, and stores what was uploaded
/// before it answers.
const ANSWER: Duration = Duration::from_secs(600);

/// Bytes of an answer. A page of the audit log has a thousand entries.
const MAX_ANSWER: u64 = 32 << 20;

/// The admin API of one Director.
pub(super) struct Api {
    agent: Agent,
    base: Url,
    token: Zeroizing<String>,
}

impl Remote {
    pub(super) fn open(&self) -> Result<Api, Failure> {
        let usage = |message: &str| Failure::new("usage", message);
        let base = self
            .url
            .clone()
            .ok_or_else(|| usage("say where the Director is: --url or COUNTERSIGN_DIRECTOR_URL"))?;
        let is_here = match base.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        match base.scheme() {
            "https" => {}
            "http" if is_here => {}
            _ => {
                return Err(usage(
                    "use an https: URL; over anything else others could read the token",
                ));
            }
        }
        let roots = match &self.ca {
            Some(path) => authorities(path)?,
            None => RootCerts::WebPki,
        };
        let tls = TlsConfig::builder()
            .root_certs(roots)
            .unversioned_rustls_crypto_provider(Arc::new(default_provider()))
            .build();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("countersign-director/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .tls_config(tls)
            .build();
        Ok(Api {
            agent: agent.into(),
            base,
            token: self.token()?,
        })
    }

    fn token(&self) -> Result<Zeroizing<String>, Failure> {
        let text = match &self.token_file {
            Some(path) => fs::read_to_string(path).map_err(|error| {
                Failure::new("token", format!("cannot read {}: {error}", path.display()))
            })?,
            None => std::env::var(TOKEN).map_err(|_| {
                let message = format!("show a token: --token-file FILE, or set {TOKEN}");
                Failure::new("token", message)
            })?,
        };
        let text = Zeroizing::new(text);
        let token = text.trim();
        match token.bytes().all(|byte| byte.is_ascii_graphic()) && !token.is_empty() {
            true => Ok(Zeroizing::new(token.into())),
            false => Err(Failure::new("token", "this is no token: cst_ID_SECRET")),
        }
    }
}

impl Api {
    pub(super) fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, Failure> {
        let request = self.request("GET", path, query);
        self.done(self.agent.run(request.body(()).map_err(unsaid)?))
    }

    pub(super) fn post(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.say("POST", path, body.to_string().into_bytes())
    }

    pub(super) fn delete(&self, path: &[&str]) -> Result<Value, Failure> {
        let request = self.request("DELETE", path, &[]);
        self.done(self.agent.run(request.body(()).map_err(unsaid)?))
    }

    /// Sends JSON, byte for byte.
    pub(super) fn say(&self, method: &str, path: &[&str], body: Vec<u8>) -> Result<Value, Failure> {
        let request = self.request(method, path, &[]);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        self.done(self.agent.run(request.body(body).map_err(unsaid)?))
    }

    /// Sends a file, with a progress bar where standard error is a terminal.
    pub(super) fn upload(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        file: &Path,
    ) -> Result<Value, Failure> {
        let unreadable = |error: std::io::Error| {
            Failure::new("file", format!("cannot read {}: {error}", file.display()))
        };
        let opened = File::open(file).map_err(unreadable)?;
        let length = opened.metadata().map_err(unreadable)?.len();
        let bar = ProgressBar::new(length).with_message(file.display().to_string());
        let style = "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        bar.set_style(
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        let mut reader = bar.wrap_read(opened);
        let request = self
            .request("PUT", path, query)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, length)
            // What is refused for its name or its token is not sent in vain.
            .header(header::EXPECT, "100-continue");
        let body = SendBody::from_reader(&mut reader);
        let done = self.done(self.agent.run(request.body(body).map_err(unsaid)?));
        bar.finish_and_clear();
        done
    }

    fn request(
        &self,
        method: &str,
        path: &[&str],
        query: &[(&str, String)],
    ) -> ureq::http::request::Builder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let bearer = Zeroizing::new(format!("Bearer {}", *self.token));
        Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(header::AUTHORIZATION, &**bearer)
    }

    fn done(&self, sent: Result<Response<Body>, ureq::Error>) -> Result<Value, Failure> {
        let away =
            |error: ureq::Error| Failure::new("unreachable", format!("{}: {error}", self.base));
        let response = sent.map_err(away)?;
        let status = response.status();
        let mut text = Vec::new();
        let body = response.into_body().into_reader();
        body.take(MAX_ANSWER)
            .read_to_end(&mut text)
            .map_err(|error| away(error.into()))?;
        let said: Option<Value> = serde_json::from_slice(&text).ok();
        if status.is_success() {
            return Ok(said.unwrap_or_else(|| json!({})));
        }
        let error = said.as_ref().map(|said| &said["error"]);
        let code = error.and_then(|error| error["code"].as_str());
        let message = error.and_then(|error| error["message"].as_str());
        match code.zip(message) {
            Some((code, message)) => Err(Failure::new(code.to_owned(), message)),
            None => Err(Failure::new(
                "not-a-director",
                format!("{} answers {status}; is this the admin API?", self.base),
            )),
        }
    }
}

fn unsaid(error: ureq::http::Error) -> Failure {
    Failure::new("usage", format!("this cannot be asked: {error}"))
}

fn authorities(path: &Path) -> Result<RootCerts, Failure> {
    let failed = |what: String| Failure::new("ca", format!("{}: {what}", path.display()));
    let pem = fs::read(path).map_err(|error| failed(error.to_string()))?;
    let mut certificates = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        if let PemItem::Certificate(found) = item.map_err(|error| failed(error.to_string()))? {
            certificates.push(found);
        }
    }
    match certificates.is_empty() {
        true => Err(failed("it holds no certificate".into())),
        false => Ok(RootCerts::Specific(Arc::new(certificates))),
    }
}
