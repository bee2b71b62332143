//! The transcript as a page for paper: to be read, printed, signed by pen and kept.
//!
//! The page follows from the transcript alone, byte for byte, so that
//! [`verify`](crate::verify) can make it again and compare.

mod change;
mod findings;
mod participants;
mod summary;
mod timeline;

use crate::folder::Record;
use crate::page::Page;

/// One HTML page that needs nothing from elsewhere.
pub(crate) fn html(record: &Record) -> String {
    let ceremony = &record.ceremony;
    let mut page = Page::new(
        &ceremony.profile().name,
        &format!("ceremony {}", ceremony.id()),
    );
    summary::write(&mut page, record);
    findings::write_overrides(&mut page, record);
    if let Some(review) = ceremony.review() {
        let diff = ceremony.diff(&review.root);
        change::write(&mut page, &diff);
        participants::write(&mut page, record, &diff);
    }
    findings::write(&mut page, record);
    timeline::write(&mut page, record);
    summary::write_checks(&mut page, record);
    participants::write_lines_for_pens(&mut page, record);
    page.within("section", |page| {
        page.put("h2", "The profile, as it was planned");
        page.put("pre", record.profile());
    });
    page.finish()
}

#[cfg(test)]
mod tests;
