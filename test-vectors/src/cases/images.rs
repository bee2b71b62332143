//! Images (TUF 5.7), and the names they may have.

use serde_json::json;

use super::Cases;
use crate::simulate::sha256_hex;

pub(super) const IMAGE: &[u8] = b"firmware 1\n";
pub(super) const NAME: &str = "fw.img";
pub(super) const ALL: [u64; 4] = [1, 1, 1, 1];

pub(super) fn cases(all: &mut Cases) {
    download(all);
    length(all);
    hashes(all);
    trouble(all);
}

fn download(all: &mut Cases) {
    all.case(
        "images/download",
        &["5.7.1", "5.7.3"],
        "The client updates its metadata and downloads an image.",
        |case, repo| {
            case.download(repo, &[NAME])
                .accepts(ALL)
                .gets(NAME, IMAGE)
                .requests("2.root timestamp 1.snapshot 1.targets");
        },
    );
    all.case(
        "images/two-in-one-session",
        &["5.7.1", "5.7.3"],
        "Two images in one session: the metadata is updated once.",
        |case, repo| {
            repo.add_image("targets", "boot.bin", b"boot\n");
            case.download(repo, &[NAME, "boot.bin"])
                .accepts(ALL)
                .gets(NAME, IMAGE)
                .gets("boot.bin", b"boot\n")
                .requests("2.root timestamp 1.snapshot 1.targets");
        },
    );
    all.case(
        "images/second-not-found",
        &["5.7.2"],
        "The second of two images is not listed. The client fails, and has the first one.",
        |case, repo| {
            case.download(repo, &[NAME, "other.img"])
                .rejects("target-not-found", "", "none", ALL)
                .because("none")
                .gets(NAME, IMAGE);
        },
    );
    all.case(
        "images/not-listed",
        &["5.7.2"],
        "The server has the file, and no role lists it.",
        |case, repo| {
            repo.targets().images.clear();
            repo.add_image("unlisted", NAME, IMAGE);
            case.download(repo, &[NAME])
                .rejects("target-not-found", "", "none", ALL)
                .because("none");
        },
    );
    all.case(
        "images/new-content-under-same-name",
        &["5.7.3"],
        "A release changes the bytes of an image. TUF allows that; the version is that of Targets.",
        |case, repo| {
            case.download(repo, &[NAME]).accepts(ALL).gets(NAME, IMAGE);
            repo.add_image("targets", NAME, b"firmware 2\n");
            repo.release();
            case.download(repo, &[NAME])
                .accepts([1, 2, 2, 2])
                .gets(NAME, b"firmware 2\n");
        },
    );
    all.case(
        "images/old-content-replayed",
        &["5.7.3"],
        "After a release, the server goes on serving the old bytes.",
        |case, repo| {
            case.download(repo, &[NAME]).accepts(ALL).gets(NAME, IMAGE);
            repo.add_image("targets", NAME, b"firmware 2\n");
            repo.tamper_image(NAME, IMAGE);
            repo.release();
            case.download(repo, &[NAME]).rejects(
                "image-hash",
                "targets",
                "arbitrary-software",
                [1, 2, 2, 2],
            );
        },
    );
    all.case(
        "images/removed",
        &["5.7.2"],
        "A release no longer lists the image.",
        |case, repo| {
            case.download(repo, &[NAME]).accepts(ALL).gets(NAME, IMAGE);
            repo.targets().images.clear();
            repo.release();
            case.download(repo, &[NAME])
                .rejects("target-not-found", "", "none", [1, 2, 2, 2])
                .because("none");
        },
    );
    all.case(
        "images/refused-metadata-no-image",
        &["5.4.2", "5.7.1"],
        "Timestamp is forged. Although the client trusts an older Targets that lists the image, it downloads nothing.",
        |case, repo| {
            case.refresh(repo).accepts(ALL);
            repo.timestamp.version = 2;
            repo.sign_with("timestamp", &["evil"]);
            case.download(repo, &[NAME])
                .rejects("signature-threshold", "timestamp", "arbitrary-software", ALL);
        },
    );
    all.case(
        "images/with-custom-data",
        &["4.5", "5.7.3"],
        "An entry with custom data of any shape and with fields that the client does not know.",
        |case, repo| {
            repo.forge("targets", |signed| {
                signed["targets"][NAME]["custom"] = json!({"a": [1, {"b": null}], "release": true});
                signed["targets"][NAME]["x"] = json!(7);
            });
            case.download(repo, &[NAME]).accepts(ALL).gets(NAME, IMAGE);
        },
    );
}

fn length(all: &mut Cases) {
    all.case(
        "images/longer-than-listed",
        &["5.7.3"],
        "The image goes on after its listed length: endless data. The client stops there.",
        |case, repo| {
            let path = format!("targets/{}.{NAME}", sha256_hex(IMAGE));
            case.download(repo, &[NAME]).pad(&path, 1 << 20).rejects(
                "image-too-long",
                "targets",
                "endless-data",
                ALL,
            );
        },
    );
    all.case(
        "images/one-byte-longer",
        &["5.7.3"],
        "The image has one byte more than listed.",
        |case, repo| {
            repo.tamper_image(NAME, b"firmware 1\n\n");
            case.download(repo, &[NAME])
                .rejects("image-too-long", "targets", "endless-data", ALL);
        },
    );
    all.case(
        "images/truncated",
        &["5.7.3"],
        "The image ends before its listed length.",
        |case, repo| {
            repo.tamper_image(NAME, b"firmware");
            case.download(repo, &[NAME]).rejects(
                "image-hash",
                "targets",
                "arbitrary-software",
                ALL,
            );
        },
    );
    all.case(
        "images/served-empty",
        &["5.7.3"],
        "The server sends nothing for an image.",
        |case, repo| {
            repo.tamper_image(NAME, b"");
            case.download(repo, &[NAME]).rejects(
                "image-hash",
                "targets",
                "arbitrary-software",
                ALL,
            );
        },
    );
    all.case(
        "images/of-no-length",
        &["5.7.3"],
        "An image of length 0 is an image.",
        |case, repo| {
            repo.add_image("targets", "empty", b"");
            case.download(repo, &["empty"])
                .accepts(ALL)
                .gets("empty", b"");
        },
    );
    all.case(
        "images/length-understated",
        &["5.7.3"],
        "The signed length is one less than the bytes whose hash is listed.",
        |case, repo| {
            repo.forge("targets", |signed| {
                signed["targets"][NAME]["length"] = json!(10)
            });
            case.download(repo, &[NAME])
                .rejects("image-too-long", "targets", "endless-data", ALL);
        },
    );
    all.case(
        "images/length-overstated",
        &["5.7.3"],
        "The signed length is one more than the bytes whose hash is listed.",
        |case, repo| {
            repo.forge("targets", |signed| {
                signed["targets"][NAME]["length"] = json!(12)
            });
            case.download(repo, &[NAME]).rejects(
                "image-hash",
                "targets",
                "arbitrary-software",
                ALL,
            );
        },
    );
}

fn hashes(all: &mut Cases) {
    let sha512 = || hex::encode(countersign_metadata::sha512(IMAGE));
    all.case(
        "images/tampered",
        &["5.7.3"],
        "Other bytes of the same length.",
        |case, repo| {
            repo.tamper_image(NAME, b"firmware X\n");
            case.download(repo, &[NAME]).rejects(
                "image-hash",
                "targets",
                "arbitrary-software",
                ALL,
            );
        },
    );
    all.case(
        "images/sha512-only",
        &["5.7.3"],
        "The image is listed with its SHA-512 only.",
        |case, repo| {
            repo.sha512_names = true;
            repo.forge("targets", move |signed| {
                signed["targets"][NAME]["hashes"] = json!({"sha512": sha512()});
            });
            case.download(repo, &[NAME]).accepts(ALL).gets(NAME, IMAGE);
        },
    );
    all.case(
        "images/sha512-only-tampered",
        &["5.7.3"],
        "The image is listed with its SHA-512 only, and other bytes are served.",
        |case, repo| {
            repo.sha512_names = true;
            repo.tamper_image(NAME, b"firmware X\n");
            repo.forge("targets", move |signed| {
                signed["targets"][NAME]["hashes"] = json!({"sha512": sha512()});
            });
            case.download(repo, &[NAME]).rejects(
                "image-hash",
                "targets",
                "arbitrary-software",
                ALL,
            );
        },
    );
    all.case(
        "images/two-hashes",
        &["5.7.3"],
        "The image is listed with SHA-256 and SHA-512, and both hold.",
        |case, repo| {
            repo.sha512_names = true;
            repo.forge("targets", move |signed| {
                signed["targets"][NAME]["hashes"]["sha512"] = json!(sha512());
            });
            case.download(repo, &[NAME]).accepts(ALL).gets(NAME, IMAGE);
        },
    );
    all.case(
        "images/second-hash-wrong",
        &["5.7.3"],
        "The SHA-256 holds, the SHA-512 does not. Every hash that is listed and known has to hold.",
        |case, repo| {
            repo.forge("targets", |signed| {
                signed["targets"][NAME]["hashes"]["sha512"] = json!("00".repeat(64));
            });
            // Whichever hash the client puts into the name, it gets the same bytes.
            let path = format!("targets/{}.{NAME}", "00".repeat(64));
            repo.serve_also(&path, IMAGE);
            case.download(repo, &[NAME]).rejects(
                "image-hash",
                "targets",
                "arbitrary-software",
                ALL,
            );
        },
    );
    all.case(
        "images/first-hash-wrong",
        &["5.7.3"],
        "The SHA-512 holds, the SHA-256 does not.",
        |case, repo| {
            repo.sha512_names = true;
            repo.forge("targets", move |signed| {
                signed["targets"][NAME]["hashes"] =
                    json!({"sha256": "00".repeat(32), "sha512": sha512()});
            });
            let path = format!("targets/{}.{NAME}", "00".repeat(32));
            repo.serve_also(&path, IMAGE);
            case.download(repo, &[NAME]).rejects(
                "image-hash",
                "targets",
                "arbitrary-software",
                ALL,
            );
        },
    );
    all.case(
        "images/unknown-hash-beside-known",
        &["5.7.3"],
        "A hash of an unknown function stands beside a SHA-256 that holds. The unknown one is ignored.",
        |case, repo| {
            repo.root().consistent = false;
            repo.forge("targets", |signed| signed["targets"][NAME]["hashes"]["future"] = json!("00"));
            case.download(repo, &[NAME]).accepts(ALL).gets(NAME, IMAGE);
        },
    );
    all.case(
        "images/unknown-hash-only",
        &["5.7.3"],
        "Only a hash of an unknown function is listed. What cannot be checked is not downloaded.",
        |case, repo| {
            repo.root().consistent = false;
            repo.forge("targets", |signed| {
                signed["targets"][NAME]["hashes"] = json!({"future": "00"})
            });
            case.download(repo, &[NAME])
                .rejects("no-known-hash", "targets", "none", ALL);
        },
    );
}

fn trouble(all: &mut Cases) {
    all.case(
        "images/missing",
        &["5.7.3"],
        "The image is listed, and the server does not have it. The metadata is good and stays.",
        |case, repo| {
            repo.withhold_image(NAME);
            case.download(repo, &[NAME])
                .rejects("image-missing", "targets", "none", ALL);
            repo.honest();
            case.download(repo, &[NAME]).accepts(ALL).gets(NAME, IMAGE);
        },
    );
    all.case(
        "images/server-error",
        &["5.7.3"],
        "The server answers 500 for the image, and has it in the next session.",
        |case, repo| {
            let path = format!("targets/{}.{NAME}", sha256_hex(IMAGE));
            case.download(repo, &[NAME]).status(&path, 500).rejects(
                "fetch-failed",
                "targets",
                "none",
                ALL,
            );
            case.download(repo, &[NAME]).accepts(ALL).gets(NAME, IMAGE);
        },
    );
    all.case(
        "images/tampered-then-honest",
        &["5.7.3"],
        "Tampered bytes were refused. The honest ones are accepted in the next session: nothing of the refused image is left.",
        |case, repo| {
            repo.tamper_image(NAME, b"firmware X\n");
            case.download(repo, &[NAME])
                .rejects("image-hash", "targets", "arbitrary-software", ALL);
            repo.honest();
            case.download(repo, &[NAME]).accepts(ALL).gets(NAME, IMAGE);
        },
    );
}
