//! The transcript as a printable page.

use crate::folder::Record;

/// One HTML page without anything from elsewhere.
pub(crate) fn html(record: &Record) -> String {
    let mut page = String::from("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><pre>");
    for line in &record.lines {
        page.push_str(&escape(&line.to_text()));
        page.push('\n');
    }
    page.push_str("</pre></html>\n");
    page
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
