//! A hostile file must not cost much more memory than its size before anybody has vouched for it.
//! One test in a binary of its own, because the counter is the whole process's.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use countersign_metadata::{Signed, Targets};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const SIZE: usize = 1_000_000;

/// Peak memory while parsing, the file itself included, as a multiple of the file's size.
fn cost(file: String) -> f32 {
    let size = file.len();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let bytes = file.into_bytes();
    let parsed = Signed::<Targets>::parse(bytes);
    let peak = MEMORY.peak_usage();
    assert!(parsed.is_ok(), "{parsed:?}");
    (peak - before + size) as f32 / size as f32
}

#[test]
fn parsing_costs_a_small_multiple_of_the_file() {
    let list = |item: &str| format!("[{}1]", format!("{item},").repeat(SIZE / (item.len() + 1)));
    let members = |order: fn(usize) -> usize| {
        let member = |number| format!("\"{:05}\":0,", order(number));
        let all: String = (0..SIZE / 10).map(member).collect();
        format!("{{{all}\"\":0}}")
    };
    let contents = [
        list("0"),
        list("[]"),
        list("{}"),
        list(r#"{"":0}"#),
        list("\"\""),
        list("\"\\u0000\""),
        list(r#"{"b":[[]],"a":{}}"#),
        members(|number| number),
        members(|number| 999_999 - number),
        "[".repeat(55) + &list("[0]") + &"]".repeat(55),
    ];
    for content in contents {
        let start = &content[..content.len().min(70)];
        let places = [
            format!(r#"{{"signatures":[],"signed":{content}}}"#),
            format!(r#"{{"signatures":[],"signed":[{content}, 1]}}"#),
            format!(r#"{{"signatures":[],"signed":1,"x":{content}}}"#),
            format!(r#"{{"signatures":[{{"keyid":"k","x":{content}}}],"signed":1}}"#),
            format!(r#"{{"signatures":[{{"keyid":"k","sig":{content}}}],"signed":1}}"#),
        ];
        for place in places {
            let cost = cost(place);
            assert!(cost < 16.0, "{cost} times the size of {start}...");
        }
    }
}
