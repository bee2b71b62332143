//! Known deviations of a client, each with its reason.

use std::collections::BTreeMap;

use super::CaseResult;

/// Case names and why the client is known to fail them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exceptions(BTreeMap<String, String>);

/// What a result means, once the exceptions are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// As expected.
    Passed,
    /// Not as expected.
    Failed(Vec<String>),
    /// Not as expected, for a known reason.
    Excepted(String),
    /// As expected, although an exception says otherwise: it has to go.
    UnexpectedSuccess(String),
}

impl Exceptions {
    /// Reads a TOML file of lines `"AREA/NAME" = "reason"`.
    ///
    /// # Errors
    /// What is wrong with it: an unknown shape, an empty reason, or a case that `names` does not
    /// have.
    pub fn from_toml(text: &str, names: &[&str]) -> Result<Self, String> {
        let table: BTreeMap<String, String> =
            toml::from_str(text).map_err(|error| error.to_string())?;
        for (name, reason) in &table {
            if !names.contains(&name.as_str()) {
                return Err(format!("there is no case {name}"));
            }
            if reason.trim().is_empty() {
                return Err(format!("the exception for {name} needs a reason"));
            }
        }
        Ok(Self(table))
    }

    /// What `result` means.
    pub fn judge(&self, result: &CaseResult) -> Status {
        match (self.0.get(&result.name), result.problems.is_empty()) {
            (None, true) => Status::Passed,
            (None, false) => Status::Failed(result.problems.clone()),
            (Some(reason), false) => Status::Excepted(reason.clone()),
            (Some(reason), true) => Status::UnexpectedSuccess(reason.clone()),
        }
    }
}

impl Status {
    /// Whether a run with this status is a good run.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Passed | Self::Excepted(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(problems: &[&str]) -> CaseResult {
        CaseResult {
            name: "a/b".into(),
            problems: problems.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn an_exception_that_is_not_needed_is_a_failure() {
        let exceptions = Exceptions::from_toml("'a/b' = 'not built yet'", &["a/b"]).expect("TOML");
        assert!(exceptions.judge(&result(&["x"])).is_good());
        assert!(!exceptions.judge(&result(&[])).is_good());
        assert!(!Exceptions::default().judge(&result(&["x"])).is_good());
    }

    #[test]
    fn exceptions_name_a_case_and_a_reason() {
        assert!(Exceptions::from_toml("'a/c' = 'why'", &["a/b"]).is_err());
        assert!(Exceptions::from_toml("'a/b' = ' '", &["a/b"]).is_err());
        assert!(Exceptions::from_toml("'a/b' = 1", &["a/b"]).is_err());
    }
}
