//! What is said to Uptane vehicles: images by hardware and release counter, and delegations that
//! are limited to hardware or to roles that must agree.

#[path = "common/tool.rs"]
mod tool;

use serde_json::{Value, json};
use tool::{PLAIN, Tool};

/// Adds one image with these options.
fn add_image(tool: &Tool, code: i32, name: &str, options: &[&str]) -> Value {
    let image = tool.file("image", name.as_bytes());
    let mut all = vec!["target", "add", image.as_str(), "--name", name];
    all.extend(options);
    tool.json(code, &all)
}

fn custom(tool: &Tool, name: &str) -> Value {
    tool.json(0, &["target", "show", name])["custom"].clone()
}

/// The public half of a new key.
fn key(tool: &Tool, name: &str) -> String {
    let uri = format!("file:keys/{name}.pem{PLAIN}");
    tool.json(0, &["key", "generate", &uri, "--algorithm", "ed25519"]);
    uri
}

#[test]
fn an_image_is_described_for_vehicles() {
    let tool = Tool::started();
    let other = tool.file("custom.json", br#"{"note":"x"}"#);
    let options = [
        "--hardware-id",
        "brake-v2",
        "--hardware-id",
        "brake-v3",
        "--release-counter",
        "12",
        "--image-version",
        "3.1",
        "--class",
        "brake",
        "--installer",
        "slots",
        "--dependency",
        "class=gateway@7..",
        "--dependency",
        "filename=a@b/c.img",
        "--conflict",
        "filename=old.img@..9",
        "--conflict",
        "class=x@1..2",
        "--custom",
        &other,
        "--confidential",
    ];
    add_image(&tool, 0, "brake/3.1.img", &options);
    assert_eq!(
        custom(&tool, "brake/3.1.img"),
        json!({
            "hardwareIds": ["brake-v2", "brake-v3"], "releaseCounter": 12, "version": "3.1",
            "class": "brake", "installer": "slots", "note": "x", "encryption": "required",
            "dependencies": [{"class": "gateway", "minReleaseCounter": 7}, {"filename": "a@b/c.img"}],
            "conflicts": [
                {"filename": "old.img", "maxReleaseCounter": 9},
                {"class": "x", "minReleaseCounter": 1, "maxReleaseCounter": 2},
            ],
        })
    );
    let diff = tool.text(0, &["diff"]);
    assert!(
        diff.contains("for brake-v2 brake-v3, release counter 12"),
        "{diff}"
    );
}

#[test]
fn options_that_say_too_little_or_nonsense_are_refused() {
    let tool = Tool::started();
    let hw = ["--hardware-id", "h", "--release-counter", "1"];
    for options in [
        &["--hardware-id", "h"][..],
        &["--release-counter", "1"],
        &["--class", "c"],
        &["--allow-lower-counter"],
        &["--hardware-id", "a b", "--release-counter", "1"],
        &["--hardware-id", "h", "--release-counter", "-1"],
        &[hw[0], hw[1], hw[2], hw[3], "--dependency", "gateway"],
        &[hw[0], hw[1], hw[2], hw[3], "--dependency", "class="],
        &[hw[0], hw[1], hw[2], hw[3], "--conflict", "class=a@x..y"],
    ] {
        add_image(&tool, 2, "a.img", options);
    }
    let twice = tool.file("twice.json", br#"{"releaseCounter":4}"#);
    let options = [&hw[..], &["--custom", &twice]].concat();
    assert_eq!(add_image(&tool, 2, "a.img", &options)["name"], "usage");
    let repeated = [
        "--hardware-id",
        "h",
        "--hardware-id",
        "h",
        "--release-counter",
        "1",
    ];
    assert_eq!(
        add_image(&tool, 1, "a.img", &repeated)["name"],
        "image-custom"
    );
    // By hand, it has to hold together too.
    let half = tool.file("half.json", br#"{"hardwareIds":["h"]}"#);
    let refused = add_image(&tool, 1, "a.img", &["--custom", &half]);
    assert_eq!(refused["name"], "image-custom");
    let nothing = tool.json(0, &["target", "list"]);
    assert_eq!(nothing["targets"], json!([]));
}

#[test]
fn a_release_counter_never_falls_unnoticed() {
    let tool = Tool::started();
    let with = |counter: &'static str, hardware: &'static str, class: &'static str| {
        vec![
            "--release-counter",
            counter,
            "--hardware-id",
            hardware,
            "--class",
            class,
        ]
    };
    add_image(&tool, 0, "brake-2.img", &with("5", "b", "brake"));
    let refused = add_image(&tool, 1, "brake-3.img", &with("4", "b", "brake"));
    assert_eq!(refused["name"], "release-counter");
    let text = refused["message"].as_str().expect("text");
    assert!(
        text.contains("brake-2.img") && text.contains("--allow-lower-counter"),
        "{text}"
    );
    // The same name, whatever its class.
    let refused = add_image(&tool, 1, "brake-2.img", &with("4", "b", "other"));
    assert_eq!(refused["name"], "release-counter");
    // Other hardware, another class, the same counter, and on purpose.
    add_image(&tool, 0, "brake-4.img", &with("1", "c", "brake"));
    add_image(&tool, 0, "radio.img", &with("1", "b", "radio"));
    add_image(&tool, 0, "brake-5.img", &with("5", "b", "brake"));
    let mut on_purpose = with("1", "b", "brake");
    on_purpose.push("--allow-lower-counter");
    add_image(&tool, 0, "brake-1.img", &on_purpose);
    assert_eq!(custom(&tool, "brake-1.img")["releaseCounter"], 1);
}

#[test]
fn delegations_can_be_for_some_hardware() {
    let tool = Tool::started();
    let key = key(&tool, "supplier");
    let add = [
        "delegation",
        "add",
        "supplier",
        "--key",
        &key,
        "--path",
        "fw/*",
    ];
    tool.json(2, &[&add[..], &["--hardware-id", ""]].concat());
    tool.json(
        0,
        &[&add[..], &["--hardware-id", "h-1", "--hardware-id", "h-2"]].concat(),
    );
    let listed = tool.text(0, &["delegation", "list"]);
    assert!(
        listed.contains("paths fw/*, hardware h-1 h-2, keys 1 of"),
        "{listed}"
    );
    let diff = tool.text(0, &["diff"]);
    assert!(diff.contains("hardware h-1 h-2"), "{diff}");
    tool.json(
        0,
        &["delegation", "set", "supplier", "--hardware-id", "h-3"],
    );
    let listed = tool.text(0, &["delegation", "list"]);
    assert!(listed.contains("hardware h-3"), "{listed}");

    // Vehicles would look for an image for other hardware elsewhere.
    let options = |ids: &[&'static str]| {
        let ids = ids.iter().flat_map(|id| ["--hardware-id", *id]);
        let all: Vec<&str> = ids
            .chain(["--release-counter", "1", "--role", "supplier"])
            .collect();
        all
    };
    for ids in [&["h-1"][..], &["h-3", "h-1"]] {
        let refused = add_image(&tool, 1, "fw/a.img", &options(ids));
        assert_eq!(refused["name"], "not-for-hardware");
    }
    add_image(&tool, 0, "fw/a.img", &options(&["h-3"]));
    add_image(&tool, 0, "fw/b.img", &["--role", "supplier"]);
}

#[test]
fn roles_by_hash_prefix_that_are_chosen_by_people_are_no_bins() {
    let tool = Tool::started();
    let (qa, dev) = (key(&tool, "qa"), key(&tool, "dev"));
    let all: Vec<String> = (0..16).map(|digit| format!("{digit:x}")).collect();
    let prefixes: Vec<&str> = all
        .iter()
        .flat_map(|digit| ["--hash-prefix", digit])
        .collect();
    let (qa, dev) = (format!("qa={qa}"), format!("dev={dev}"));
    let several = [
        "delegation",
        "add-multi",
        "both",
        "--min",
        "2",
        "--role",
        "qa",
        "--role",
        "dev",
        "--key",
        &qa,
        "--key",
        &dev,
    ];
    tool.json(0, &[&several[..], &prefixes].concat());
    let other = key(&tool, "other");
    let some = [
        "delegation",
        "add",
        "some",
        "--key",
        &other,
        "--hardware-id",
        "h",
    ];
    tool.json(0, &[&some[..], &prefixes].concat());
    add_image(&tool, 0, "a.img", &[]);
    assert_eq!(
        tool.json(0, &["target", "show", "a.img"])["role"],
        "targets"
    );
}

#[test]
fn several_roles_are_delegated_to_listed_and_published_together() {
    let tool = Tool::started();
    let (qa, dev) = (key(&tool, "qa"), key(&tool, "dev"));
    let (qa, dev) = (format!("qa={qa}"), format!("dev={dev}"));
    let add_multi = [
        "delegation",
        "add-multi",
        "released",
        "--path",
        "fw/*",
        "--hardware-id",
        "h",
        "--role",
        "qa",
        "--role",
        "dev",
        "--key",
        &qa,
        "--key",
        &dev,
        "--terminating",
    ];
    for (options, code, name) in [
        (&["--min", "3"][..], 1, "delegation"),
        (&["--min", "0"], 1, "delegation"),
        (&["--min", "2", "--role", "qa"], 1, "delegation"),
        (&["--min", "2", "--role", "released"], 1, "delegation"),
        (&["--min", "2", "--role", "third"], 1, "delegation"),
        (&["--min", "2", "--key", "third=keys/x"], 2, "usage"),
        (&["--min", "2", "--threshold", "qa=2"], 1, "delegation"),
        (&["--min", "2", "--threshold", "qa=x"], 2, "usage"),
        (
            &["--min", "2", "--threshold", "qa=1", "--threshold", "qa=1"],
            2,
            "usage",
        ),
    ] {
        let refused = tool.json(code, &[&add_multi[..], options].concat());
        assert_eq!(refused["name"], name, "{options:?}");
    }
    tool.json(0, &[&add_multi[..], &["--min", "2"]].concat());
    let diff = tool.text(0, &["diff"]);
    assert!(
        diff.contains("released") && diff.contains("2 must agree of qa (keys 1 of"),
        "{diff}"
    );
    assert!(
        diff.contains("hardware h") && diff.contains("terminating"),
        "{diff}"
    );
    let taken = [
        "delegation",
        "add",
        "released",
        "--path",
        "x",
        "--key",
        &dev["dev=".len()..],
    ];
    assert_eq!(tool.json(1, &taken)["name"], "role-exists");

    let options = ["--hardware-id", "h", "--release-counter", "1"];
    for role in ["qa", "dev"] {
        add_image(
            &tool,
            0,
            "fw/a.img",
            &[&options[..], &["--role", role]].concat(),
        );
        let refused = add_image(
            &tool,
            1,
            "b.img",
            &[&options[..], &["--role", role]].concat(),
        );
        assert_eq!(refused["name"], "not-delegated");
    }
    tool.json(0, &["sign"]);
    tool.json(0, &["publish"]);
    tool.json(0, &["verify"]);
    for role in ["qa", "dev"] {
        assert!(
            tool.path()
                .join(format!("published/metadata/2.{role}.json"))
                .exists()
                || tool
                    .path()
                    .join(format!("published/metadata/1.{role}.json"))
                    .exists()
        );
    }

    // Each has its own keys; they share the rest, and go together.
    let other = key(&tool, "other");
    tool.json(0, &["delegation", "set", "qa", "--key", &other]);
    let alone = tool.json(1, &["delegation", "remove", "qa"]);
    let text = alone["message"].as_str().expect("text");
    assert!(text.contains("remove 'released'"), "{text}");
    tool.json(0, &["delegation", "remove", "released"]);
    assert_eq!(
        tool.json(0, &["delegation", "list"])["delegations"],
        json!([])
    );
    tool.json(0, &["sign"]);
    tool.json(0, &["publish"]);
    tool.json(0, &["verify"]);
}
