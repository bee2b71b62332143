//! One thing for each of many, on all cores.

use std::num::NonZero;
use std::panic;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::error::RepoError;

/// `work` on each of `items`; the results are in their order. The first error ends it, once what
/// has been begun is done.
pub(crate) fn each<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, RepoError> + Sync,
) -> Result<Vec<R>, RepoError> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    if cores.min(items.len()) <= 1 {
        return items.iter().map(work).collect();
    }
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let worker = || {
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else {
                break;
            };
            match work(item) {
                Ok(result) => done.push((at, result)),
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    return Err((at, error));
                }
            }
        }
        Ok(done)
    };
    let finished = thread::scope(|scope| {
        let workers = (0..cores.min(items.len())).map(|_| scope.spawn(worker));
        let workers: Vec<_> = workers.collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined.collect::<Vec<_>>()
    });
    let mut results = Vec::with_capacity(items.len());
    let mut errors = Vec::new();
    for worker in finished {
        match worker.unwrap_or_else(|panic| panic::resume_unwind(panic)) {
            Ok(done) => results.extend(done),
            Err(error) => errors.push(error),
        }
    }
    if let Some((_, error)) = errors.into_iter().min_by_key(|(at, _)| *at) {
        return Err(error);
    }
    results.sort_unstable_by_key(|(at, _)| *at);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_and_the_first_error_counts() {
        let items: Vec<u64> = (0..1000).collect();
        let doubled = each(&items, |item| Ok(item * 2)).expect("works");
        assert_eq!(
            doubled,
            items.iter().map(|item| item * 2).collect::<Vec<_>>()
        );
        let refused = each(&items, |item| match item {
            0 => Err(RepoError::NothingPublished),
            _ => Ok(()),
        });
        assert_eq!(refused.expect_err("refused").name(), "nothing-published");
        assert_eq!(each(&[], |_: &u64| Ok(())).expect("works"), []);
    }
}
