use std::path::Path;

use countersign_metadata::UtcTime;
use countersign_signing::Secrets;

use super::html;
use crate::exchange::Message;
use crate::folder::{self, Folder, Record};
use crate::holder::{self, Answer, Existence, ReadRequest, Station};
use crate::profile::Accepted;
use crate::sealing::ReadSealRequest;

/// What somebody might put wherever text is free.
const HOSTILE: &str = "</td></style><script>alert(1)</script><img src=x onerror='alert(2)'>&lt;";

/// A sealed ceremony of file keys, in which every free text is hostile.
fn sealed(folder: &Path) -> Record {
    let path = folder.join("ceremony");
    let uri = |name: &str| format!("file:{name}.pem?encryption=none");
    let key = |holder: &str, name: &str| {
        format!(
            "keys = [{{ holder = '{holder}', algorithm = 'ed25519', uri = '{}' }}]",
            uri(name)
        )
    };
    let plain = HOSTILE.replace('\'', "`");
    let profile = format!(
        "name = '{plain}'\n[holders]\nanna = '{plain}'\nben = 'Ben'\n\
         [policy]\naccept = [{{ finding = 'root-threshold-low', reason = '{plain}' }}]\n\
         [roles.root]\nthreshold = 1\nexpires = '365d'\n{}\n\
         [roles.targets]\nthreshold = 1\nexpires = '90d'\n{}\n\
         [roles.snapshot]\nthreshold = 1\nexpires = '7d'\n{}\n\
         [roles.timestamp]\nthreshold = 1\nexpires = '1d'\n{}\n",
        key("anna", "root"),
        key("ben", "targets"),
        key("ben", "snapshot"),
        key("ben", "timestamp"),
    );
    let now: UtcTime = "2031-05-06T07:08:09Z".parse().expect("a time");
    let secrets = Secrets::unattended(folder);
    let station = Station {
        secrets: &secrets,
        now,
        in_ci: true,
    };
    let accepted = vec![
        Accepted {
            finding: "key-in-file".into(),
            reason: HOSTILE.into(),
        },
        Accepted {
            finding: "offline-role-in-ci".into(),
            reason: "a test".into(),
        },
    ];
    let mut ceremony = Folder::plan(&path, profile, None, Vec::new(), now).expect("planned");
    for place in ["anna-root", "ben-targets", "ben-snapshot", "ben-timestamp"] {
        let file = path.join(format!("invitations/{place}.json"));
        let Message::Invitation(invitation) = Message::read(&file).expect("a file") else {
            panic!("no invitation");
        };
        let out = folder.join(format!("{place}.proof.json"));
        let confirmed = invitation.slot.to_string();
        let answer = Answer {
            uri: invitation.uri.as_deref(),
            existence: Existence::Generate(None),
            accepted: accepted.clone(),
            confirmed: &confirmed,
        };
        holder::prove(&station, &invitation, answer, &out).expect("proved");
        ceremony.merge(&out, &[], now).expect("merged");
    }
    let (root, _) = ceremony.next_root().expect("a root");
    let confirmed = crate::review::confirmation(&root);
    ceremony
        .review(&root, Vec::new(), &confirmed, now)
        .expect("reviewed");
    let file = path.join(crate::conduct::REQUEST);
    let Message::Request(request) = Message::read(&file).expect("a file") else {
        panic!("no request");
    };
    let out = folder.join("signed.json");
    let request = ReadRequest::new(&file, *request, &station).expect("a request");
    request
        .sign(&station, &[uri("root")], &confirmed, &out)
        .expect("signed");
    ceremony.merge(&out, &[], now).expect("merged");
    let request = ceremony.seal_request().expect("complete");
    let request = ReadSealRequest::new(request, &station).expect("a request");
    let seals = request.seal(&station, &[uri("root")], &request.confirmation());
    ceremony.seal(seals.expect("a seal"), now).expect("sealed");
    folder::read(&path).expect("a record")
}

#[test]
fn no_text_becomes_markup() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = html(&sealed(folder.path()));
    assert_eq!(
        page.matches("&amp;lt;").count(),
        page.matches("alert(1)").count()
    );
    // The name as title and heading, the holder twice, reasons in the profile and in four proofs.
    assert!(
        page.matches("&lt;script&gt;alert(1)").count() >= 9,
        "{page}"
    );
    let (head, body) = page.split_once("<body>").expect("a body");
    assert!(head.ends_with("</style>\n</head>\n") && head.matches("<meta ").count() == 2);
    for inside in body.split('<').skip(1) {
        let (tag, _) = inside.split_once('>').expect("a whole tag");
        // Nothing but a name, and a class that stands in the source: no attribute that acts.
        let name = tag.strip_prefix('/').unwrap_or(tag);
        let (name, class) = name.split_once(" class=\"").unwrap_or((name, "none\""));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        assert!(
            plain(name) && class.strip_suffix('"').is_some_and(plain),
            "<{tag}>"
        );
        assert!(
            !["script", "img", "style", "link", "iframe"].contains(&name),
            "<{tag}>"
        );
    }
    for loads in ["url(", "@import"] {
        assert!(!crate::page::STYLE.contains(loads));
    }
}

#[test]
fn the_page_says_what_happened() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = sealed(folder.path());
    let page = html(&record);
    assert_eq!(
        page,
        html(&folder::read(&folder.path().join("ceremony")).expect("a record"))
    );
    let review = record.ceremony.review().expect("a review");
    for word in crate::fingerprint(review.payload.as_bytes()).split(' ') {
        assert!(page.contains(&format!("</span>{word}</span>")), "{word}");
    }
    for line in &record.lines {
        assert!(page.contains(&crate::event::digest(line.to_text().as_bytes())));
    }
    let sealed = record.ceremony.sealed().expect("a seal");
    assert!(page.contains(&crate::event::digest(&sealed.root)));
    for id in review.root.keys.keys() {
        assert!(page.contains(id.as_str()), "{id}");
    }
    for fact in [
        "Overrides of the policy",
        "by the holder of root/anna (line 2)",
        "root-threshold-low",
        "refused, and overridden",
        "a file: there may be copies",
        "proved on a CI machine",
        "anna (key ",
        "2031-05-06T07:08:09Z",
    ] {
        assert!(page.contains(fact), "{fact}");
    }
}
