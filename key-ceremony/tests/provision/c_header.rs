//! The C header, as compilers read it.

use std::fs;
use std::process::Command;

use countersign_ceremony::provision::{Bundle, Row, TimeGiven, Written, gather};

use crate::stage::{HONEST, NOW, Stage, TIMED, files, time, vectors};

/// Prints every array that is there in hexadecimal, every number and every text.
const PROGRAM: &str = r#"
#include <stdio.h>
#include <inttypes.h>
#include "provision.h"
/* A second time: the guard holds. */
#include "provision.h"

static void array(const char *name, const unsigned char *bytes, size_t size) {
    size_t at;
    printf("%s ", name);
    for (at = 0; at < size; at++) printf("%02x", bytes[at]);
    printf("\n");
}

#define ARRAY(name) array(#name, countersign_provision_##name, countersign_provision_##name##_size)
#define TEXT(name) array(#name, (const unsigned char *)countersign_provision_##name, \
                         sizeof countersign_provision_##name - 1)

int main(void) {
PARTS
#ifdef COUNTERSIGN_PROVISION_HAS_REPOSITORY_URLS
    size_t at;
    for (at = 0; at < countersign_provision_repository_urls_count; at++)
        printf("url %s\n", countersign_provision_repository_urls[at]);
#endif
    return 0;
}
"#;

const ARRAYS: [&str; 15] = [
    "repository_root",
    "repository_timestamp",
    "repository_snapshot",
    "repository_targets",
    "director_root",
    "director_timestamp",
    "director_snapshot",
    "director_targets",
    "image_root",
    "image_timestamp",
    "image_snapshot",
    "image_targets",
    "map",
    "time_attestation",
    "installed_sha256",
];
const TEXTS: [&str; 4] = ["vin", "ecu_serial", "hardware_id", "installed_path"];
const NUMBERS: [&str; 6] = [
    "time",
    "time_is_attested",
    "verifies_in_full",
    "is_secondary",
    "installed_release_counter",
    "installed_length",
];

fn program() -> String {
    let part = |name: &str, line: String| {
        let upper = name.to_uppercase();
        format!("#ifdef COUNTERSIGN_PROVISION_HAS_{upper}\n    {line};\n#endif\n")
    };
    let arrays = ARRAYS
        .iter()
        .map(|name| part(name, format!("ARRAY({name})")));
    let texts = TEXTS.iter().map(|name| part(name, format!("TEXT({name})")));
    let numbers = NUMBERS.iter().map(|name| {
        let value = format!("(int64_t)countersign_provision_{name}");
        part(
            name,
            format!("printf(\"{name} %\" PRId64 \"\\n\", {value})"),
        )
    });
    let parts: String = arrays.chain(texts).chain(numbers).collect();
    PROGRAM.replace("PARTS", &parts)
}

/// What the program says after each compiler; all of them have to say the same.
fn compiled(stage: &Stage, bundle: &Bundle) -> Vec<String> {
    let header = stage.path("provision.h");
    bundle
        .write_c_header(&header, &bundle.confirmation())
        .unwrap();
    stage.write("main.c", program());
    stage.write("main.cpp", program());
    let strict = ["-Wall", "-Wextra", "-Werror", "-pedantic"];
    let said = [
        ("cc", &["-std=c99", "main.c"][..]),
        ("cc", &["-std=c11", "main.c"][..]),
        ("c++", &["-std=c++11", "main.cpp"][..]),
        ("c++", &["-std=c++17", "main.cpp"][..]),
    ]
    .map(|(compiler, arguments)| {
        let done = Command::new(compiler)
            .args(strict)
            .args(arguments)
            .args(["-o", "program"])
            .current_dir(stage.path(""))
            .output()
            .expect("these tests need cc and c++; on Debian: apt-get install g++");
        assert!(done.status.success(), "{compiler} {arguments:?}: {done:?}");
        let done = Command::new(stage.path("program")).output().unwrap();
        String::from_utf8(done.stdout).unwrap()
    });
    assert!(said.iter().all(|text| *text == said[0]), "{said:?}");
    said[0].lines().map(str::to_owned).collect()
}

/// What one line would be.
fn line(name: &str, bytes: &[u8]) -> String {
    format!("{name} {}", hex::encode(bytes))
}

#[test]
fn compilers_read_the_bytes_that_went_in() {
    let stage = Stage::with(TIMED);
    let mut order = stage.order(vec![stage.row()]);
    let attestation = vectors("uptane-time/honest/given/1-attestation");
    order.time = TimeGiven::Attested(attestation.clone());
    let bundle = gather(&order, time(NOW)).unwrap();
    let said = compiled(&stage, &bundle);
    let there = files(&stage.make(&bundle, "out"));
    let own = "devices/VIN-OF-THIS-CAR/P1";
    for (name, file) in [
        ("director_root", "director/root.json".to_owned()),
        (
            "director_timestamp",
            format!("{own}/director/timestamp.json"),
        ),
        ("director_snapshot", format!("{own}/director/snapshot.json")),
        ("director_targets", format!("{own}/director/targets.json")),
        ("image_root", "image/root.json".to_owned()),
        ("image_timestamp", "image/timestamp.json".to_owned()),
        ("image_snapshot", "image/snapshot.json".to_owned()),
        ("image_targets", "image/targets.json".to_owned()),
        ("map", format!("{own}/map.json")),
        ("time_attestation", "time-attestation.json".to_owned()),
    ] {
        assert!(said.contains(&line(name, &there[&file])), "{name}");
    }
    let published = vectors(TIMED).join("director/metadata/1.root.json");
    assert!(said.contains(&line("director_root", &fs::read(published).unwrap())));
    let factory = countersign_metadata::sha256(b"the factory's");
    for wanted in [
        line("vin", b"VIN-OF-THIS-CAR"),
        line("ecu_serial", b"P1"),
        line("hardware_id", b"pcu-a"),
        line("installed_path", b"pcu.img"),
        line("installed_sha256", &factory),
        "installed_length 13".to_owned(),
        "installed_release_counter 4".to_owned(),
        "verifies_in_full 1".to_owned(),
        "is_secondary 0".to_owned(),
        "time_is_attested 1".to_owned(),
    ] {
        assert!(said.contains(&wanted), "{wanted} is not in {said:?}");
    }
}

#[test]
fn a_plain_device_has_one_root_and_a_template_no_name() {
    let stage = Stage::plain().roots_only();
    let stage = stage.but(".com\"]", ".com\", \"https://b.example.com/?a=%20\"]");
    let said = compiled(&stage, &stage.gather(Vec::new()).unwrap());
    let root = fs::read(vectors(HONEST).join("image/metadata/1.root.json")).unwrap();
    let time = format!("time {}", time("2030-01-31T00:00:00Z").unix());
    assert_eq!(
        said,
        [
            line("repository_root", &root),
            time,
            "time_is_attested 0".into(),
            "url https://images.example.com".into(),
            "url https://b.example.com/?a=%20".into(),
        ]
    );

    let stage = Stage::with(HONEST).roots_only();
    let said = compiled(&stage, &stage.gather(Vec::new()).unwrap());
    let has = |name: &str| {
        said.iter()
            .any(|line| line.starts_with(&format!("{name} ")))
    };
    assert!(has("director_root") && has("image_root") && has("hardware_id") && has("map"));
    assert!(!has("vin") && !has("ecu_serial") && !has("director_targets"));
}

#[test]
fn whatever_names_are_the_header_compiles() {
    // Trigraphs, ends of comments, line continuations, format characters.
    let stage = Stage::with(HONEST)
        .roots_only()
        .but("Gateway A", "*/ #error ??/ /* é \\\\")
        .but(
            "file:report.pem?encryption=none",
            "file:*/report.pem?encryption=none",
        );
    let row = Row {
        vehicle: "V??/*/".into(),
        ecu: "E%s??'".into(),
        ..Row::default()
    };
    let said = compiled(&stage, &stage.gather(vec![row]).unwrap());
    assert!(said.contains(&line("vin", b"V??/*/")), "{said:?}");
    assert!(said.contains(&line("ecu_serial", b"E%s??'")), "{said:?}");
}

#[test]
fn a_header_is_for_one_device_and_replaces_no_other() {
    let stage = Stage::with(HONEST).roots_only();
    let row = |ecu: &str| Row {
        vehicle: "V".into(),
        ecu: ecu.into(),
        ..Row::default()
    };
    let two = stage.gather(vec![row("E1"), row("E2")]).unwrap();
    let error = two.c_header().expect_err("two devices");
    assert_eq!(error.exit_code(), 2);
    let out = stage.path("provision.h");
    let one = stage.gather(vec![row("E1")]).unwrap();
    let write = |bundle: &Bundle| bundle.write_c_header(&out, &bundle.confirmation());
    assert_eq!(write(&one).unwrap(), Written::Fresh);
    let before = stage.read("provision.h");
    assert_eq!(write(&one).unwrap(), Written::Already);
    let other = stage.gather(vec![row("E2")]).unwrap();
    assert_eq!(write(&other).unwrap_err().name(), "exists");
    assert_eq!(stage.read("provision.h"), before);
}
