//! UTC time to the second, as metadata writes it.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use chrono::{DateTime, NaiveDateTime};

use crate::error::MetadataError;

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcTime(i64);

impl UtcTime {
    /// From Unix seconds; any value that has a date with a four-digit year.
    pub fn from_unix(seconds: i64) -> Option<Self> {
        let year_ok = (-62_167_219_200..=253_402_300_799).contains(&seconds);
        year_ok.then_some(Self(seconds))
    }

    /// Unix seconds.
    pub fn unix(self) -> i64 {
        self.0
    }

    /// This time plus `seconds`, or `None` outside the four-digit years.
    pub fn plus_seconds(self, seconds: i64) -> Option<Self> {
        Self::from_unix(self.0.checked_add(seconds)?)
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp(self.0, 0) {
            Some(time) => write!(f, "{}", time.format("%Y-%m-%dT%H:%M:%SZ")),
            None => write!(f, "{} s since 1970", self.0),
        }
    }
}

/// `YYYY-MM-DDTHH:MM:SSZ` and nothing else (TUF 4.2).
impl FromStr for UtcTime {
    type Err = MetadataError;

    fn from_str(text: &str) -> Result<Self, MetadataError> {
        let bad = || MetadataError::field("date-time", "must look like 2030-01-31T23:59:59Z");
        let digit = |c: char| if c.is_ascii_digit() { '9' } else { c };
        if text.chars().map(digit).collect::<String>() != "9999-99-99T99:99:99Z" {
            return Err(bad());
        }
        let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%SZ").map_err(|_| bad())?;
        // chrono reads second 60 as a leap second; metadata has none.
        match text.ends_with(":60Z") {
            true => Err(bad()),
            false => Ok(Self(time.and_utc().timestamp())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn reads_what_it_writes() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2028-02-29T23:59:59Z",
            "9999-12-31T23:59:59Z",
        ] {
            let time: UtcTime = text.parse().expect(text);
            assert_eq!(time.to_string(), text);
        }
    }

    #[test]
    fn refuses_other_spellings() {
        for text in [
            "",
            "2030-01-01",
            "2030-01-01T00:00:00",
            "2030-01-01T00:00:00+00:00",
            "2030-01-01 00:00:00Z",
            "2030-13-01T00:00:00Z",
            "2030-02-30T00:00:00Z",
            "2030-01-01T24:00:00Z",
            "2030-01-01T00:00:60Z",
            "02030-01-01T00:00:00Z",
            "+2030-01-01T00:00:00Z",
            "2030-01-01T00:00:00.Z",
            "2030-01-01T00:00:00.5Z",
            "2030-01-01T00:00:00.12a4Z",
            "２030-01-01T00:00:00Z",
        ] {
            assert!(text.parse::<UtcTime>().is_err(), "{text}");
        }
    }
}
