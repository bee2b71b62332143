//! UTC time to the second, as metadata writes it.

use core::fmt;
use core::str::FromStr;

use crate::error::MetadataError;

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcTime(i64);

impl UtcTime {
    /// 1970-01-01T00:00:00Z.
    pub(crate) const EPOCH: Self = Self(0);

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

const DAY: i64 = 86_400;

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.0.div_euclid(DAY));
        let second = self.0.rem_euclid(DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// `YYYY-MM-DDTHH:MM:SSZ` and nothing else (TUF 4.2).
impl FromStr for UtcTime {
    type Err = MetadataError;

    fn from_str(text: &str) -> Result<Self, MetadataError> {
        read(text)
            .ok_or_else(|| MetadataError::field("date-time", "must look like 2030-01-31T23:59:59Z"))
    }
}

fn read(text: &str) -> Option<UtcTime> {
    let bytes: [u8; 20] = text.as_bytes().try_into().ok()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', rest @ ..] = bytes else {
        return None;
    };
    let [h1, h2, b':', n1, n2, b':', s1, s2, b'Z'] = rest else {
        return None;
    };
    let (year, month, day) = (
        number(&[y1, y2, y3, y4])?,
        number(&[m1, m2])?,
        number(&[d1, d2])?,
    );
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?);
    let of_day = hour < 24 && minute < 60 && second < 60;
    let days = days_to(year, month, day);
    // A date that there is comes back from its number.
    (of_day && date_of(days) == (year, month, day))
        .then_some(UtcTime(days * DAY + hour * 3600 + minute * 60 + second))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        Some(number * 10 + i64::from(digit))
    })
}

// The Gregorian calendar repeats itself after 400 years of 146,097 days. Years are counted from March,
// so that the day that a leap year has more is its last. 0000-03-01 is 719,468 days before 1970-01-01.

const ERA: i64 = 146_097;
const MARCH_0000: i64 = 719_468;

/// Days from 1970-01-01 to a date of the years 0 to 9999 with a month and a day below 100.
fn days_to(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(matches!(month, 1 | 2));
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - MARCH_0000
}

/// Year, month and day that are so many days after 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + MARCH_0000;
    let (era, of_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = (month + 2) % 12 + 1;
    (
        era * 400 + year + i64::from(matches!(month, 1 | 2)),
        month,
        day,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use chrono::{DateTime, NaiveDate};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_second_reads_as_a_calendar_library_reads_it(
            seconds in -62_167_219_200..=253_402_300_799_i64,
        ) {
            let text = UtcTime(seconds).to_string();
            let other = DateTime::from_timestamp(seconds, 0).expect("in range");
            prop_assert_eq!(&text, &other.format("%Y-%m-%dT%H:%M:%SZ").to_string());
            prop_assert_eq!(text.parse(), Ok(UtcTime(seconds)));
        }
    }

    #[test]
    fn every_date_of_four_centuries_is_one_or_is_not() {
        for (year, month, day) in (1900..2301).flat_map(|year| {
            (0..14).flat_map(move |month| (0..33).map(move |day| (year, month, day)))
        }) {
            let text = alloc::format!("{year:04}-{month:02}-{day:02}T12:34:56Z");
            let date = NaiveDate::from_ymd_opt(year, month, day);
            assert_eq!(text.parse::<UtcTime>().is_ok(), date.is_some(), "{text}");
        }
    }

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
