//! Changes of many vehicles in one transaction: one flush to the disk makes all of them durable, so
//! that an acknowledged change costs a fraction of one.

use sqlx::AnyPool;
use tokio::sync::{mpsc, oneshot};

use super::audit::{Record, append};
use super::{Change, Committed, StorageError};

/// Changes in one transaction.
const BATCH: usize = 256;

type Answer = oneshot::Sender<Result<Committed, StorageError>>;

/// The one who writes in this process.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

#[derive(Debug)]
enum Job {
    Write(Work, Answer),
    /// Answered when everything before it has been.
    Barrier(oneshot::Sender<()>),
}

/// What is written.
#[derive(Debug)]
enum Work {
    Vehicle(Box<Change>),
    /// Something that changes no vehicle.
    Note(Vec<Record>),
}

impl Writer {
    pub(super) fn start(pool: AnyPool, begin: &'static str) -> Self {
        let (jobs, queue) = mpsc::channel(4 * BATCH);
        tokio::spawn(work(pool, begin, queue));
        Self { jobs }
    }

    pub(super) async fn commit(&self, change: Change) -> Result<Committed, StorageError> {
        self.write(Work::Vehicle(Box::new(change))).await
    }

    pub(super) async fn note(&self, records: Vec<Record>) -> Result<(), StorageError> {
        self.write(Work::Note(records)).await.map(drop)
    }

    async fn write(&self, work: Work) -> Result<Committed, StorageError> {
        let (answer, done) = oneshot::channel();
        let sent = self.jobs.send(Job::Write(work, answer)).await;
        sent.map_err(|_| StorageError::Closing)?;
        done.await.map_err(|_| StorageError::Closing)?
    }

    /// Returns when everything that was sent before has been answered.
    pub(super) async fn finish(self) {
        let (answer, done) = oneshot::channel();
        if self.jobs.send(Job::Barrier(answer)).await.is_ok() {
            let _ = done.await;
        }
    }
}

async fn work(pool: AnyPool, begin: &'static str, mut queue: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let mut works = Vec::with_capacity(batch.len());
        let mut barriers = Vec::new();
        for job in batch.drain(..) {
            match job {
                Job::Write(work, answer) => works.push((work, answer)),
                Job::Barrier(answer) => barriers.push(answer),
            }
        }
        // Two processes that change the same vehicles take their rows in the same order, so that they
        // wait for one another and not in a circle.
        works.sort_by(|(a, _), (b, _)| a.vehicle().cmp(&b.vehicle()));
        let (works, answers): (Vec<Work>, Vec<Answer>) = works.into_iter().unzip();
        match together(&pool, begin, &works).await {
            Ok(done) => {
                for (answer, done) in answers.into_iter().zip(done) {
                    // Whoever asked may have gone away; the change is durable all the same.
                    let _ = answer.send(Ok(done));
                }
            }
            // One of them is bad, or the engine is away: each has to stand for itself.
            Err(_) => {
                for (answer, work) in answers.into_iter().zip(&works) {
                    let done = together(&pool, begin, std::slice::from_ref(work)).await;
                    let _ = answer.send(done.map(|done| done[0]));
                }
            }
        }
        for barrier in barriers {
            let _ = barrier.send(());
        }
    }
}

async fn together(
    pool: &AnyPool,
    begin: &'static str,
    works: &[Work],
) -> Result<Vec<Committed>, StorageError> {
    let mut transaction = pool.begin_with(begin).await?;
    let mut done = Vec::with_capacity(works.len());
    let mut records = Vec::new();
    for work in works {
        done.push(match work {
            Work::Vehicle(change) => {
                let committed = change.apply(&mut transaction).await?;
                if committed == Committed::Done {
                    records.extend_from_slice(&change.records);
                }
                committed
            }
            Work::Note(noted) => {
                records.extend_from_slice(noted);
                Committed::Done
            }
        });
    }
    // Last, because others wait from here on.
    append(&mut transaction, &records).await?;
    transaction.commit().await?;
    Ok(done)
}

impl Work {
    fn vehicle(&self) -> Option<&str> {
        match self {
            Self::Vehicle(change) => Some(change.vin.as_str()),
            Self::Note(_) => None,
        }
    }
}
