//! Handles: what C holds of our objects.
//!
//! A handle looks like a pointer to an opaque struct and is a number: it is looked up, never
//! followed. So one that was freed, is of another type, or never was a handle is refused like any
//! other wrong argument, and nothing that C does with it can touch memory of ours.

use std::any::Any;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use countersign_verifier::{Code, Reject};

/// An opaque type of the header, and what stands behind it.
pub(crate) trait Handle {
    /// The object. One that changes is a [`Mutex`].
    type Object: Any + Send + Sync;
    /// What people call it.
    const NAME: &'static str;
}

/// Says what stands behind opaque types.
macro_rules! handles {
    ($($name:ident = $object:ty, $text:literal;)*) => {$(
        impl $crate::handles::Handle for $name {
            type Object = $object;
            const NAME: &'static str = $text;
        }
    )*};
}
pub(crate) use handles;

type Object = Arc<dyn Any + Send + Sync>;

#[derive(Default)]
struct Table {
    objects: HashMap<usize, Object>,
    last: usize,
}

fn table() -> MutexGuard<'static, Table> {
    static TABLE: OnceLock<Mutex<Table>> = OnceLock::new();
    let table = TABLE.get_or_init(Mutex::default);
    // Nothing in here can panic half-way.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands an object out. The numbers are not reused before all others were.
pub(crate) fn put<H: Handle>(object: H::Object) -> *mut H {
    let object: Object = Arc::new(object);
    let mut table = table();
    loop {
        // Odd, so that it can be mistaken neither for NULL nor for the address of an object.
        table.last = table.last.wrapping_add(2) | 1;
        let number = table.last;
        if let Entry::Vacant(place) = table.objects.entry(number) {
            place.insert(object);
            return std::ptr::without_provenance_mut(number);
        }
    }
}

/// The object behind a handle.
pub(crate) fn get<H: Handle>(handle: *const H) -> Result<Arc<H::Object>, Reject> {
    if handle.is_null() {
        return Err(misuse(format!("NULL was given for {}", H::NAME)));
    }
    let object = table().objects.get(&handle.addr()).cloned();
    let object = object.and_then(|object| object.downcast::<H::Object>().ok());
    object.ok_or_else(|| misuse(format!("this is no handle of {}", H::NAME)))
}

/// The object behind a handle that is given up with this call.
pub(crate) fn take<H: Handle>(handle: *const H) -> Result<Arc<H::Object>, Reject> {
    let object = get(handle)?;
    table().objects.remove(&handle.addr());
    Ok(object)
}

/// Gives an object up. NULL and what is no handle of this type are left alone. A call that uses it
/// on another thread ends undisturbed.
pub(crate) fn free<H: Handle>(handle: *mut H) {
    let object = (!handle.is_null()).then(|| take(handle));
    // Dropped here, when the table is no longer locked: it may free other handles.
    drop(object);
}

/// How many handles are out.
pub(crate) fn count() -> usize {
    table().objects.len()
}

/// An object that one call at a time may use. Another one is refused rather than kept waiting: it
/// may be a callback of the first.
pub(crate) fn lock<'o, T>(object: &'o Mutex<T>, name: &str) -> Result<MutexGuard<'o, T>, Reject> {
    match object.try_lock() {
        Ok(guard) => Ok(guard),
        Err(TryLockError::WouldBlock) => Err(misuse(format!("another call uses this {name} now"))),
        Err(TryLockError::Poisoned(_)) => Err(Reject::new(
            Code::Internal,
            "",
            format!("an earlier call broke off in the middle; free this {name}"),
        )),
    }
}

pub(crate) fn misuse(detail: String) -> Reject {
    Reject::new(Code::Misuse, "", detail)
}
