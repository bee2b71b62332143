//! Tokens, in the database of this machine or through the admin API.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use countersign_director::service::Actor;
use countersign_director::storage::{Database, StoredToken};
use countersign_director::tokens::{self, DAYS, NewToken, Scope};
use serde_json::{Value, json};

use super::Remote;
use super::shown::{table, text};
use crate::cli::now;
use crate::cli::output::{Done, Failure};

const EXAMPLES: &str = "\
Examples:
  director token create ci --scope assign --scope read --tenant fleet-a --out ci.token
  director token list
  director token revoke 0123456789abcdef

Scopes:
  read      look at vehicles, their history, and images
  vehicles  announce, approve, hold and release vehicles; their certificates
  assign    order images and take orders back
  images    list and upload images (without a tenant only)
  admin     tokens, Roots, the audit log, the state of the Director (without a tenant only)

With --url this is asked of the admin API, with a token of the scope admin. Without it, the database of
the settings is used: that is how the first token is made.";

/// Tokens for the admin API
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Tokens {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a token; it is shown once
    Create {
        /// What people call it
        name: String,
        /// What it is good for; may be given several times
        #[arg(long = "scope", required = true, value_name = "SCOPE", value_parser = scope)]
        scopes: Vec<Scope>,
        /// Whose vehicles it is good for; all if it is left out
        #[arg(long)]
        tenant: Option<String>,
        /// Days for which it is good
        #[arg(long, default_value_t = DAYS)]
        days: u32,
        /// Write it to this new file, for its owner alone, instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// All tokens, the oldest first
    List,
    /// End a token for ever, at once
    Revoke {
        /// Its public part
        id: String,
    },
}

fn scope(text: &str) -> Result<Scope, String> {
    text.parse()
        .map_err(|error: countersign_director::problem::Problem| error.message)
}

impl Tokens {
    /// `database` opens the one of the settings.
    pub(crate) async fn run(
        &self,
        database: impl AsyncFnOnce() -> Result<Database, Failure>,
    ) -> Result<Done, Failure> {
        match self.remote.url {
            Some(_) => self.ask(),
            None => {
                let database = database().await?;
                let done = self.decide(&database).await;
                database.close().await;
                done
            }
        }
    }

    fn ask(&self) -> Result<Done, Failure> {
        let api = self.remote.open()?;
        match &self.command {
            Command::Create {
                name,
                scopes,
                tenant,
                days,
                out,
            } => {
                let scopes: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
                let mut body = json!({ "name": name, "scopes": scopes, "days": days });
                if let Some(tenant) = tenant {
                    body["tenant"] = tenant.as_str().into();
                }
                let mut made = api.post(&["tokens"], &body)?;
                let secret = text(&made["secret"].take());
                made_token(&secret, &made["token"], out.as_deref())
            }
            Command::List => {
                let tokens = api.get(&["tokens"], &[])?["tokens"].take();
                Ok(listed(&tokens))
            }
            Command::Revoke { id } => {
                api.delete(&["tokens", id])?;
                Ok(revoked(id))
            }
        }
    }

    async fn decide(&self, database: &Database) -> Result<Done, Failure> {
        let failed = |problem: countersign_director::problem::Problem| {
            Failure::new(problem.code, problem.message)
        };
        let (now, actor) = (now()?, Actor::operator());
        match &self.command {
            Command::Create {
                name,
                scopes,
                tenant,
                days,
                out,
            } => {
                let new = NewToken {
                    name: name.clone(),
                    tenant: tenant.clone(),
                    scopes: scopes.iter().copied().collect(),
                    days: *days,
                };
                let made = tokens::make(database, &new, now, &actor).await;
                let (stored, secret) = made.map_err(failed)?;
                made_token(secret.expose(), &shown(&stored), out.as_deref())
            }
            Command::List => {
                let tokens = database.tokens().await;
                let tokens = tokens.map_err(|error| Failure::new("database", error))?;
                Ok(listed(&tokens.iter().map(shown).collect()))
            }
            Command::Revoke { id } => {
                tokens::revoke(database, id, now, &actor)
                    .await
                    .map_err(failed)?;
                Ok(revoked(id))
            }
        }
    }
}

/// As the admin API shows it.
fn shown(token: &StoredToken) -> Value {
    let scopes: Vec<&str> = token.scopes.split_whitespace().collect();
    json!({
        "id": token.id,
        "name": token.name,
        "scopes": scopes,
        "tenant": token.tenant,
        "created": token.created.to_string(),
        "expires": token.expires.to_string(),
        "revoked": token.revoked.map(|at| at.to_string()),
    })
}

fn made_token(secret: &str, token: &Value, out: Option<&Path>) -> Result<Done, Failure> {
    let (id, expires) = (&token["id"], &token["expires"]);
    let Some(path) = out else {
        let made = json!({ "id": id, "token": secret, "expires": expires });
        return Ok(Done::new(secret, made));
    };
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| writeln!(file, "{secret}"));
    let (named, path) = (text(id), path.display());
    written.map_err(|error| {
        let message =
            format!("cannot write {path}: {error}; revoke token {named} and make another one");
        Failure::new("file", message)
    })?;
    let made = json!({ "id": id, "file": path.to_string(), "expires": expires });
    Ok(Done::new(format!("token {named} is in {path}"), made))
}

fn listed(tokens: &Value) -> Done {
    let columns = [
        ("TOKEN", "id"),
        ("NAME", "name"),
        ("SCOPES", "scopes"),
        ("TENANT", "tenant"),
        ("EXPIRES", "expires"),
        ("REVOKED", "revoked"),
    ];
    Done::new(table(tokens, &columns), json!({ "tokens": tokens }))
}

fn revoked(id: &str) -> Done {
    Done::new(
        format!("token {id} is not good any more"),
        json!({ "id": id }),
    )
}
