//! Spans of time as people write them.

use std::time::Duration;

use serde::Deserialize;
use serde::de::Error as _;

/// A number and a unit: `90s`, `15m`, `12h`, `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(u32);

impl Span {
    pub(super) fn seconds(self) -> i64 {
        self.0.into()
    }

    pub(super) fn duration(self) -> Duration {
        Duration::from_secs(self.0.into())
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        let number: u32 = number.parse().ok()?;
        let seconds = number.checked_mul(unit)?;
        (seconds > 0).then_some(Self(seconds))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no span of time; write 30d, 12h, 15m or 90s"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        let seconds = |text| Span::parse(text).map(Span::seconds);
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("30d"), Some(30 * 86_400));
        for text in [
            "",
            "s",
            "30",
            "0d",
            "-1d",
            "1.5h",
            "1 d",
            "1w",
            "99999999d",
            "1ä",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
