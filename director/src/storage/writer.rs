//! Changes of many vehicles in one transaction: one flush to the disk makes all of them durable, so
//! that an acknowledged change costs a fraction of one.

use sqlx::AnyPool;
use tokio::sync::{mpsc, oneshot};

use super::{Change, Committed, StorageError};

/// Changes in one transaction.
const BATCH: usize = 256;

type Answer = oneshot::Sender<Result<Committed, StorageError>>;

/// The one who writes in this process.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<(Change, Answer)>,
}

impl Writer {
    pub(super) fn start(pool: AnyPool, begin: &'static str) -> Self {
        let (jobs, queue) = mpsc::channel(4 * BATCH);
        tokio::spawn(work(pool, begin, queue));
        Self { jobs }
    }

    pub(super) async fn commit(&self, change: Change) -> Result<Committed, StorageError> {
        let (answer, done) = oneshot::channel();
        let sent = self.jobs.send((change, answer)).await;
        sent.map_err(|_| StorageError::Closing)?;
        done.await.map_err(|_| StorageError::Closing)?
    }

    /// Returns when everything that was sent has been taken up. The last batch may still be on its way.
    pub(super) async fn finish(self) {
        let jobs = self.jobs.clone();
        drop(self);
        // Room for everything means that nothing is queued.
        let _ = jobs.reserve_many(jobs.max_capacity()).await;
    }
}

async fn work(pool: AnyPool, begin: &'static str, mut queue: mpsc::Receiver<(Change, Answer)>) {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let (changes, answers): (Vec<Change>, Vec<Answer>) = batch.drain(..).unzip();
        match together(&pool, begin, &changes).await {
            Ok(done) => {
                for (answer, done) in answers.into_iter().zip(done) {
                    // Whoever asked may have gone away; the change is durable all the same.
                    let _ = answer.send(Ok(done));
                }
            }
            // One of them is bad, or the engine is away: each has to stand for itself.
            Err(_) => {
                for (answer, change) in answers.into_iter().zip(&changes) {
                    let done = together(&pool, begin, std::slice::from_ref(change)).await;
                    let _ = answer.send(done.map(|done| done[0]));
                }
            }
        }
    }
}

async fn together(
    pool: &AnyPool,
    begin: &'static str,
    changes: &[Change],
) -> Result<Vec<Committed>, StorageError> {
    let mut transaction = pool.begin_with(begin).await?;
    let mut done = Vec::with_capacity(changes.len());
    for change in changes {
        done.push(change.apply(&mut transaction).await?);
    }
    transaction.commit().await?;
    Ok(done)
}
