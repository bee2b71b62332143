//! The link between a Primary and a Secondary: over TCP, and with peers that behave badly.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use countersign_client::store::{MemoryStore, Store, StoreName};
use countersign_client::uptane::link::{
    Activated, Answer, Fetch, FileReader, Frame, FromSecondary, LinkError, LinkPatience, LocalLink,
    MAX_BODY, Message, Mirror, Part, Prepared, Refusal, Reply, Repository, Request, Respond,
    SecondaryLink, SecondaryServer, Source, TcpLink, VERSION, Verification, Wanted, fetch_metadata,
};
use countersign_metadata::uptane::{EcuSerial, HardwareId, Nonce, OfflineName, Vin};
use countersign_verifier::{self as verifier, Code, Reject, RemoteName};
use proptest::prelude::*;

/// For peers that stall: the test waits for as long as this.
const IMPATIENT: LinkPatience = LinkPatience {
    connect: Duration::from_secs(10),
    message: Duration::from_secs(1),
    silence: Duration::from_secs(1),
    call: Duration::from_secs(20),
};

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn hello() -> Request {
    Request::Hello {
        version: VERSION,
        vin: Vin::new("VIN1").unwrap(),
        primary: EcuSerial::new("primary").unwrap(),
    }
}

fn hello_answer() -> Answer {
    Answer::Hello {
        version: VERSION,
        serial: EcuSerial::new("door-left").unwrap(),
        hardware_id: HardwareId::new("door-1").unwrap(),
        verification: Verification::Full,
        nonce: Nonce([0xab; 16]),
    }
}

/// Answers as a test wants it to.
struct Responder<F>(F);

impl<F: FnMut(Request, &mut dyn Source) -> Answer> Respond for Responder<F> {
    fn respond(&mut self, request: Request, source: &mut dyn Source) -> Answer {
        (self.0)(request, source)
    }
}

/// A Primary that serves nothing.
struct Nothing;

impl Source for Nothing {
    fn part(&mut self, _: &Fetch) -> Result<Option<Part>, LinkError> {
        Ok(None)
    }
}

fn fetch(file: Wanted) -> Fetch {
    Fetch {
        file,
        from: 0,
        max_len: MAX_BODY as u32,
    }
}

fn image(path: &str) -> Wanted {
    Wanted::Image { name: path.into() }
}

fn round_trip<M: Message + Clone + PartialEq + std::fmt::Debug>(message: M) {
    let frame = message.clone().into_frame().unwrap();
    let text = String::from_utf8(frame.header.clone()).unwrap();
    assert_eq!(M::from_frame(frame).unwrap(), message, "{text}");
}

#[test]
fn every_message_survives_the_wire() {
    for request in [
        hello(),
        Request::Prepare {
            offline: None,
            attestation: vec![1, 2, 3],
        },
        Request::Prepare {
            offline: Some(OfflineName::new("workshop").unwrap()),
            attestation: Vec::new(),
        },
        Request::Activate { targets_version: 7 },
        Request::Abandon {},
        Request::Report {},
        Request::Acknowledge {
            report_counter: u64::MAX,
        },
    ] {
        round_trip(request);
    }
    let reject = Reject::new(Code::Expired, "targets", "late").at("director");
    let metadata = |name| fetch(Wanted::metadata(Repository::Director, &name));
    for message in [
        FromSecondary::Answer(hello_answer()),
        FromSecondary::Answer(Answer::Prepared {
            targets_version: 1,
            image: Prepared::Nothing,
        }),
        FromSecondary::Answer(Answer::Activated {
            image: Activated::OnTrial,
        }),
        FromSecondary::Answer(Answer::Done {}),
        FromSecondary::Answer(Answer::Report { report: vec![9; 9] }),
        FromSecondary::Answer(Answer::Refused(Refusal::from(&reject))),
        FromSecondary::Fetch(fetch(image("dir/a%20b"))),
        FromSecondary::Fetch(metadata(RemoteName::Root(3))),
        FromSecondary::Fetch(metadata(RemoteName::Timestamp)),
        FromSecondary::Fetch(metadata(RemoteName::Snapshot(None))),
        FromSecondary::Fetch(metadata(RemoteName::Targets("a/b".into(), Some(2)))),
    ] {
        round_trip(message);
    }
    round_trip(Reply::Absent {});
    round_trip(Reply::Part(Part {
        total: 10,
        bytes: vec![0; 5],
    }));
}

/// As docs/secondary-link.md has it: other implementations rely on it.
#[test]
fn messages_are_written_as_documented() {
    let header = |frame: Frame| String::from_utf8(frame.header).unwrap();
    let asked = |request: Request| header(request.into_frame().unwrap());
    let said = |message: FromSecondary| header(message.into_frame().unwrap());
    let answered = |answer| said(FromSecondary::Answer(answer));
    let replied = |reply: Reply| header(reply.into_frame().unwrap());
    let attestation = vec![1];
    let bytes = vec![1];
    let refusal = Refusal {
        code: 400,
        name: "expired".into(),
        message: "late".into(),
    };
    let root = Wanted::metadata(Repository::Director, &RemoteName::Root(3));
    let timestamp = Wanted::metadata(Repository::Image, &RemoteName::Timestamp);
    for (written, documented) in [
        (
            asked(hello()),
            r#"{"type":"hello","version":1,"vin":"VIN1","primary":"primary"}"#,
        ),
        (
            asked(Request::Prepare {
                offline: None,
                attestation,
            }),
            r#"{"type":"prepare"}"#,
        ),
        (
            asked(Request::Activate { targets_version: 7 }),
            r#"{"type":"activate","targetsVersion":7}"#,
        ),
        (asked(Request::Abandon {}), r#"{"type":"abandon"}"#),
        (asked(Request::Report {}), r#"{"type":"report"}"#),
        (
            asked(Request::Acknowledge { report_counter: 8 }),
            r#"{"type":"acknowledge","reportCounter":8}"#,
        ),
        (
            answered(hello_answer()),
            concat!(
                r#"{"answer":{"type":"hello","version":1,"serial":"door-left","#,
                r#""hardwareId":"door-1","verification":"full","#,
                r#""nonce":"abababababababababababababababab"}}"#
            ),
        ),
        (
            answered(Answer::Prepared {
                targets_version: 7,
                image: Prepared::Staged,
            }),
            r#"{"answer":{"type":"prepared","targetsVersion":7,"image":"staged"}}"#,
        ),
        (
            answered(Answer::Activated {
                image: Activated::OnTrial,
            }),
            r#"{"answer":{"type":"activated","image":"on-trial"}}"#,
        ),
        (
            answered(Answer::Report { report: vec![1] }),
            r#"{"answer":{"type":"report"}}"#,
        ),
        (answered(Answer::Done {}), r#"{"answer":{"type":"done"}}"#),
        (
            answered(Answer::Refused(refusal)),
            r#"{"answer":{"type":"refused","code":400,"name":"expired","message":"late"}}"#,
        ),
        (
            said(FromSecondary::Fetch(fetch(root))),
            concat!(
                r#"{"fetch":{"file":{"type":"metadata","repository":"director","role":"root","#,
                r#""version":3},"from":0,"maxLen":65536}}"#
            ),
        ),
        (
            said(FromSecondary::Fetch(fetch(timestamp))),
            concat!(
                r#"{"fetch":{"file":{"type":"metadata","repository":"image","#,
                r#""role":"timestamp"},"from":0,"maxLen":65536}}"#
            ),
        ),
        (
            said(FromSecondary::Fetch(fetch(image("sha256-00")))),
            r#"{"fetch":{"file":{"type":"image","name":"sha256-00"},"from":0,"maxLen":65536}}"#,
        ),
        (
            replied(Reply::Part(Part { total: 9, bytes })),
            r#"{"part":{"total":9}}"#,
        ),
        (replied(Reply::Absent {}), r#"{"absent":{}}"#),
    ] {
        assert_eq!(written, documented);
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let framed = |header: &str, body: &[u8]| Frame {
        header: header.as_bytes().to_vec(),
        body: body.to_vec(),
    };
    for (header, body) in [
        ("", &b""[..]),
        ("null", b""),
        ("{}", b""),
        (r#"{"type":"unknown"}"#, b""),
        (r#"{"type":"report"} x"#, b""),
        (r#"{"type":"report","more":1}"#, b""),
        (r#"{"type":"report","type":"report"}"#, b""),
        (r#"{"type":"report"}"#, b"x"),
        (r#"{"type":"prepare","attestation":[1]}"#, b""),
        (r#"{"type":"activate"}"#, b""),
        (r#"{"type":"activate","targetsVersion":-1}"#, b""),
        (r#"{"type":"activate","targetsVersion":1.0}"#, b""),
        (
            r#"{"type":"hello","version":2,"vin":"V","primary":"P"}"#,
            b"",
        ),
        (
            r#"{"type":"hello","version":1,"vin":"V V","primary":"P"}"#,
            b"",
        ),
    ] {
        let refused = Request::from_frame(framed(header, body));
        assert!(
            matches!(refused, Err(LinkError::Protocol { .. })),
            "{header}: {refused:?}"
        );
    }
    for header in [
        r#"{"fetch":{"file":{"type":"image","name":"x"},"from":0,"maxLen":0}}"#,
        r#"{"fetch":{"file":{"type":"image","name":"x"},"from":0,"maxLen":65537}}"#,
        r#"{"fetch":{"file":{"type":"image"},"from":0,"maxLen":1}}"#,
        r#"{"answer":{"type":"done"},"fetch":{}}"#,
        r#"{"answer":{"type":"prepared","targetsVersion":1,"image":"maybe"}}"#,
    ] {
        let refused = FromSecondary::from_frame(framed(header, b""));
        assert!(
            matches!(refused, Err(LinkError::Protocol { .. })),
            "{header}: {refused:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_header_breaks_the_parser(header: Vec<u8>, text: String, body: Vec<u8>) {
        for header in [header, text.into_bytes()] {
            let frame = Frame { header, body: body.clone() };
            let _ = Request::from_frame(frame.clone());
            let _ = FromSecondary::from_frame(frame.clone());
            let _ = Reply::from_frame(frame);
        }
    }

    #[test]
    fn a_changed_header_is_another_message_or_refused(
        at in any::<proptest::sample::Index>(), byte: u8,
    ) {
        let message = FromSecondary::Answer(hello_answer());
        let mut frame = message.clone().into_frame().unwrap();
        let at = at.index(frame.header.len());
        frame.header[at] = byte;
        let _ = FromSecondary::from_frame(frame);
    }
}

/// Runs `responder` for one call over TCP and gives both ends' outcomes.
fn over_tcp(
    responder: impl FnMut(Request, &mut dyn Source) -> Answer + Send,
    source: &mut dyn Source,
) -> (Result<Answer, LinkError>, Result<(), LinkError>) {
    let server = SecondaryServer::bind(loopback(), LinkPatience::default()).unwrap();
    let address = server.address().unwrap();
    thread::scope(|scope| {
        let served = scope.spawn(move || server.serve_next(&mut Responder(responder)));
        let answer = TcpLink::new(address, LinkPatience::default()).call(hello(), source);
        (answer, served.join().unwrap())
    })
}

fn stores() -> (MemoryStore, MemoryStore) {
    let (mut director, mut image) = (MemoryStore::new(), MemoryStore::new());
    let file = |version: u64| format!(r#"{{"signed":{{"version":{version}}}}}"#).into_bytes();
    director.save(&StoreName::Root, &file(1), 1).unwrap();
    director.save(&StoreName::Root, &file(2), 2).unwrap();
    director.save(&StoreName::Timestamp, &file(9), 2).unwrap();
    director.save(&StoreName::Targets, &file(5), 2).unwrap();
    let vendor = StoreName::Delegated("vendor".into());
    image.save(&vendor, &file(4), 1).unwrap();
    image.save(&StoreName::Snapshot, &file(8), 1).unwrap();
    (director, image)
}

#[test]
fn a_mirror_serves_exactly_what_the_primary_holds() {
    let (mut director, mut image_store) = stores();
    let mut mirror = Mirror::new(&mut director, &mut image_store);
    let mut has = |repository, name| {
        let reply = fetch_metadata(&mut mirror, repository, &name, 1000).unwrap();
        matches!(reply, verifier::Reply::Fetched(_))
    };
    let targets = |role: &str, version| RemoteName::Targets(role.into(), version);
    for (repository, name, there) in [
        (Repository::Director, RemoteName::Root(1), true),
        (Repository::Director, RemoteName::Root(2), true),
        (Repository::Director, RemoteName::Root(3), false),
        (Repository::Director, RemoteName::Timestamp, true),
        (Repository::Director, RemoteName::Snapshot(None), false),
        (Repository::Director, targets("targets", Some(5)), true),
        (Repository::Director, targets("targets", None), true),
        (Repository::Director, targets("targets", Some(4)), false),
        (Repository::Director, targets("vendor", None), false),
        (Repository::Image, RemoteName::Root(1), false),
        (Repository::Image, RemoteName::Snapshot(Some(8)), true),
        (Repository::Image, RemoteName::Snapshot(Some(7)), false),
        (Repository::Image, targets("vendor", Some(4)), true),
        (Repository::Image, targets("vendor", Some(5)), false),
        (Repository::Image, targets("../vendor", None), false),
    ] {
        assert_eq!(
            has(repository, name.clone()),
            there,
            "{repository:?} {name:?}"
        );
    }
}

#[test]
fn files_come_whole_and_within_their_bounds_over_tcp() {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..200_001_u32).map(|i| (i % 253) as u8).collect();
    let file = dir.path().join("x");
    std::fs::write(&file, &bytes).unwrap();
    let (mut director, mut image_store) = (MemoryStore::new(), MemoryStore::new());
    let big = [
        &br#"{"signed":{"version":3},"pad":""#[..],
        &[b'x'; 150_000],
        b"\"}",
    ]
    .concat();
    director.save(&StoreName::Targets, &big, 1).unwrap();
    let mut mirror = Mirror::new(&mut director, &mut image_store);
    mirror.add_image("dir/x", file);

    let (answer, served) = over_tcp(
        |_, source| {
            let name = RemoteName::Targets("targets".into(), Some(3));
            let length = big.len() as u64;
            let mut fetched = |max| fetch_metadata(source, Repository::Director, &name, max);
            assert!(matches!(fetched(length), Ok(verifier::Reply::Fetched(got)) if got == big));
            assert!(matches!(fetched(length - 1), Ok(verifier::Reply::TooLarge)));

            let length = bytes.len() as u64;
            let mut read = Vec::new();
            FileReader::new(source, image("dir/x"), length)
                .read_to_end(&mut read)
                .unwrap();
            assert_eq!(read, bytes);
            let error = FileReader::new(source, image("dir/x"), length - 1)
                .read_to_end(&mut Vec::new())
                .unwrap_err();
            assert!(error.to_string().contains("signed"), "{error}");
            let error = FileReader::new(source, image("dir/../dir/x"), 0)
                .read_to_end(&mut Vec::new())
                .unwrap_err();
            assert!(matches!(
                error.downcast::<LinkError>(),
                Ok(LinkError::NoImage)
            ));
            hello_answer()
        },
        &mut mirror,
    );
    assert_eq!(answer.unwrap(), hello_answer());
    served.unwrap();
}

#[test]
fn an_image_is_read_from_anywhere() {
    use std::io::{Seek, SeekFrom};
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..150_000_u32).map(|i| (i % 241) as u8).collect();
    std::fs::write(dir.path().join("x"), &bytes).unwrap();
    let (mut director, mut image_store) = (MemoryStore::new(), MemoryStore::new());
    let mut mirror = Mirror::new(&mut director, &mut image_store);
    mirror.add_image("x", dir.path().join("x"));
    let mut reader = FileReader::new(&mut mirror, image("x"), bytes.len() as u64);
    for from in [149_990_u64, 0, 70_000, 65_535, 65_536, 3] {
        let mut some = [0; 10];
        reader.seek(SeekFrom::Start(from)).unwrap();
        reader.read_exact(&mut some).unwrap();
        assert_eq!(some, bytes[from as usize..from as usize + 10], "{from}");
    }
    reader.seek(SeekFrom::End(0)).unwrap();
    assert_eq!(reader.read(&mut [0; 10]).unwrap(), 0);
}

#[test]
fn in_one_process_it_is_the_same() {
    let mut link = LocalLink(Responder(|request, source: &mut dyn Source| {
        assert_eq!(request, hello());
        assert_eq!(source.part(&fetch(image("x"))).unwrap(), None);
        hello_answer()
    }));
    assert_eq!(link.call(hello(), &mut Nothing).unwrap(), hello_answer());
}

/// A source whose parts are wrong in one way each.
struct Liar(fn(&Fetch) -> Option<Part>);

impl Source for Liar {
    fn part(&mut self, fetch: &Fetch) -> Result<Option<Part>, LinkError> {
        Ok((self.0)(fetch))
    }
}

#[test]
fn parts_that_do_not_add_up_are_refused() {
    let liars: [fn(&Fetch) -> Option<Part>; 5] = [
        // Never any bytes.
        |_| {
            Some(Part {
                total: 10,
                bytes: Vec::new(),
            })
        },
        // More than there are.
        |_| {
            Some(Part {
                total: 10,
                bytes: vec![0; 11],
            })
        },
        // More than were asked for.
        |_| {
            Some(Part {
                total: 200_000,
                bytes: vec![0; MAX_BODY + 1],
            })
        },
        // Shorter with each part.
        |fetch| {
            Some(Part {
                total: 10 - fetch.from.min(10),
                bytes: vec![0; 3],
            })
        },
        // Gone halfway.
        |fetch| {
            (fetch.from == 0).then(|| Part {
                total: 10,
                bytes: vec![0; 5],
            })
        },
    ];
    for (number, liar) in liars.into_iter().enumerate() {
        let name = RemoteName::Timestamp;
        let refused = fetch_metadata(&mut Liar(liar), Repository::Image, &name, 1_000_000);
        assert!(
            matches!(refused, Err(LinkError::Protocol { .. })),
            "{number}: {refused:?}"
        );
        let mut source = Liar(liar);
        let mut reader = FileReader::new(&mut source, image("x"), 10);
        assert!(reader.read_to_end(&mut Vec::new()).is_err(), "{number}");
    }
    // Growing for ever: the bound is that of the session.
    let grows: fn(&Fetch) -> Option<Part> = |fetch| {
        Some(Part {
            total: fetch.from + 2 * MAX_BODY as u64,
            bytes: vec![0; MAX_BODY],
        })
    };
    let reply = fetch_metadata(
        &mut Liar(grows),
        Repository::Image,
        &RemoteName::Timestamp,
        500_000,
    );
    assert!(matches!(reply, Ok(verifier::Reply::TooLarge)), "{reply:?}");
}

/// A peer that writes `bytes` and then does what `then` says.
fn hostile_secondary(bytes: Vec<u8>, then: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind(loopback()).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(&bytes);
        then(stream);
    });
    address
}

fn stall(stream: TcpStream) {
    thread::sleep(Duration::from_secs(20));
    drop(stream);
}

#[test]
fn a_hostile_secondary_only_fails_the_call() {
    let call_with = |patience, bytes: Vec<u8>, then| {
        let address = hostile_secondary(bytes, then);
        TcpLink::new(address, patience).call(hello(), &mut Nothing)
    };
    let waits = |bytes, then| call_with(IMPATIENT, bytes, then);
    let call = |bytes, then| call_with(LinkPatience::default(), bytes, then);
    let silent = waits(Vec::new(), stall);
    assert!(matches!(silent, Err(LinkError::Slow { .. })), "{silent:?}");
    let halfway = waits(vec![0, 0, 0, 9, 0, 0], stall);
    assert!(
        matches!(halfway, Err(LinkError::Slow { .. })),
        "{halfway:?}"
    );
    let gone = call(vec![0, 0, 0, 9, 0, 0], drop);
    assert!(matches!(gone, Err(LinkError::Io(_))), "{gone:?}");
    let huge = call(vec![0xff; 8], stall);
    assert!(matches!(huge, Err(LinkError::TooLong { .. })), "{huge:?}");
    let mut request = Vec::new();
    let frame = hello().into_frame().unwrap();
    frame.write_to(&mut request).unwrap();
    let confused = call(request, stall);
    assert!(
        matches!(confused, Err(LinkError::Protocol { .. })),
        "{confused:?}"
    );
    let dripping = waits(Vec::new(), |mut stream| {
        let header = [[0, 0, 0x10, 0], [0; 4]].concat();
        let mut byte = header.into_iter().chain(std::iter::repeat(b' '));
        while stream.write_all(&[byte.next().unwrap_or_default()]).is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    assert!(
        matches!(dripping, Err(LinkError::Slow { .. })),
        "{dripping:?}"
    );
    let hung_up = call(Vec::new(), drop);
    assert!(matches!(hung_up, Err(LinkError::Io(_))), "{hung_up:?}");
}

#[test]
fn endless_fetching_ends_with_the_call() {
    let patience = LinkPatience {
        call: Duration::from_millis(400),
        ..IMPATIENT
    };
    let server = SecondaryServer::bind(loopback(), IMPATIENT).unwrap();
    let address = server.address().unwrap();
    let answer = thread::scope(|scope| {
        scope.spawn(|| {
            let mut endless = Responder(|_: Request, source: &mut dyn Source| {
                while source.part(&fetch(image("x"))).is_ok() {}
                hello_answer()
            });
            assert!(server.serve_next(&mut endless).is_err());
        });
        TcpLink::new(address, patience).call(hello(), &mut Nothing)
    });
    assert!(matches!(answer, Err(LinkError::Slow { .. })), "{answer:?}");
}

#[test]
fn a_hostile_primary_only_fails_the_call() {
    let server = SecondaryServer::bind(loopback(), IMPATIENT).unwrap();
    let address = server.address().unwrap();
    let mut asked = 0;
    let mut responder = Responder(|_: Request, source: &mut dyn Source| {
        asked += 1;
        assert!(source.part(&fetch(image("x"))).is_err());
        // Once broken it stays broken, whatever comes late.
        assert!(source.part(&fetch(image("x"))).is_err());
        hello_answer()
    });
    let on_the_wire = |frame: Frame| {
        let mut bytes = Vec::new();
        frame.write_to(&mut bytes).unwrap();
        bytes
    };
    let request = on_the_wire(hello().into_frame().unwrap());
    let wrong = on_the_wire(FromSecondary::Answer(hello_answer()).into_frame().unwrap());
    for bytes in [
        Vec::new(),
        vec![0; 7],
        vec![0xff; 30],
        vec![b'x'; 70_000],
        // From here on the request arrives, and what follows it is no reply.
        request.clone(),
        [request.clone(), vec![0xff; 8]].concat(),
        [request, wrong].concat(),
    ] {
        let mut stream = TcpStream::connect(address).unwrap();
        // The server may hang up before all of it is sent.
        let _ = stream.write_all(&bytes);
        assert!(server.serve_next(&mut responder).is_err());
    }
    assert_eq!(asked, 3);

    // And after all of that an honest call goes through.
    let answer = thread::scope(|scope| {
        scope.spawn(|| {
            server.serve_next(&mut Responder(|_: Request, _: &mut dyn Source| {
                hello_answer()
            }))
        });
        TcpLink::new(address, IMPATIENT).call(hello(), &mut Nothing)
    });
    assert_eq!(answer.unwrap(), hello_answer());
}
