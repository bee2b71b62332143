use countersign_verifier::{Context, Session, Trusted};

// There is no way to what a session has gathered but through its end.
fn peek(session: Session) -> Option<Trusted> {
    match session.state {
        _ => None,
    }
}

fn main() {
    let _: fn(Context) -> Session = Session::with_context;
}
