//! What was expected against what was seen.

use std::collections::BTreeSet;
use std::fmt::Debug;

use super::Observed;
use crate::format::{Expect, TrustedFile, Verdict};
use crate::tree::Files;

/// Every difference, in a sentence each.
pub(super) fn problems(expect: &Expect, seen: &Observed, files: &Files) -> Vec<String> {
    let mut problems = Vec::new();
    if expect.verdict != seen.verdict {
        problems.push(match seen.verdict {
            Verdict::Accept => "accepted, must be rejected".to_string(),
            Verdict::Reject => format!("rejected, must be accepted; {}", said(seen)),
        });
        // Everything else follows from that.
        return problems;
    }
    problems.extend(refusal(expect, seen));
    for (role, file) in &expect.trusted {
        problems.extend(trusted(role, file.as_ref(), seen, files));
    }
    if let Some(requests) = expect
        .requests
        .as_ref()
        .filter(|list| **list != seen.requests)
    {
        let (expected, found) = (requests.join(" "), seen.requests.join(" "));
        problems.push(format!("asked for [{found}], must ask for [{expected}]"));
    }
    let downloads: BTreeSet<&String> = expect.downloads.values().collect();
    if downloads != seen.downloads.iter().collect() {
        let (found, expected) = (seen.downloads.len(), downloads.len());
        problems.push(format!(
            "the {found} downloaded targets are not the {expected} expected ones; {}",
            said(seen)
        ));
    }
    let mut assigned = seen.assigned.clone();
    if let Some(assigned) = &mut assigned {
        assigned.sort();
    }
    problems.extend(differs(
        "assigns",
        expect.assigned.as_ref(),
        assigned.as_ref(),
    ));
    problems.extend(differs(
        "runs",
        expect.installed.as_ref(),
        seen.installed.as_ref(),
    ));
    problems.extend(differs(
        "heard nothing new of",
        expect.stale.as_ref(),
        seen.stale.as_ref(),
    ));
    problems.extend(differs(
        "heard of attacks",
        expect.attacks.as_ref(),
        seen.attacks.as_ref(),
    ));
    problems
}

/// What only some clients tell, where it is not as expected.
fn differs<T: PartialEq + Debug>(
    what: &str,
    expected: Option<&T>,
    seen: Option<&T>,
) -> Option<String> {
    let (expected, seen) = (expected?, seen?);
    (expected != seen).then(|| format!("{what} {seen:?}, must be {expected:?}"))
}

fn said(seen: &Observed) -> String {
    match seen.messages.trim() {
        "" => "the client said nothing".into(),
        messages => format!("the client said: {messages}"),
    }
}

fn refusal(expect: &Expect, seen: &Observed) -> Vec<String> {
    // Only clients that share our codes can be asked why.
    let Some(refusal) = &seen.refusal else {
        return Vec::new();
    };
    let (cause, repository) = (refusal.cause.as_ref(), refusal.repository.as_ref());
    let facts = [
        ("code", &expect.code, Some(&refusal.code)),
        ("role", &expect.role, Some(&refusal.role)),
        ("attack", &expect.attack, Some(&refusal.attack)),
        ("cause", &expect.cause, cause.or(expect.cause.as_ref())),
        (
            "repository",
            &expect.repository,
            repository.or(expect.repository.as_ref()),
        ),
    ];
    facts
        .into_iter()
        .filter_map(|(what, expected, found)| {
            let differs = expected.is_some() && expected.as_ref() != found;
            let (expected, found) = (expected.as_deref()?, found.map_or("none", |text| text));
            differs.then(|| {
                format!(
                    "rejected with {what} {found}, must be {expected}; {}",
                    said(seen)
                )
            })
        })
        .collect()
}

fn trusted(
    role: &str,
    expected: Option<&TrustedFile>,
    seen: &Observed,
    files: &Files,
) -> Option<String> {
    let Some(found) = seen.trusted.get(role) else {
        let expected = expected?;
        return Some(format!(
            "trusts no {role}, must trust version {}",
            expected.version
        ));
    };
    let version = version_of(found);
    let Some(expected) = expected else {
        return Some(format!(
            "trusts version {version} of {role}, must trust none"
        ));
    };
    let same = files.get(&expected.file) == Some(found);
    (!same).then(|| {
        format!(
            "trusts version {version} of {role}, must trust version {}, the bytes of {}",
            expected.version, expected.file
        )
    })
}

fn version_of(file: &[u8]) -> String {
    let file: serde_json::Value = serde_json::from_slice(file).unwrap_or_default();
    file["signed"]["version"].to_string()
}
