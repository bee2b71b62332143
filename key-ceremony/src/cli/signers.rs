//! `key-ceremony signers`.

use std::path::PathBuf;

use countersign_ceremony::CeremonyError;
use countersign_metadata::Key;
use countersign_repo::visible::line as printable;
use countersign_signing::{
    Custody, Home, KeyUri, ListedKey, Listing, LogIn, SignError, Source, inventory,
};
use serde_json::{Value, json};

use super::Global;
use super::output::{Report, count};

const EXAMPLES: &str = "\
Examples:
  key-ceremony signers --module /usr/lib/softhsm/libsofthsm2.so
  key-ceremony signers --module /usr/lib/x86_64-linux-gnu/libykcs11.so --login
  key-ceremony signers --module /usr/lib/x86_64-linux-gnu/pkcs11/libopencryptoki.so --slot 3
  key-ceremony signers --yubihsm 'yubihsm:connector=127.0.0.1:12345;id=1' --login

Without --login no PIN is asked for or sent, and most tokens show public keys only.

Exit codes:
  0  listed; a token with a problem is listed with it
  1  a library or connector could not be used; what the others have is listed all the same
  2  wrong usage";

/// List tokens, slots and the keys in them, with the URI to paste.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Signers {
    /// A PKCS#11 library; may be repeated. Default: COUNTERSIGN_PKCS11_MODULE
    #[arg(long, value_name = "PATH")]
    module: Vec<PathBuf>,
    /// Only this slot of the library
    #[arg(long, value_name = "NUMBER")]
    slot: Option<u64>,
    /// A YubiHSM 2, by the URI of any key in it; may be repeated
    #[arg(long, value_name = "URI", value_parser = yubihsm)]
    yubihsm: Vec<Source>,
    /// Log in, to see private keys and what keeps them in
    #[arg(long)]
    login: bool,
}

/// What a library or device has.
struct Found {
    source: Source,
    listings: Result<Vec<Listing>, SignError>,
}

impl Signers {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        let secrets = global.secrets();
        let log_in = match self.login {
            true => LogIn::Yes,
            false => LogIn::No,
        };
        let mut all = Vec::new();
        for source in self.sources()? {
            let listings = inventory(&source, log_in, &secrets);
            if let Err(SignError::NoModule { hint, .. }) = &listings {
                return Err(CeremonyError::Usage(format!(
                    "no PKCS#11 library is named: give it with --module PATH, or set \
                     COUNTERSIGN_PKCS11_MODULE. {hint}"
                )));
            }
            all.push(Found { source, listings });
        }
        Ok(report(&all))
    }

    fn sources(&self) -> Result<Vec<Source>, CeremonyError> {
        if self.slot.is_some() && self.module.len() > 1 {
            return Err(CeremonyError::Usage(
                "--slot belongs to one library: give --module once".into(),
            ));
        }
        let slot = self.slot;
        let modules = self.module.iter().map(|path| Some(path.clone()));
        let mut modules: Vec<Option<PathBuf>> = modules.collect();
        if modules.is_empty() && (self.yubihsm.is_empty() || slot.is_some()) {
            modules.push(None);
        }
        let modules = modules.into_iter();
        let modules = modules.map(|module| Source::Pkcs11 { module, slot });
        Ok(modules.chain(self.yubihsm.iter().cloned()).collect())
    }
}

fn yubihsm(text: &str) -> Result<Source, String> {
    match text.parse() {
        Ok(KeyUri::YubiHsm(uri)) => Ok(Source::YubiHsm(uri)),
        Ok(_) => Err("it is not a yubihsm: URI; PKCS#11 libraries go with --module".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn report(all: &[Found]) -> Report {
    let (mut text, mut tokens, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for Found { source, listings } in all {
        match listings {
            Ok(listings) => {
                for listing in listings {
                    text.push(paragraph(listing));
                    tokens.push(object(listing, source));
                }
                if listings.is_empty() {
                    text.push(format!("no tokens in {}", place(source)));
                }
            }
            Err(error) => {
                text.push(format!("problem: {error}"));
                problems.push(json!({ "source": place(source), "message": error.to_string() }));
            }
        }
    }
    let exit_code = u8::from(!problems.is_empty());
    let object = json!({ "tokens": tokens, "problems": problems });
    Report::new(text.join("\n\n"), object).with_exit_code(exit_code)
}

fn place(source: &Source) -> String {
    match source {
        Source::Pkcs11 { module, .. } => match module {
            Some(path) => path.display().to_string(),
            None => "the library in COUNTERSIGN_PKCS11_MODULE".into(),
        },
        Source::YubiHsm(uri) => KeyUri::YubiHsm(uri.clone()).to_string(),
        _ => "another device".into(),
    }
}

/// A token and its keys, for people.
fn paragraph(listing: &Listing) -> String {
    let mut lines = vec![heading(listing)];
    if let Some(problem) = &listing.problem {
        lines.push(format!("  problem: {}", printable(problem)));
    }
    let header = ["LABEL", "ID", "TYPE", "PRIVATE KEY", "URI"].map(str::to_owned);
    let rows: Vec<[String; 5]> = listing.keys.iter().map(row).collect();
    let width = |column: usize| {
        let cells = rows.iter().chain([&header]).map(|row| &row[column]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths = [0, 1, 2, 3].map(width);
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}  "));
        format!("  {}{}", cells.collect::<String>(), row[4])
    };
    if !rows.is_empty() {
        lines.push(line(&header));
    }
    for (row, key) in rows.iter().zip(&listing.keys) {
        lines.push(line(row));
        let unusable = key.unusable.as_ref();
        lines.extend(unusable.map(|why| format!("    cannot sign: {}", printable(why))));
    }
    if rows.is_empty() && listing.problem.is_none() {
        lines.push("  no keys".into());
    }
    if !listing.logged_in && listing.problem.is_none() {
        lines.push("  not logged in: private keys may be missing, add --login to see them".into());
    }
    lines.join("\n")
}

fn heading(listing: &Listing) -> String {
    let slot = listing.slot.map(|slot| format!(" in slot {slot}"));
    let slot = slot.unwrap_or_default();
    let home = match &listing.home {
        Home::Token { label, .. } if label.is_empty() => format!("unnamed token{slot}"),
        Home::Token {
            label,
            serial,
            model,
        } => {
            let said = [(model, ""), (serial, "serial ")];
            let said = said.iter().filter(|(what, _)| !what.is_empty());
            let said: Vec<_> = said.map(|(what, name)| format!(", {name}{what}")).collect();
            format!("token {label:?}{slot}{}", said.concat())
        }
        other => other.to_string(),
    };
    let keys = count(listing.keys.len(), "key");
    printable(&format!("{home}: {keys}"))
}

fn row(key: &ListedKey) -> [String; 5] {
    let or_dash = |text: &str| match text {
        "" => "-".to_owned(),
        text => printable(text),
    };
    [
        or_dash(&key.label),
        or_dash(&hex::encode(&key.id)),
        printable(&key.kind),
        key.custody.as_ref().map_or("not seen", summary).into(),
        printable(&key.uri),
    ]
}

/// What keeps a private key in, in a few words.
fn summary(custody: &Custody) -> &'static str {
    match (custody.extractable, custody.sensitive, custody.made_inside) {
        (Some(true), _, _) => "can leave",
        (_, Some(false), _) => "can be read",
        (None, _, _) | (_, None, _) => "may leave (not said)",
        (_, _, Some(true)) => "stays, made inside",
        (_, _, Some(false)) => "stays, was outside once",
        (_, _, None) => "stays, origin not said",
    }
}

fn object(listing: &Listing, source: &Source) -> Value {
    let home = match &listing.home {
        Home::Token {
            label,
            serial,
            model,
        } => {
            json!({ "kind": "pkcs11", "label": label, "serial": serial, "model": model })
        }
        Home::YubiHsm { serial } => json!({ "kind": "yubihsm", "serial": serial }),
        other => json!({ "kind": "other", "label": other.to_string() }),
    };
    json!({
        "source": place(source),
        "home": home,
        "manufacturer": listing.manufacturer,
        "slot": listing.slot,
        "logged_in": listing.logged_in,
        "problem": listing.problem,
        "keys": listing.keys.iter().map(key_object).collect::<Vec<_>>(),
    })
}

fn key_object(key: &ListedKey) -> Value {
    let custody = key.custody.as_ref().map(|custody| {
        let weaknesses = custody.weaknesses();
        let names: Vec<_> = weaknesses.iter().map(|weakness| weakness.name()).collect();
        json!({
            "extractable": custody.extractable,
            "sensitive": custody.sensitive,
            "made_inside": custody.made_inside,
            "weaknesses": names,
        })
    });
    json!({
        "label": key.label,
        "id": hex::encode(&key.id),
        "type": key.kind,
        "keyid": key.public.as_ref().map(|public| Key::new(public).id().to_string()),
        "private": custody,
        "uri": key.uri,
        "usable": key.unusable.is_none(),
        "unusable": key.unusable,
    })
}
