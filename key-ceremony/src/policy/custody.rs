//! What the policy says of keys and of how they are kept.

use std::fmt;

use countersign_signing::Weakness;

use super::{BEST_PRACTICES, Finding, Findings, HOUSE, Weight};
use crate::profile::Slot;
use crate::statement::CustodyFacts;

/// What is wrong with the custody of a key, and with where it was proved.
pub(crate) fn check_custody(slot: &Slot, online: bool, custody: &CustodyFacts) -> Vec<Finding> {
    let mut found = Findings::default();
    let subject = slot.to_string();
    for weakness in &custody.weaknesses {
        let is = |kind: Weakness| weakness == kind.name();
        let text = if is(Weakness::InFile) {
            "the private key is in a file, and nobody can know how many copies there are; make it \
             in a token"
        } else if is(Weakness::Extractable) {
            "the private key can leave its token, or the token does not say that it cannot; make \
             it non-extractable"
        } else if is(Weakness::NotSensitive) {
            "the token shows the plain private key, or does not say that it hides it; make it \
             sensitive"
        } else if is(Weakness::Imported) {
            "the private key was not made in its token, or the token does not say so: it may have \
             been outside once"
        } else {
            "the custody of the private key is weak"
        };
        match is(Weakness::Imported) {
            true => found.warn(weakness, &subject, text, HOUSE),
            false => found.refuse(weakness, &subject, text, BEST_PRACTICES),
        }
    }
    if custody.in_ci && !online {
        found.refuse(
            "offline-role-in-ci",
            &subject,
            "the key of an offline role was proved on a CI machine (the variable CI is set there); \
             offline keys never belong into CI",
            BEST_PRACTICES,
        );
    }
    found.0
}

/// One key in two places.
pub(crate) fn shared_key(slot: &impl fmt::Display, other: &impl fmt::Display) -> Finding {
    Finding {
        name: "shared-key".into(),
        weight: Weight::Refuse,
        subject: slot.to_string(),
        text: format!(
            "this is the key of {other} too, so that one theft would break both; give each role a \
             key of its own"
        ),
        source: format!("{BEST_PRACTICES}: every key unique across roles"),
    }
}

/// A key that was to be replaced, by itself.
pub(crate) fn old_key(slot: &Slot) -> Finding {
    Finding {
        name: "old-key".into(),
        weight: Weight::Refuse,
        subject: slot.to_string(),
        text: "the previous root lists this key for this role, so nothing would be replaced; make \
               a new one, or plan with its keyid if it is to stay"
            .into(),
        source: HOUSE.into(),
    }
}

/// Two Root keys in one device.
pub(crate) fn shared_home(slot: &Slot, other: &Slot, home: &str) -> Finding {
    Finding {
        name: "shared-token".into(),
        weight: Weight::Refuse,
        subject: slot.to_string(),
        text: format!(
            "the key is in the same place as that of {other} ({home}): whoever has it has both, \
             and the threshold means nothing; use a token for each holder"
        ),
        source: HOUSE.into(),
    }
}
