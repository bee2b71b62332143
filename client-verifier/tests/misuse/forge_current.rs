use countersign_metadata::{Root, Verified};
use countersign_verifier::Current;

// Only a session makes metadata current.
fn forge(verified: Verified<Root>) -> Current<Root> {
    Current { verified }
}

fn main() {}
