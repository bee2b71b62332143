use countersign_metadata::{Authority, RoleType, Root, Signed, Targets, UtcTime, Verified};
use countersign_verifier::{Current, ImageStream, ListedTarget, Reject, VerifiedImage};

fn read_after_verifying(signed: Signed<Targets>, authority: &Authority) -> Option<usize> {
    let verified: Verified<Targets> = signed.verify(authority).ok()?;
    Some(verified.content().len())
}

fn authorise_with_current_root(root: &Current<Root>) -> Authority {
    root.authority(RoleType::Timestamp)
}

fn install_verified(target: ListedTarget, bytes: &[u8], now: UtcTime) -> Result<(), Reject> {
    let mut stream: ImageStream = target.open(now)?;
    stream.update(bytes)?;
    activate(stream.finish()?);
    Ok(())
}

fn activate(_image: VerifiedImage) {}

fn main() {
    let _ = (
        read_after_verifying,
        authorise_with_current_root,
        install_verified,
    );
}
