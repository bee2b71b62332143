//! Text that others wrote, so that a reader sees all of it and a terminal obeys none of it: what
//! hides, or turns the order of what is around it, is shown as `[U+202E]`.

use serde_json::Value;

/// Text of several lines. Line breaks and tabs stay.
pub fn text(text: &str) -> String {
    shown(text, |letter| {
        is_invisible(letter) && !matches!(letter, '\n' | '\t')
    })
}

/// Text for a place within a line: a name, a cell of a table.
pub fn line(text: &str) -> String {
    shown(text, is_invisible)
}

/// JSON on one line. A parser reads the same value, whatever the terminal.
pub fn json(value: &Value) -> String {
    let mut json = String::new();
    for letter in value.to_string().chars() {
        match is_invisible(letter) {
            // Only within strings, where any code unit may be written so (RFC 8259 7).
            true => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    json.push_str(&format!("\\u{unit:04x}"));
                }
            }
            false => json.push(letter),
        }
    }
    json
}

/// Characters that hide, or that turn the order of what is around them (Unicode, UAX #9), so that
/// a reader would see something else than what is there.
pub fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e01ef}')
}

/// Whether a word of the command line, perhaps the name of somebody's file, holds what a terminal
/// would obey. What a parser of arguments prints quotes such words as they are.
pub fn command_line_hides() -> bool {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    words.any(|word| word.contains(is_invisible))
}

fn shown(text: &str, hides: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match hides(letter) {
            true => shown.push_str(&format!("[U+{:04X}]", u32::from(letter))),
            false => shown.push(letter),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_hides_is_shown() {
        let name = "gnp\u{202e}\u{1b}[31m\ta\n\u{200b}\u{9b}\u{7f}";
        assert_eq!(
            text(name),
            "gnp[U+202E][U+001B][31m\ta\n[U+200B][U+009B][U+007F]"
        );
        assert!(line(name).ends_with("[U+0009]a[U+000A][U+200B][U+009B][U+007F]"));
        assert_eq!(
            json(&name.into()),
            "\"gnp\\u202e\\u001b[31m\\ta\\n\\u200b\\u009b\\u007f\""
        );
        assert_eq!(json(&"\u{e0041}".into()), "\"\\udb40\\udc41\"");
    }

    proptest! {
        #[test]
        fn json_says_the_same(text in "\\PC*|.*") {
            let value = serde_json::json!({ &text: [&text] });
            let written = json(&value);
            prop_assert!(!written.contains(is_invisible));
            prop_assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value);
        }

        #[test]
        fn what_is_plain_stays(plain in "[^\\p{C}\\p{Z}]*") {
            prop_assert_eq!(text(&plain), line(&plain));
        }
    }
}
