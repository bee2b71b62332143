use countersign_metadata::{Authority, RoleType, Root, Verified};
use countersign_verifier::Current;

// Whoever authorises the other roles asks for a current Root.
fn authorise(root: &Current<Root>) -> Authority {
    root.authority(RoleType::Timestamp)
}

// One that is verified may be expired: it authorises the next Root and nothing else.
fn misuse(root: &Verified<Root>) -> Authority {
    authorise(root)
}

fn main() {}
