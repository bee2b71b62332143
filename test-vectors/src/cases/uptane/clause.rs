//! The steps of 5.4.4.4 to 5.4.4.6 by role: what is asked of all of them has another number in each.

/// Signed by a threshold.
pub(super) fn signed(role: &str) -> &'static str {
    match role {
        "timestamp" => "Uptane 5.4.4.4(2)",
        "snapshot" => "Uptane 5.4.4.5(3)",
        _ => "Uptane 5.4.4.6(3)",
    }
}

/// The same in TUF.
pub(super) fn tuf_signed(role: &str) -> &'static str {
    match role {
        "timestamp" => "TUF 5.4.2",
        "snapshot" => "TUF 5.5.3",
        _ => "TUF 5.6.3",
    }
}

/// No older than the known one.
pub(super) fn no_older(role: &str) -> &'static str {
    match role {
        "timestamp" => "Uptane 5.4.4.4(3)",
        "snapshot" => "Uptane 5.4.4.5(4)",
        _ => "Uptane 5.4.4.6(4)",
    }
}

/// The same where the role above it, which is honest, lists an older one.
pub(super) fn none_goes_back(role: &str) -> &'static str {
    match role {
        "targets" => "Uptane 5.4.4.5(5)",
        role => no_older(role),
    }
}

/// Not expired.
pub(super) fn fresh(role: &str) -> &'static str {
    match role {
        "timestamp" => "Uptane 5.4.4.4(4)",
        "snapshot" => "Uptane 5.4.4.5(7)",
        _ => "Uptane 5.4.4.6(5)",
    }
}

/// The one that its parent lists.
pub(super) fn listed(role: &str) -> &'static str {
    match role {
        "snapshot" => "Uptane 5.4.4.5(2)",
        _ => "Uptane 5.4.4.6(2)",
    }
}

/// Within its bound.
pub(super) fn bounded(role: &str) -> &'static str {
    match role {
        "timestamp" => "Uptane 5.4.4.4(1)",
        "snapshot" => "Uptane 5.4.4.5(1)",
        _ => "Uptane 5.4.4.6(1)",
    }
}
