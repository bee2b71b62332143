//! Sessions that borrow a repository's state. In Rust that is a reference; a handle lends its object
//! out and gets it back when the session is over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_metadata::uptane::{EcuSerial, Mapping};
use countersign_verifier::uptane::{Director, Installed, Resolve, Update};
use countersign_verifier::{ListedTarget, Protocol, Reject, Reply, Search, Step, Trusted};
use self_cell::{MutBorrow, self_cell};

use crate::handles::{lock, misuse};
use crate::trusted::TrustedObject;

/// What can be lent to a session.
pub(crate) type Lent = Mutex<Option<Trusted>>;

/// A repository's state while a session has it.
pub(crate) struct Loan {
    lender: Arc<TrustedObject>,
    trusted: Trusted,
}

impl Loan {
    /// # Errors
    /// `misuse` while another session has it, or a call uses it: that may be the one whose callback this is.
    pub(crate) fn of(lender: Arc<TrustedObject>) -> Result<Self, Reject> {
        let lent = || misuse("another session has borrowed this trusted state".into());
        let trusted = lock(&lender.state, "trusted state")?
            .take()
            .ok_or_else(lent)?;
        Ok(Self { lender, trusted })
    }
}

/// Gives back what was lent. Whoever has the lock meanwhile only sees that it is not there.
fn give_back(lender: &TrustedObject, trusted: Option<Trusted>) {
    *lender.state.lock().unwrap_or_else(PoisonError::into_inner) = trusted;
}

self_cell!(
    struct SearchCell {
        owner: MutBorrow<Trusted>,
        #[covariant]
        dependent: Search,
    }
);

/// A search, with what it searches.
pub(crate) struct LentSearch {
    /// `None` only while it is dropped.
    cell: Option<SearchCell>,
    lender: Arc<TrustedObject>,
}

pub(crate) fn search(loan: Loan, path: &str) -> LentSearch {
    let cell = SearchCell::new(MutBorrow::new(loan.trusted), |trusted| {
        trusted.borrow_mut().search(path)
    });
    LentSearch {
        cell: Some(cell),
        lender: loan.lender,
    }
}

impl Protocol for LentSearch {
    type Output = ListedTarget;

    fn next(&mut self) -> Step<'_, ListedTarget> {
        match &mut self.cell {
            Some(cell) => cell.with_dependent_mut(|_, search| search.next()),
            None => Step::Done(Err(misuse("the session is over".into()))),
        }
    }

    fn supply(&mut self, reply: Reply) {
        if let Some(cell) = &mut self.cell {
            cell.with_dependent_mut(|_, search| search.supply(reply));
        }
    }
}

impl Drop for LentSearch {
    fn drop(&mut self) {
        let trusted = self.cell.take().map(|cell| cell.into_owner().into_inner());
        give_back(&self.lender, trusted);
    }
}

/// What a resolution looks at.
struct Looked {
    trusted: MutBorrow<Trusted>,
    mapping: Mapping,
    installed: BTreeMap<EcuSerial, Installed>,
}

self_cell!(
    struct ResolveCell {
        owner: Looked,
        #[covariant]
        dependent: Resolve,
    }
);

/// A resolution, with what it looks at.
pub(crate) struct LentResolve {
    /// `None` only while it is dropped.
    cell: Option<ResolveCell>,
    lender: Arc<TrustedObject>,
}

pub(crate) fn resolve(
    director: Director,
    loan: Loan,
    mapping: Mapping,
    installed: BTreeMap<EcuSerial, Installed>,
) -> LentResolve {
    let looked = Looked {
        trusted: MutBorrow::new(loan.trusted),
        mapping,
        installed,
    };
    let cell = ResolveCell::new(looked, |looked| {
        let trusted = looked.trusted.borrow_mut();
        director.resolve(trusted, &looked.mapping, &looked.installed)
    });
    LentResolve {
        cell: Some(cell),
        lender: loan.lender,
    }
}

impl Protocol for LentResolve {
    type Output = Update;

    fn next(&mut self) -> Step<'_, Update> {
        match &mut self.cell {
            Some(cell) => cell.with_dependent_mut(|_, resolve| resolve.next()),
            None => Step::Done(Err(misuse("the session is over".into()))),
        }
    }

    fn supply(&mut self, reply: Reply) {
        if let Some(cell) = &mut self.cell {
            cell.with_dependent_mut(|_, resolve| resolve.supply(reply));
        }
    }
}

impl Drop for LentResolve {
    fn drop(&mut self) {
        let cell = self.cell.take();
        let trusted = cell.map(|cell| cell.into_owner().trusted.into_inner());
        give_back(&self.lender, trusted);
    }
}
