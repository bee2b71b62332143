//! Tokens for the admin API: who may do what, to whose vehicles, and until when.
//!
//! A token is `cst_ID_SECRET`. The id says which one it is, in lists and in the audit log; the secret is 32
//! random bytes, of which only the SHA-256 is kept. No salt and no slow hash: those make up for what people
//! choose, and nobody goes through 2^256 secrets, however fast the hash is.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use countersign_metadata::{UtcTime, sha256};
use zeroize::Zeroizing;

use crate::problem::{Kind, Problem};
use crate::service::{Actor, random, record};
use crate::storage::{Database, StoredToken};

/// Days for which a token is good if nothing else is said.
pub const DAYS: u32 = 90;
/// Days for which one can be good at most.
pub const MOST_DAYS: u32 = 366;
/// Characters of a token's or a tenant's name.
pub const MAX_NAME: usize = 64;

const PREFIX: &str = "cst_";
/// Random bytes of an id.
const ID: usize = 8;
/// Random bytes of a secret.
const SECRET: usize = 32;
const DAY: i64 = 86_400;

/// What a token may be good for. None of them includes another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Look at vehicles, their history, and images.
    Read,
    /// Announce, approve, hold and release vehicles; their certificates.
    Vehicles,
    /// Order images and take orders back.
    Assign,
    /// List and upload images.
    Images,
    /// Tokens, Roots, the audit log, the state of the Director.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Read,
        Self::Vehicles,
        Self::Assign,
        Self::Images,
        Self::Admin,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Vehicles => "vehicles",
            Self::Assign => "assign",
            Self::Images => "images",
            Self::Admin => "admin",
        }
    }

    /// Whether it is about what all tenants share.
    fn is_shared(self) -> bool {
        matches!(self, Self::Images | Self::Admin)
    }
}

impl FromStr for Scope {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let found = Self::ALL.into_iter().find(|scope| scope.name() == text);
        found.ok_or_else(|| {
            let all = Self::ALL.map(Self::name).join(", ");
            Problem::bad_request(format!("there is no scope {text:?}; there are {all}"))
        })
    }
}

/// A token that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// What people call it.
    pub name: String,
    /// Whose vehicles it is good for; all if there is none.
    pub tenant: Option<String>,
    /// What it is good for.
    pub scopes: BTreeSet<Scope>,
    /// Days for which it is good.
    pub days: u32,
}

/// The text of a token. It is shown to whoever made it, once, and never logged.
#[derive(Clone)]
pub struct TokenText(Zeroizing<String>);

impl TokenText {
    /// The text, for the one to whom it is given.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(..)")
    }
}

/// Who shows a token that is good now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The id of the token.
    pub id: String,
    /// Whose vehicles it is good for; all if there is none.
    pub tenant: Option<String>,
    /// What it is good for.
    pub scopes: BTreeSet<Scope>,
}

impl Holder {
    /// For the audit log.
    pub fn actor(&self) -> Actor {
        Actor(format!("token:{}", self.id))
    }

    /// Whether the token is good for vehicles of this tenant.
    pub fn sees(&self, tenant: &str) -> bool {
        self.tenant.as_deref().is_none_or(|own| own == tenant)
    }
}

/// Makes a token. It is good at once, and its text is not to be had again.
///
/// # Errors
/// [`Problem`]
pub async fn make(
    database: &Database,
    new: &NewToken,
    now: UtcTime,
    actor: &Actor,
) -> Result<(StoredToken, TokenText), Problem> {
    check_new(new)?;
    let (id, secret) = (random::<ID>()?, random::<SECRET>()?);
    let ends = now.plus_seconds(i64::from(new.days) * DAY);
    let scopes: Vec<&str> = new.scopes.iter().map(|scope| scope.name()).collect();
    let stored = StoredToken {
        id: hex::encode(*id),
        name: new.name.clone(),
        tenant: new.tenant.clone(),
        scopes: scopes.join(" "),
        digest: hex::encode(sha256(&*secret)),
        created: now,
        expires: ends.ok_or_else(|| Problem::unavailable("the director's clock is off"))?,
        revoked: None,
    };
    let detail = [
        ("id", stored.id.as_str().into()),
        ("name", new.name.as_str().into()),
        ("scopes", stored.scopes.as_str().into()),
        ("tenant", new.tenant.clone().unwrap_or_default().into()),
        ("expires", stored.expires.to_string().into()),
    ];
    let record = record(now, actor, "token.made", None, detail);
    database.add_token(&stored, &[record]).await?;
    let secret = Zeroizing::new(hex::encode(*secret));
    let text = Zeroizing::new(format!("{PREFIX}{}_{}", stored.id, *secret));
    Ok((stored, TokenText(text)))
}

/// Who shows this token, if it is good now.
///
/// # Errors
/// [`Problem`]: the same one whatever is wrong with it, after the same work for any id.
pub async fn check(database: &Database, text: &str, now: UtcTime) -> Result<Holder, Problem> {
    let (id, secret) = parse(text).ok_or_else(refused)?;
    let shown = hex::encode(sha256(&*secret));
    let stored = database.token(id).await?;
    let digest = stored.as_ref().map_or("", |stored| &stored.digest);
    // What is compared are digests: how long it takes tells nothing of a secret that is not known.
    if shown != digest {
        return Err(refused());
    }
    let good = |stored: &StoredToken| stored.revoked.is_none() && now < stored.expires;
    let stored = stored.filter(good).ok_or_else(refused)?;
    let scopes = stored.scopes.split_whitespace().map(Scope::from_str);
    Ok(Holder {
        id: stored.id,
        tenant: stored.tenant,
        scopes: scopes.collect::<Result<_, _>>()?,
    })
}

/// Ends a token for ever, at once.
///
/// # Errors
/// [`Problem`] if there is none with this id that was good until now.
pub async fn revoke(
    database: &Database,
    id: &str,
    now: UtcTime,
    actor: &Actor,
) -> Result<(), Problem> {
    let record = record(now, actor, "token.revoked", None, [("id", id.into())]);
    match database.revoke_token(id, now, &[record]).await? {
        true => Ok(()),
        false => Err(Problem::missing(format!("token {id} that is not revoked"))),
    }
}

/// Whether a tenant can be called so: 1 to 64 letters, digits and `-._`, a letter or digit first.
pub fn is_tenant(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(allowed)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
}

fn check_new(new: &NewToken) -> Result<(), Problem> {
    let named = (1..=MAX_NAME).contains(&new.name.chars().count());
    if !named || new.name.chars().any(char::is_control) {
        return Err(Problem::bad_request(format!(
            "a token's name has 1 to {MAX_NAME} characters, none of them a control character"
        )));
    }
    if new.scopes.is_empty() {
        return Err(Problem::bad_request("a token has at least one scope"));
    }
    if !(1..=MOST_DAYS).contains(&new.days) {
        return Err(Problem::bad_request(format!(
            "a token is good for 1 to {MOST_DAYS} days"
        )));
    }
    let Some(tenant) = &new.tenant else {
        return Ok(());
    };
    if !is_tenant(tenant) {
        return Err(Problem::bad_request(format!(
            "{tenant:?} is no tenant: write letters, digits and -._"
        )));
    }
    match new.scopes.iter().find(|scope| scope.is_shared()) {
        Some(scope) => Err(Problem::bad_request(format!(
            "the scope {} is about what all tenants share; make a token without a tenant",
            scope.name()
        ))),
        None => Ok(()),
    }
}

fn parse(text: &str) -> Option<(&str, Zeroizing<[u8; SECRET]>)> {
    let (id, digits) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let mut secret = Zeroizing::new([0; SECRET]);
    hex::decode_to_slice(digits, &mut *secret).ok()?;
    (id.len() == 2 * ID && id.bytes().all(is_hex)).then_some((id, secret))
}

fn refused() -> Problem {
    let message = "show a token that is good: Authorization: Bearer cst_...";
    Problem::new(Kind::Unauthenticated, "token", message)
}
