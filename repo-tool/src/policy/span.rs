//! Spans of time in `repo.toml`.

use std::time::Duration;

use countersign_metadata::UtcTime;
use serde::{Deserialize, Serialize};

/// A time span as people write it: `365d`, `12h`, `90m`, `1y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub(super) i64);

impl Span {
    /// The longest span, 100 years: metadata that never expires is no protection from freezing.
    pub const MAX: Self = Self(100 * 366 * 86_400);

    /// From seconds; `None` unless it is 1 second to [`Span::MAX`].
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        (1..=Self::MAX.0)
            .contains(&seconds)
            .then_some(Self(seconds))
    }

    /// In seconds.
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// The time this long after `now`.
    pub fn after(self, now: UtcTime) -> UtcTime {
        now.plus_seconds(self.0).unwrap_or(now)
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let advice = "write a span such as \"365d\", \"12h\" or \"1y\", of at most 100 years";
        let span = humantime::parse_duration(text).map_err(|error| format!("{error}; {advice}"))?;
        i64::try_from(span.as_secs())
            .ok()
            .and_then(Self::from_seconds)
            .ok_or_else(|| advice.to_owned())
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 % 86_400 {
            0 => write!(f, "{}d", self.0 / 86_400),
            _ => humantime::format_duration(Duration::from_secs(self.0.unsigned_abs())).fmt(f),
        }
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_bounds() {
        for text in ["", "0d", "7", "-1d", "101y", "d", "1 fortnight", "1e9d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        assert_eq!(
            "36h".parse::<Span>().expect("a span").to_string(),
            "1day 12h"
        );
    }
}
