//! Work that blocks, away from the tasks that must not.

use std::io;

/// Does `work` on a thread for blocking work. If this future is dropped, the work is done even so.
///
/// # Errors
/// When the runtime is shutting down. A panic of `work` goes on here.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(io::Error::other("the tokio runtime is shutting down")),
        },
    }
}
