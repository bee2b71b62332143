//! The list that says which request is for which device. Requests do not say so themselves.
//!
//! CSV with a header line that names the columns `csr`, `vehicle` and `ecu` in any order, or JSON
//! lines with these members.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::CeremonyError;

use super::error::PkiError;
use super::{files, limits};

/// One line of a manifest. Its identifiers are not checked yet: that is the row's own fault.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// Counted from 1.
    #[serde(skip)]
    pub(crate) line: usize,
    /// The name of the request's file.
    pub(crate) csr: String,
    pub(crate) vehicle: String,
    pub(crate) ecu: String,
}

impl Row {
    /// A plain name in the folder of requests, and nothing that leads out of it.
    pub(crate) fn path(&self, folder: &Path) -> Option<PathBuf> {
        let mut parts = Path::new(&self.csr).components();
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(name)), None) if !self.csr.ends_with('/') => {
                Some(folder.join(name))
            }
            _ => None,
        }
    }
}

/// Reads a whole manifest before anything is done about it.
pub(crate) fn read(path: &Path) -> Result<Vec<Row>, CeremonyError> {
    let bytes = files::read(path, limits::MANIFEST, "a manifest")?;
    parse(&bytes).map_err(|(line, why)| {
        PkiError::Manifest {
            path: path.into(),
            line,
            why,
        }
        .into()
    })
}

fn parse(bytes: &[u8]) -> Result<Vec<Row>, (usize, String)> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        (line, "it is not UTF-8".to_owned())
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows = Vec::new();
    let mut columns = None;
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        let fail = |why: String| (number, why);
        if line.len() > limits::MANIFEST_LINE {
            return Err(fail("it is longer than 4096 bytes".into()));
        }
        if line.trim().is_empty() {
            continue;
        }
        let row: Row = match &columns {
            None if line.starts_with('{') => serde_json::from_str(line)
                .map_err(|error| fail(format!("it is not what a row should be: {error}")))?,
            None if rows.is_empty() => {
                columns = Some(header(line).map_err(fail)?);
                continue;
            }
            None => return Err(fail("it is no JSON object".into())),
            Some(columns) => csv(line, columns).map_err(fail)?,
        };
        rows.push(Row {
            line: number,
            ..row
        });
    }
    match rows.is_empty() {
        true => Err((1, "it has no rows".into())),
        false => Ok(rows),
    }
}

/// Where `csr`, `vehicle` and `ecu` stand.
fn header(line: &str) -> Result<[usize; 3], String> {
    let names: Vec<&str> = line.split(',').map(str::trim).collect();
    let find = |wanted: &str| names.iter().position(|name| *name == wanted);
    match (find("csr"), find("vehicle"), find("ecu"), names.len()) {
        (Some(csr), Some(vehicle), Some(ecu), 3) => Ok([csr, vehicle, ecu]),
        _ => Err("the header must name the columns csr, vehicle and ecu, and no others".into()),
    }
}

fn csv(line: &str, columns: &[usize; 3]) -> Result<Row, String> {
    if line.contains('"') {
        return Err("quoted fields are not read; write the manifest as JSON lines".into());
    }
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    if fields.len() != 3 {
        return Err(format!("it has {} fields, not 3", fields.len()));
    }
    let [csr, vehicle, ecu] = columns.map(|column| fields[column].to_owned());
    Ok(Row {
        line: 0,
        csr,
        vehicle,
        ecu,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(line: usize, csr: &str, vehicle: &str, ecu: &str) -> Row {
        Row {
            line,
            csr: csr.into(),
            vehicle: vehicle.into(),
            ecu: ecu.into(),
        }
    }

    #[test]
    fn both_forms_say_the_same() {
        let rows = vec![row(2, "a.csr", "V1", "E1"), row(4, "b.csr", "V2", "E2")];
        let csv = "\u{feff}vehicle, ecu ,csr\r\nV1,E1,a.csr\r\n\r\nV2,E2,b.csr\r\n";
        assert_eq!(parse(csv.as_bytes()), Ok(rows));
        let json = "{\"csr\":\"a.csr\",\"vehicle\":\"V1\",\"ecu\":\"E1\"}\n";
        assert_eq!(
            parse(json.as_bytes()),
            Ok(vec![row(1, "a.csr", "V1", "E1")])
        );
    }

    #[test]
    fn faults_have_a_line() {
        let json = "{\"csr\":\"a\",\"vehicle\":\"V\",\"ecu\":\"E\"}\n";
        for (text, line) in [
            ("", 1),
            ("csr,vehicle\n", 1),
            ("csr,vehicle,ecu,ecu\n", 1),
            ("csr,vehicle,ecu\n", 1),
            ("csr,vehicle,ecu\na,b\n", 2),
            ("csr,vehicle,ecu\na,b,c,d\n", 2),
            ("csr,vehicle,ecu\n\"a\",b,c\n", 2),
            (&format!("{json}a,b,c\n"), 2),
            (&format!("{json}{{\"csr\":\"a\"}}\n"), 2),
            (&json.replace("ecu", "ECU"), 1),
            (&format!("csr,vehicle,ecu\n{}\n", "x".repeat(5000)), 2),
        ] {
            let refused = parse(text.as_bytes()).map_err(|(line, _)| line);
            assert_eq!(refused, Err(line), "{text:?}");
        }
        assert_eq!(parse(b"csr,vehicle,ecu\na,\xff,c").unwrap_err().0, 2);
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let path = |csr: &str| row(1, csr, "V", "E").path(Path::new("in"));
        assert_eq!(path("a.csr"), Some("in/a.csr".into()));
        for csr in ["", ".", "..", "../a", "/etc/passwd", "a/b", "a/", "./a"] {
            assert_eq!(path(csr), None, "{csr:?}");
        }
    }

    proptest! {
        #[test]
        fn noise_causes_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn rows_keep_their_number(text in "(csr,vehicle,ecu\n)?([a-c,\"{}]{0,9}\n){0,6}") {
            if let Ok(rows) = parse(text.as_bytes()) {
                let lines: Vec<usize> = rows.iter().map(|row| row.line).collect();
                prop_assert!(lines.is_sorted_by(|a, b| a < b));
            }
        }
    }
}
