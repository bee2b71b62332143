//! Connections for short questions.
//!
//! The pool asks a connection whether it is still there before it lends it and when it gets it back: two trips
//! to the engine, for a question that takes one. Here a connection that the pool has just lent is lent again.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool};

use super::StorageError;

/// How long a connection is lent again before the pool looks after it: at most so long, one that has died is
/// given to somebody who is told to come again.
const TRUSTED: Duration = Duration::from_secs(1);

/// Connections that are kept for the next question. The pool has more, for what takes longer.
const KEPT: usize = 4;

#[derive(Debug, Clone)]
pub(super) struct Readers {
    pool: AnyPool,
    kept: Arc<Mutex<Vec<Lent>>>,
}

/// A connection, and when the pool has lent it. It goes back to the pool when this goes, as after an error.
#[derive(Debug)]
struct Lent(PoolConnection<Any>, Instant);

/// A connection to ask something.
#[derive(Debug)]
pub(super) struct Reader<'r> {
    lent: Lent,
    readers: &'r Readers,
}

impl Readers {
    pub(super) fn new(pool: AnyPool) -> Self {
        Self {
            pool,
            kept: Arc::default(),
        }
    }

    pub(super) async fn reader(&self) -> Result<Reader<'_>, StorageError> {
        let kept = self.kept().pop();
        let lent = match kept.filter(|Lent(_, since)| since.elapsed() < TRUSTED) {
            Some(lent) => lent,
            None => Lent(self.pool.acquire().await?, Instant::now()),
        };
        Ok(Reader {
            lent,
            readers: self,
        })
    }

    /// All that is kept goes back to the pool, which is closing.
    pub(super) fn give_back(&self) {
        self.kept().clear();
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Lent>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader<'_> {
    /// It was answered, and the next one may ask.
    pub(super) fn answered(self) {
        let mut kept = self.readers.kept();
        if kept.len() < KEPT && !self.readers.pool.is_closed() {
            kept.push(self.lent);
        }
    }
}

impl Deref for Reader<'_> {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.lent.0
    }
}

impl DerefMut for Reader<'_> {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.lent.0
    }
}

#[cfg(test)]
mod tests {
    use sqlx::any::{AnyPoolOptions, install_default_drivers};

    use super::*;

    async fn readers() -> Readers {
        install_default_drivers();
        let pool = AnyPoolOptions::new().max_connections(1);
        Readers::new(pool.connect("sqlite::memory:").await.unwrap())
    }

    /// What only this connection knows.
    async fn mark(readers: &Readers) {
        let mut reader = readers.reader().await.unwrap();
        let mark = "CREATE TEMPORARY TABLE mark (id INTEGER)";
        sqlx::query(mark).execute(&mut *reader).await.unwrap();
        reader.answered();
    }

    #[tokio::test]
    async fn a_connection_is_lent_again_until_it_fails() {
        let readers = readers().await;
        mark(&readers).await;
        assert_eq!(readers.kept().len(), 1);
        let mut reader = readers.reader().await.unwrap();
        let found = sqlx::query("SELECT id FROM mark").execute(&mut *reader);
        found.await.unwrap();
        let failed = sqlx::query("SELECT id FROM nothing").execute(&mut *reader);
        failed.await.unwrap_err();
        drop(reader);
        assert_eq!(readers.kept().len(), 0);
        // It is the pool's again.
        readers.reader().await.unwrap().answered();
    }

    #[tokio::test]
    async fn the_pool_gets_back_what_it_has_lent_long_ago() {
        let readers = readers().await;
        mark(&readers).await;
        let long_ago = Instant::now().checked_sub(TRUSTED).unwrap();
        readers.kept()[0].1 = long_ago;
        readers.reader().await.unwrap().answered();
        assert!(readers.kept()[0].1 > long_ago);
    }

    #[tokio::test]
    async fn what_is_kept_holds_up_no_end() {
        let readers = readers().await;
        mark(&readers).await;
        let closed = readers.pool.close();
        readers.give_back();
        closed.await;
        assert!(readers.reader().await.is_err());
    }
}
