use countersign_metadata::{Authority, RoleType, Root, Verified};

// A Root that is verified but perhaps expired authorises the next Root and nothing else.
fn authorise(root: &Verified<Root>) -> Authority {
    root.authority(RoleType::Timestamp)
}

fn main() {}
