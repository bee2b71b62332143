//! A writer of HTML in which text cannot become markup.

use countersign_repo::visible;

/// Every rule of the page. No rule loads anything.
pub(crate) const STYLE: &str = include_str!("page.css");

/// A page that is being written.
///
/// Tags are written in the source, as `name` or `name.class`; everything else goes through
/// [`Page::text`], which escapes it.
pub(crate) struct Page {
    html: String,
}

impl Page {
    /// Begins a page. Each printed sheet of it bears `mark`: letters, digits, spaces and hyphens.
    pub(crate) fn new(title: &str, mark: &str) -> Self {
        let mut page = Self {
            // Should markup ever slip in, a browser still runs and loads nothing.
            html: "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
                   <meta http-equiv=\"Content-Security-Policy\" \
                   content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
                .into(),
        };
        page.put("title", title);
        let plain = |letter: &char| letter.is_ascii_alphanumeric() || " -".contains(*letter);
        let mark: String = mark.chars().filter(plain).collect();
        page.html.push_str(&format!(
            "<style>\n{STYLE}@page {{ @bottom-left {{ content: \"{mark}\" }} }}\n\
             </style>\n</head>\n<body>\n"
        ));
        page
    }

    /// The whole page.
    pub(crate) fn finish(mut self) -> String {
        self.html.push_str("</body>\n</html>\n");
        self.html
    }

    /// An element with what `fill` writes.
    pub(crate) fn within(&mut self, tag: &'static str, fill: impl FnOnce(&mut Self)) {
        let (name, class) = tag.split_once('.').unwrap_or((tag, ""));
        self.html.push_str(&match class {
            "" => format!("<{name}>"),
            _ => format!("<{name} class=\"{class}\">"),
        });
        fill(self);
        self.html.push_str(&format!("</{name}>"));
        if !matches!(name, "b" | "span" | "td" | "th") {
            self.html.push('\n');
        }
    }

    /// An element with text.
    pub(crate) fn put(&mut self, tag: &'static str, text: &str) {
        self.within(tag, |page| page.text(text));
    }

    /// Text, as it is meant to be read.
    pub(crate) fn text(&mut self, text: &str) {
        for letter in visible::text(text).chars() {
            match letter {
                '&' => self.html.push_str("&amp;"),
                '<' => self.html.push_str("&lt;"),
                '>' => self.html.push_str("&gt;"),
                '"' => self.html.push_str("&quot;"),
                '\'' => self.html.push_str("&#39;"),
                _ => self.html.push(letter),
            }
        }
    }

    /// A row of headings.
    pub(crate) fn headings(&mut self, cells: &[&str]) {
        self.within("thead", |page| {
            page.within("tr", |page| {
                cells.iter().for_each(|cell| page.put("th", cell))
            });
        });
    }

    /// A row of a name and a value in a list of facts.
    pub(crate) fn fact(&mut self, name: &str, value: &str) {
        self.within("tr", |page| {
            page.put("th", name);
            page.put("td", value);
        });
    }

    /// The same for a hash or an id.
    pub(crate) fn hash(&mut self, name: &str, value: &str) {
        self.within("tr", |page| {
            page.put("th", name);
            page.put("td.hash", value);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_repo::visible::is_invisible;
    use proptest::prelude::*;

    fn written(text: &str) -> String {
        let mut page = Page {
            html: String::new(),
        };
        page.text(text);
        page.html
    }

    #[test]
    fn what_hides_is_shown() {
        let name = "invoice\u{202e}gnp.exe\u{200b}\r\0";
        assert_eq!(
            written(name),
            "invoice[U+202E]gnp.exe[U+200B][U+000D][U+0000]"
        );
    }

    proptest! {
        #[test]
        fn text_stays_text(text in ".*") {
            let html = written(&text);
            prop_assert!(!html.contains(['<', '>', '"', '\'']));
            let read = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
                .into_iter()
                .fold(html, |html, (from, to)| html.replace(from, to));
            if !text.chars().any(is_invisible) {
                prop_assert_eq!(read, text);
            }
        }
    }
}
