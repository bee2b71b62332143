use countersign_metadata::{Payload, Role, Targets};

// The decoder is not reachable from outside: the only way is through a verified envelope.
fn read(payload: &Payload) -> Option<Targets> {
    <Targets as Role>::decode(payload).ok()
}

fn main() {}
