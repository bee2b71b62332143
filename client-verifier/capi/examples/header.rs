//! Writes include/countersign/countersign.h, or checks that it is current.
//!
//! ```sh
//! cargo run -p countersign-capi --example header -- write
//! cargo run -p countersign-capi --example header -- check
//! ```

use std::path::Path;
use std::process::ExitCode;

use cbindgen::{Builder, Config, DocumentationStyle, EnumConfig, ExportConfig, Language, Style};
use countersign_verifier::Code;

fn main() -> ExitCode {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = home.join("include/countersign/countersign.h");
    let header = match header(home) {
        Ok(header) => header,
        Err(error) => {
            eprintln!("header: {error}");
            return ExitCode::FAILURE;
        }
    };
    match std::env::args().nth(1).as_deref() {
        Some("write") => match std::fs::write(&file, header) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("header: {}: {error}", file.display());
                ExitCode::FAILURE
            }
        },
        Some("check") => match std::fs::read_to_string(&file) {
            Ok(found) if found == header => ExitCode::SUCCESS,
            _ => {
                eprintln!(
                    "header: {} is not what the code says; run `cargo run -p countersign-capi \
                     --example header -- write` and look at the difference",
                    file.display()
                );
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("header: say `write` or `check`");
            ExitCode::FAILURE
        }
    }
}

fn header(home: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let config = Config {
        language: Language::C,
        cpp_compat: true,
        include_guard: Some("COUNTERSIGN_H".into()),
        no_includes: true,
        sys_includes: ["stdbool.h", "stddef.h", "stdint.h"]
            .map(String::from)
            .into(),
        header: Some(include_str!("header-preamble.h").trim_end().into()),
        after_includes: Some(statuses()),
        usize_is_size_t: true,
        style: Style::Both,
        documentation: true,
        documentation_style: DocumentationStyle::C99,
        line_length: 100,
        export: ExportConfig {
            // What callbacks return: no signature names them.
            include: ["countersign_answer", "countersign_health"]
                .map(String::from)
                .into(),
            ..ExportConfig::default()
        },
        enumeration: EnumConfig {
            prefix_with_name: false,
            ..EnumConfig::default()
        },
        ..Config::default()
    };
    let builder = Builder::new().with_config(config);
    let builder = builder.with_src(home.join("src/lib.rs"));
    let mut header = Vec::new();
    builder.generate()?.write(&mut header);
    Ok(String::from_utf8(header)?)
}

/// The numbers that every part of this project shares.
fn statuses() -> String {
    let mut lines = vec![
        "\n/* Statuses: 0, or why something was refused. Numbers are never reused. */".to_owned(),
        "#define COUNTERSIGN_OK 0".to_owned(),
    ];
    for code in Code::ALL {
        let name = code.name().to_uppercase().replace('-', "_");
        lines.push(format!("// {}", code.meaning()));
        lines.push(format!("#define COUNTERSIGN_{name} {}", code.number()));
    }
    lines.join("\n")
}
