//! The list of devices: CSV with a header line, or JSON lines.
//!
//! The columns are `vehicle` and `ecu`, and if wanted `signing_key` and `encryption_key`, names of
//! files in one folder. JSON lines may have `others`, the vehicle's other ECUs with their hardware.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::limits;
use crate::error::CeremonyError;
use crate::files;

/// One device as it is listed; nothing of it is checked yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The vehicle identifier, usually the VIN.
    pub vehicle: String,
    /// The serial number of the ECU.
    pub ecu: String,
    /// The file of its signing key: a certificate request, or a public key.
    pub signing_key: Option<String>,
    /// The file of its encryption key, public.
    pub encryption_key: Option<String>,
    /// The vehicle's other ECUs, with their hardware.
    #[serde(default)]
    pub others: BTreeMap<String, String>,
}

/// Reads a list.
///
/// # Errors
/// [`CeremonyError::Exchange`], which names the line.
pub fn read_rows(path: &Path) -> Result<Vec<Row>, CeremonyError> {
    let bytes = files::read(path, limits::LIST)?;
    parse(&bytes).map_err(|(line, why)| CeremonyError::Exchange {
        path: path.into(),
        why: format!("line {line}: {why}"),
    })
}

/// The columns of a CSV file, in its order.
type Columns = Vec<Column>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Vehicle,
    Ecu,
    SigningKey,
    EncryptionKey,
}

fn parse(bytes: &[u8]) -> Result<Vec<Row>, (usize, String)> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        (line, "it is not UTF-8".to_owned())
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows = Vec::new();
    let mut columns: Option<Columns> = None;
    for (number, line) in text.lines().enumerate() {
        let fail = |why: String| (number + 1, why);
        if line.len() > limits::LINE {
            return Err(fail(format!("it is longer than {} bytes", limits::LINE)));
        }
        if line.trim().is_empty() {
            continue;
        }
        if rows.len() == limits::DEVICES {
            let why = format!("one bundle has {} devices at most", limits::DEVICES);
            return Err(fail(why));
        }
        match &columns {
            Some(columns) => rows.push(csv(line, columns).map_err(fail)?),
            None if line.starts_with('{') => {
                let row = serde_json::from_str(line);
                rows.push(row.map_err(|error| fail(format!("it is no row: {error}")))?);
            }
            None if rows.is_empty() => columns = Some(header(line).map_err(fail)?),
            None => return Err(fail("it is no JSON object".into())),
        }
    }
    match rows.is_empty() {
        true => Err((1, "it has no rows".into())),
        false => Ok(rows),
    }
}

fn header(line: &str) -> Result<Columns, String> {
    let column = |name: &str| match name.trim() {
        "vehicle" => Ok(Column::Vehicle),
        "ecu" => Ok(Column::Ecu),
        "signing_key" => Ok(Column::SigningKey),
        "encryption_key" => Ok(Column::EncryptionKey),
        _ => Err(
            "the header names the columns vehicle and ecu, and signing_key and encryption_key \
             where there are keys"
                .to_owned(),
        ),
    };
    let columns: Columns = line.split(',').map(column).collect::<Result<_, _>>()?;
    let times = |wanted| columns.iter().filter(|column| **column == wanted).count();
    let fine = times(Column::Vehicle) == 1
        && times(Column::Ecu) == 1
        && times(Column::SigningKey) <= 1
        && times(Column::EncryptionKey) <= 1;
    match fine {
        true => Ok(columns),
        false => Err("the header names vehicle and ecu once, and no column twice".into()),
    }
}

fn csv(line: &str, columns: &Columns) -> Result<Row, String> {
    if line.contains('"') {
        return Err("quoted fields are not read; write the list as JSON lines".into());
    }
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    if fields.len() != columns.len() {
        let (has, wanted) = (fields.len(), columns.len());
        return Err(format!("it has {has} fields, not {wanted}"));
    }
    let mut row = Row::default();
    for (column, field) in columns.iter().zip(fields) {
        let file = || Some(field.to_owned()).filter(|name| !name.is_empty());
        match column {
            Column::Vehicle => row.vehicle = field.into(),
            Column::Ecu => row.ecu = field.into(),
            Column::SigningKey => row.signing_key = file(),
            Column::EncryptionKey => row.encryption_key = file(),
        }
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let row = |vehicle: &str, ecu: &str, signing: Option<&str>| Row {
            vehicle: vehicle.into(),
            ecu: ecu.into(),
            signing_key: signing.map(str::to_owned),
            ..Row::default()
        };
        let rows = vec![row("V1", "E1", Some("a.csr")), row("V2", "E2", None)];
        let csv = "\u{feff}ecu, vehicle ,signing_key\r\nE1,V1,a.csr\r\n\r\nE2,V2,\r\n";
        assert_eq!(parse(csv.as_bytes()), Ok(rows.clone()));
        let json = "{\"vehicle\":\"V1\",\"ecu\":\"E1\",\"signing_key\":\"a.csr\"}\n\
                    {\"vehicle\":\"V2\",\"ecu\":\"E2\",\"others\":{}}\n";
        assert_eq!(parse(json.as_bytes()), Ok(rows));
    }

    #[test]
    fn faults_have_a_line() {
        let json = "{\"vehicle\":\"V\",\"ecu\":\"E\"}\n";
        for (text, line) in [
            ("", 1),
            ("vehicle,ecu\n", 1),
            ("vehicle\n", 1),
            ("vehicle,ecu,ecu\n", 1),
            ("vehicle,ecu,colour\n", 1),
            ("vehicle,ecu\nV\n", 2),
            ("vehicle,ecu\n\"V\",E\n", 2),
            (&format!("{json}V,E\n"), 2),
            (&format!("{json}{{\"vehicle\":\"V\"}}\n"), 2),
            (&format!("vehicle,ecu\n{}\n", "x".repeat(5000)), 2),
        ] {
            let refused = parse(text.as_bytes()).map_err(|(line, _)| line);
            assert_eq!(refused, Err(line), "{text:?}");
        }
        assert_eq!(parse(b"vehicle,ecu\n\xff,E").expect_err("noise").0, 2);
        let many = format!("vehicle,ecu\n{}", "V,E\n".repeat(limits::DEVICES + 1));
        assert_eq!(
            parse(many.as_bytes()).expect_err("many").0,
            limits::DEVICES + 2
        );
    }

    proptest! {
        #[test]
        fn noise_causes_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
