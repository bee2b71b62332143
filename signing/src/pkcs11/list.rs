//! What is in the tokens of a library.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use countersign_metadata::PublicKey;
use cryptoki::object::ObjectClass;
use cryptoki::session::Session;
use cryptoki::slot::{Slot, TokenInfo};

use super::attributes::Attributes;
use super::key::{self, Purpose, search};
use super::mechanism::SignMechanism;
use super::module::{Module, describe};
use super::token::{Access, Token, slots};
use crate::custody::Home;
use crate::error::SignError;
use crate::inventory::{ListedKey, Listing, LogIn};
use crate::secrets::Secrets;
use crate::uri::{KeyUri, Pkcs11Uri};

/// Most key objects of a class looked at in a token. Smart cards hold dozens; a token with more is
/// not one that people choose a key from.
const MAX_KEYS: usize = 128;

/// Lists the tokens of a library, or the one in `slot`.
pub(crate) fn inventory(
    module: Option<&Path>,
    slot: Option<u64>,
    log_in: LogIn,
    secrets: &Secrets,
) -> Result<Vec<Listing>, SignError> {
    let mut base = Pkcs11Uri {
        module_path: module.map(|path| secrets.resolve(path)),
        ..Pkcs11Uri::default()
    };
    let module = Module::load(&base, secrets)?;
    if let Some(path) = &mut base.module_path
        && let Ok(absolute) = std::path::absolute(&*path)
    {
        // To be pasted into configuration elsewhere.
        *path = absolute;
    }
    let neighbours: Vec<Token> = match slots(&module, None) {
        Ok(all) => all
            .into_iter()
            .filter_map(|slot| Token::in_slot(&module, slot).ok())
            .collect(),
        Err(_) if slot.is_some() => Vec::new(),
        Err(error) => return Err(error),
    };
    let list = |slot: Slot| match Token::in_slot(&module, slot) {
        Err(error) => unreadable(slot, describe(&error)),
        Ok(token) => {
            let uri = token_uri(&base, &token, &neighbours);
            list_token(&token, &uri, log_in, secrets)
        }
    };
    Ok(slots(&module, slot)?.into_iter().map(list).collect())
}

/// A slot whose token the library cannot ask.
fn unreadable(slot: Slot, problem: String) -> Listing {
    Listing {
        home: Home::Token {
            label: String::new(),
            serial: String::new(),
            model: String::new(),
        },
        manufacturer: String::new(),
        slot: Some(slot.id()),
        logged_in: false,
        problem: Some(problem),
        keys: Vec::new(),
    }
}

/// As few attributes as tell the token from its neighbours: people read and type them.
fn token_uri(base: &Pkcs11Uri, token: &Token, neighbours: &[Token]) -> Pkcs11Uri {
    let by_slot = Pkcs11Uri {
        slot_id: Some(token.slot.id()),
        ..base.clone()
    };
    let Some(info) = &token.info else {
        return by_slot;
    };
    let by_label = Pkcs11Uri {
        token: Some(info.label().into()),
        ..base.clone()
    };
    let by_serial = Pkcs11Uri {
        serial: Some(info.serial_number().into()),
        ..by_label.clone()
    };
    let one_matches = |uri: &Pkcs11Uri| {
        let fits = |other: &&Token| other.is_initialized() && other.matches(uri);
        neighbours.iter().filter(fits).count() == 1
    };
    match () {
        () if !info.label().is_empty() && one_matches(&by_label) => by_label,
        () if !info.serial_number().is_empty() && one_matches(&by_serial) => by_serial,
        () => by_slot,
    }
}

fn list_token(token: &Token, uri: &Pkcs11Uri, log_in: LogIn, secrets: &Secrets) -> Listing {
    let mut listing = Listing {
        home: token.home(),
        manufacturer: (token.info.as_ref())
            .map_or("", TokenInfo::manufacturer_id)
            .into(),
        slot: Some(token.slot.id()),
        logged_in: false,
        problem: None,
        keys: Vec::new(),
    };
    if !token.is_initialized() {
        listing.problem = Some("this token is not initialised, so it has no keys yet".into());
        return listing;
    }
    let session = match token.open(Access::ReadOnly) {
        Ok(session) => session,
        Err(error) => {
            listing.problem = Some(error.to_string());
            return listing;
        }
    };
    let mut problems = Vec::new();
    if log_in == LogIn::Yes
        && let Err(error) = token.log_in(&session, uri, secrets)
    {
        problems.push(error.to_string());
    }
    listing.logged_in = token.is_open_to_user(&session);
    match keys(token, &session, uri, listing.logged_in, &mut problems) {
        Ok(keys) => listing.keys = keys,
        Err(error) => problems.push(error.to_string()),
    }
    listing
        .keys
        .sort_by(|a, b| (&a.label, &a.id).cmp(&(&b.label, &b.id)));
    listing.problem = Some(problems.join("; ")).filter(|all| !all.is_empty());
    listing
}

fn keys(
    token: &Token,
    session: &Session,
    uri: &Pkcs11Uri,
    logged_in: bool,
    problems: &mut Vec<String>,
) -> Result<Vec<ListedKey>, SignError> {
    let private = objects(token, session, ObjectClass::PRIVATE_KEY, problems)?;
    let public = objects(token, session, ObjectClass::PUBLIC_KEY, problems)?;
    let paired: BTreeSet<Partner> = private.iter().map(partner).collect();
    let lone = public.iter().filter(|key| !paired.contains(&partner(key)));
    let lone: Vec<&Attributes> = lone.collect();
    // Public keys without a private half count too: that may only be invisible.
    let names = Names::of(private.iter().chain(lone.iter().copied()));
    let listed = |key: &Attributes, public: Option<PublicKey>, unusable| ListedKey {
        label: String::from_utf8_lossy(&key.label).into_owned(),
        id: key.id.clone(),
        kind: key.kind(public.as_ref()),
        public,
        custody: None,
        uri: names.uri(uri, key),
        unusable,
    };
    let whole = private.iter().map(|key| {
        let (public, wrong) = match key::public_half(token, session, key) {
            Ok(Ok(public)) => (Some(public), None),
            Ok(Err(problem)) => (None, Some(problem)),
            Err(error) => (None, Some(error.to_string())),
        };
        let unusable = names.problem(key).or(wrong);
        let unusable = unusable.or_else(|| unusable_for(token, key, public.as_ref()));
        ListedKey {
            custody: Some(key::custody(token, key)),
            ..listed(key, public, unusable)
        }
    });
    let halves = lone.iter().map(|key| {
        let (public, wrong) = match key.public_key() {
            Ok(public) => (Some(public), None),
            Err(problem) => (None, Some(problem)),
        };
        let unusable = match logged_in {
            true => Some("its private half is not in this token".into()),
            false => names.problem(key).or(wrong),
        };
        listed(key, public, unusable)
    });
    Ok(whole.chain(halves).collect())
}

/// How many keys have a label, and how many the same label and id.
struct Names {
    labels: BTreeMap<Vec<u8>, usize>,
    pairs: BTreeMap<(Vec<u8>, Vec<u8>), usize>,
}

impl Names {
    fn of<'a>(keys: impl Iterator<Item = &'a Attributes>) -> Self {
        let (mut labels, mut pairs) = (BTreeMap::new(), BTreeMap::new());
        for key in keys {
            *labels.entry(key.label.clone()).or_default() += 1;
            let pair = (key.label.clone(), key.id.clone());
            *pairs.entry(pair).or_default() += 1;
        }
        Self { labels, pairs }
    }

    /// The label if that is enough, else the id too. A list that was cut may hide another key of
    /// this label; the error of `open` then says what to add.
    fn uri(&self, token: &Pkcs11Uri, key: &Attributes) -> String {
        let label = key.label_text();
        let enough = label.is_some() && self.labels.get(&key.label) == Some(&1);
        let uri = Pkcs11Uri {
            object: label.map(str::to_owned),
            id: key.id().filter(|_| !enough).map(<[u8]>::to_vec),
            ..token.clone()
        };
        KeyUri::Pkcs11(uri).to_string()
    }

    /// Why no URI can name the key.
    fn problem(&self, key: &Attributes) -> Option<String> {
        if key.label_text().is_none() && key.id().is_none() {
            return Some("it has neither a label nor an id to name it by".into());
        }
        let pair = (key.label.clone(), key.id.clone());
        let twins = self.pairs.get(&pair).is_some_and(|twins| *twins > 1);
        twins.then(|| "another key has the same label and id".into())
    }
}

/// What a public key has in common with its private half: the type, and the id or else the label.
type Partner = (Option<u64>, Vec<u8>, Vec<u8>);

fn partner(key: &Attributes) -> Partner {
    let label = match key.id.is_empty() {
        true => key.label.clone(),
        false => Vec::new(),
    };
    (key.key_type.map(|kind| *kind), key.id.clone(), label)
}

/// The keys of a class, and in `problems` what is missing from them.
fn objects(
    token: &Token,
    session: &Session,
    class: ObjectClass,
    problems: &mut Vec<String>,
) -> Result<Vec<Attributes>, SignError> {
    let mut found = search(token, session, class, None, None, MAX_KEYS + 1)?;
    if found.len() > MAX_KEYS {
        found.truncate(MAX_KEYS);
        problems.push(format!("it has more keys; {MAX_KEYS} are listed"));
    }
    let mut read = Vec::new();
    for handle in found {
        match key::read(token, session, handle) {
            Ok(attributes) => read.push(attributes),
            Err(error) => problems.push(error.to_string()),
        }
    }
    Ok(read)
}

/// What `open` would say.
fn unusable_for(token: &Token, key: &Attributes, public: Option<&PublicKey>) -> Option<String> {
    if let Err(why) = Purpose::Sign.refuse(key) {
        return Some(why.into());
    }
    if let Some(public) = public
        && let Err(error) = SignMechanism::choose(token, public.scheme(), key::log_ins(key))
    {
        return Some(error.to_string());
    }
    let fact = key.bound_to_token().err()?;
    Some(format!(
        "it is not bound to its token ({fact}); ?x-extractable=allow accepts that"
    ))
}
