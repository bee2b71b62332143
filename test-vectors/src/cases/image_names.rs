//! The names that images may have (TUF 4.5, 5.7).

use super::Cases;
use super::images::{ALL, IMAGE, NAME};

pub(super) fn cases(all: &mut Cases) {
    names(all);
    unsafe_names(all);
}

fn names(all: &mut Cases) {
    let good = [
        ("sub-directory", "ecu/brake/fw.img"),
        ("not-ascii", "größe/прошивка.img"),
        ("space", "fw 1.img"),
        ("percent", "fw%2Fimg%20.bin"),
        ("url-characters", "fw?a=b#c&d+e.img"),
        ("hidden", ".config/.fw"),
        ("dots-within", "fw..img/...x"),
        ("quotes", "\"fw\".img"),
        ("quote-before-a-letter-beyond-ascii", "a\"\u{e9}\" b.img"),
        ("colon", "a:b.img"),
        ("emoji", "😀.img"),
    ];
    for (name, path) in good {
        all.case(
            &format!("images/name-{name}"),
            &["4.5", "5.7.3"],
            "An unusual name that is safe. The request is percent-encoded, and the hash stands before the last segment.",
            |case, repo| {
                repo.add_image("targets", path, b"odd\n");
                case.download(repo, &[path]).accepts(ALL).gets(path, b"odd\n");
            },
        );
    }
    all.case(
        "images/name-same-content",
        &["5.7.3"],
        "Two names with the same bytes, in two directories.",
        |case, repo| {
            repo.add_image("targets", "a/fw.img", b"same\n");
            repo.add_image("targets", "b/fw.img", b"same\n");
            case.download(repo, &["a/fw.img", "b/fw.img"])
                .accepts(ALL)
                .gets("a/fw.img", b"same\n")
                .gets("b/fw.img", b"same\n");
        },
    );
    all.case(
        "images/name-not-normalised",
        &["4.2", "5.7.2"],
        "A name with a composed letter is listed, and the one with the letter decomposed is asked for. They are two names.",
        |case, repo| {
            repo.add_image("targets", "\u{e9}.img", b"composed\n");
            case.download(repo, &["e\u{301}.img"])
                .rejects("target-not-found", "", "none", ALL)
                .because("none");
        },
    );
    all.case(
        "images/name-both-forms",
        &["4.2", "5.7.3"],
        "A name with a composed letter and the one with the letter decomposed, both listed: a client that normalises sees a duplicate, or takes one for the other.",
        |case, repo| {
            repo.add_image("targets", "\u{e9}.img", b"composed\n");
            repo.add_image("targets", "e\u{301}.img", b"decomposed\n");
            case.download(repo, &["e\u{301}.img"])
                .accepts(ALL)
                .gets("e\u{301}.img", b"decomposed\n");
        },
    );
    all.case(
        "images/name-case",
        &["5.7.2"],
        "Names differ when their case differs.",
        |case, repo| {
            case.download(repo, &["FW.IMG"])
                .rejects("target-not-found", "", "none", ALL)
                .because("none");
        },
    );
}

fn unsafe_names(all: &mut Cases) {
    let bad = [
        ("parent", "../fw.img"),
        ("parent-within", "a/../../fw.img"),
        ("parent-last", "a/.."),
        ("absolute", "/etc/passwd"),
        ("empty-segment", "a//fw.img"),
        ("dot-segment", "./fw.img"),
        ("directory", "a/"),
        ("backslash", "..\\fw.img"),
        ("line-feed", "fw\n.img"),
        ("escape", "fw\u{1b}[2J.img"),
        ("control-c1", "fw\u{85}.img"),
    ];
    for (name, path) in bad {
        all.case(
            &format!("images/unsafe-{name}"),
            &["4.5", "5.7.3"],
            "The Targets key listed an image under a name that could leave its directory or confuse a terminal. It is not downloaded.",
            |case, repo| {
                repo.add_image("targets", path, b"unsafe\n");
                case.download(repo, &[path])
                    .rejects("unsafe-filename", "", "arbitrary-software", ALL);
            },
        );
    }
    all.case(
        "images/unsafe-beside-safe",
        &["4.5", "5.7.3"],
        "One image has an unsafe name. The others can still be had.",
        |case, repo| {
            repo.add_image("targets", "../fw.img", b"unsafe\n");
            case.download(repo, &[NAME]).accepts(ALL).gets(NAME, IMAGE);
        },
    );
}
