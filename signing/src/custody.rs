//! Where the private half of a key can exist, as far as its home says.

use std::fmt::{self, Write as _};

/// Where a private key lives, and what keeps it there. Facts, not a judgement: whether a key in
/// such custody may be used for a role is the caller's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custody {
    /// What holds the key.
    pub home: Home,
    /// Whether the private half can leave; `None` if the home does not say.
    pub extractable: Option<bool>,
    /// Whether its plain value is hidden even from those who may use it; `None` if not said.
    pub sensitive: Option<bool>,
    /// Whether it was generated where it is, rather than imported, and was never without the two
    /// protections above; `None` if not said. Of a PKCS#11 key: `CKA_LOCAL` holds, and neither
    /// `CKA_NEVER_EXTRACTABLE` nor `CKA_ALWAYS_SENSITIVE` is false.
    pub made_inside: Option<bool>,
}

/// What holds a private key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Home {
    /// A file, named by its path.
    File(String),
    /// A PKCS#11 token.
    Token {
        /// CK_TOKEN_INFO.label
        label: String,
        /// CK_TOKEN_INFO.serialNumber
        serial: String,
        /// CK_TOKEN_INFO.model
        model: String,
    },
    /// A YubiHSM 2, by its serial number.
    YubiHsm {
        /// Ten digits.
        serial: String,
    },
}

/// What may let a private key exist elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Weakness {
    /// It is in a file, which can be copied.
    InFile,
    /// Its home lets it leave, or does not say that it cannot.
    Extractable,
    /// Its home shows its plain value, or does not say that it is hidden.
    NotSensitive,
    /// It came from outside, or its home does not say that it was generated there.
    Imported,
}

impl Weakness {
    /// A stable name for reports and scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::InFile => "key-in-file",
            Self::Extractable => "key-extractable",
            Self::NotSensitive => "key-not-sensitive",
            Self::Imported => "key-imported",
        }
    }
}

impl Custody {
    /// Of a key file.
    pub(crate) fn file(path: &std::path::Path) -> Self {
        Self {
            home: Home::File(path.display().to_string()),
            extractable: Some(true),
            sensitive: Some(false),
            made_inside: None,
        }
    }

    /// All that may let the key exist elsewhere. What a token does not say counts as weak.
    pub fn weaknesses(&self) -> Vec<Weakness> {
        if matches!(self.home, Home::File(_)) {
            return vec![Weakness::InFile];
        }
        let found = [
            (self.extractable != Some(false), Weakness::Extractable),
            (self.sensitive != Some(true), Weakness::NotSensitive),
            (self.made_inside != Some(true), Weakness::Imported),
        ];
        let found = found.into_iter().filter(|(weak, _)| *weak);
        found.map(|(_, weakness)| weakness).collect()
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", Inert(path)),
            Self::Token {
                label,
                serial,
                model,
            } => write!(
                f,
                "token {label:?} ({}, serial {})",
                Inert(model),
                Inert(serial)
            ),
            Self::YubiHsm { serial } => write!(f, "YubiHSM 2, serial {}", Inert(serial)),
        }
    }
}

/// Text of a token's own, or a path, with nothing in it that a terminal would obey.
struct Inert<'a>(&'a str);

impl fmt::Display for Inert<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            // There are no quotes around it that they could end.
            '"' | '\'' | '\\' => f.write_char(letter),
            _ => write!(f, "{}", letter.escape_debug()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_weak() {
        let token = |extractable, sensitive, made_inside| Custody {
            home: Home::YubiHsm {
                serial: "0123456789".into(),
            },
            extractable,
            sensitive,
            made_inside,
        };
        assert_eq!(token(Some(false), Some(true), Some(true)).weaknesses(), []);
        let all = [
            Weakness::Extractable,
            Weakness::NotSensitive,
            Weakness::Imported,
        ];
        assert_eq!(token(None, None, None).weaknesses(), all);
        assert_eq!(
            token(Some(true), Some(false), Some(false)).weaknesses(),
            all
        );
        let file = Custody::file(std::path::Path::new("a.pem"));
        assert_eq!(file.weaknesses(), [Weakness::InFile]);
    }

    #[test]
    fn a_token_does_not_steer_the_terminal() {
        let home = Home::Token {
            label: "a\u{202e}".into(),
            serial: "1\u{1b}[2J".into(),
            model: "Bob's \u{200b}v2\n".into(),
        };
        let shown = r#"token "a\u{202e}" (Bob's \u{200b}v2\n, serial 1\u{1b}[2J)"#;
        assert_eq!(home.to_string(), shown);
        let file = Home::File("gr\u{fc}n/a\u{9b}.pem".into());
        assert_eq!(file.to_string(), "file gr\u{fc}n/a\\u{9b}.pem");
    }
}
