//! Lists of cases, one name on a line.

use std::collections::BTreeSet;

/// The names on a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaseList(BTreeSet<String>);

impl CaseList {
    /// Reads a list: one name on each line, empty lines, and comments from `#` on.
    ///
    /// # Errors
    /// The first name that is not one of `names`, or that nothing is listed.
    pub fn from_text(text: &str, names: &[&str]) -> Result<Self, String> {
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim());
        let listed: BTreeSet<&str> = lines.filter(|name| !name.is_empty()).collect();
        if let Some(name) = listed.iter().find(|name| !names.contains(*name)) {
            return Err(format!("there is no case {name} to run"));
        }
        if listed.is_empty() {
            return Err("no case is listed".into());
        }
        Ok(Self(listed.into_iter().map(String::from).collect()))
    }

    /// Whether `name` is listed.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// The list as text, behind the comment that `former`, the text that it replaces, begins with.
    pub fn to_text(&self, former: &str) -> String {
        let comment = former.lines().take_while(|line| line.starts_with('#'));
        comment
            .chain(self.0.iter().map(String::as_str))
            .map(|line| format!("{line}\n"))
            .collect()
    }
}

impl FromIterator<String> for CaseList {
    fn from_iter<T: IntoIterator<Item = String>>(names: T) -> Self {
        Self(names.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_names_comments_and_empty_lines() {
        let list = CaseList::from_text("# made by\n\n a/b # why\na/c\n", &["a/b", "a/c", "a/d"]);
        let list = list.expect("a list");
        assert!(list.contains("a/b") && list.contains("a/c"));
        assert!(!list.contains("a/d"));
    }

    #[test]
    fn a_name_that_is_no_case_is_named() {
        let error = CaseList::from_text("a/b\na/x\n", &["a/b"]).expect_err("no such case");
        assert_eq!(error, "there is no case a/x to run");
        assert!(CaseList::from_text("# nothing\n", &["a/b"]).is_err());
    }

    #[test]
    fn a_list_that_is_written_again_keeps_its_comment() {
        let list: CaseList = ["b/c", "a/b"].map(String::from).into_iter().collect();
        let text = list.to_text("# made by\n# hand\na/x\n# not at the top\n");
        assert_eq!(text, "# made by\n# hand\na/b\nb/c\n");
        assert_eq!(list.to_text(""), "a/b\nb/c\n");
    }
}
