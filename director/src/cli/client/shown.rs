//! Answers of the admin API, as text for people.

use serde_json::Value;

/// What a member says; `-` where it is not there.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(text).collect();
            values.join(" ")
        }
        other => other.to_string(),
    }
}

/// The members of `list`, one line each, in columns under their names.
pub(super) fn table(list: &Value, columns: &[(&str, &str)]) -> String {
    let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut rows = vec![
        columns
            .iter()
            .map(|(title, _)| (*title).to_owned())
            .collect::<Vec<_>>(),
    ];
    rows.extend(entries.iter().map(|entry| {
        let cells = columns.iter().map(|(_, member)| text(&entry[*member]));
        cells.collect()
    }));
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or_default()
        })
        .collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}
