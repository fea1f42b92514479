//! Stores over stores
//!
//! Overrides in memory over a file, a file over a store that is elsewhere, a file over the
//! defaults that a program ships: one handle, and all calls in this header.

use super::error::flagstore_error_t;
use super::guard::guard;
use super::open::{self, flagstore_t};
use crate::{Error, LayeredFlagStore};
use std::ptr;
use std::sync::Arc;

/// Opens a store over the `count` stores in `layers`. A read asks layers[0] first, and the next
/// where a flag is absent; a stored null is a value. Lists and snapshots have the flags of all
/// layers. Changes and the expectations of a batch are for layers[write_to] alone: a set that a
/// layer above hides succeeds and is logged at FLAGSTORE_LOG_INFO, a delete tells whether that
/// layer had the flag. A layer that cannot be read fails the call; it is never skipped, though
/// a layer above that has the flag answers without asking it.
///
/// The revision changes when that of any layer does. The first wait or watch starts one thread of
/// the library for each layer, which hears of its changes as a wait for that layer would; a watch
/// calls back for what can be seen through all layers. flagstore_status tells the worst state, the
/// oldest age, the weakest push of the layers that are elsewhere, and the sums of the counters;
/// flagstore_sync is for all layers, within one timeout.
///
/// The store holds the layers: the caller may free the handles, and use them as well; a layer may
/// be layered itself, and may stand in `layers` twice. The caller frees the store with
/// flagstore_free, which ends its threads. NULL: the call failed, with FLAGSTORE_INVALID_ARGUMENT
/// for no layer, a layer that is NULL or no store, or `write_to` past the last one.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_layered_open(
    layers: *const *mut flagstore_t,
    count: usize,
    write_to: usize,
    error: *mut *mut flagstore_error_t,
) -> *mut flagstore_t {
    guard(error, ptr::null_mut(), || {
        if layers.is_null() {
            return Err(Error::InvalidArgument("layers is NULL".into()));
        }
        // SAFETY: the caller promises so many handles.
        let layer = |index| open::shared(unsafe { *layers.add(index) }, &format!("layers[{index}]"));
        let layers = (0..count).map(layer).collect::<Result<_, _>>()?;
        Ok(open::into_raw(open::Backend::Other(Arc::new(LayeredFlagStore::new(layers, write_to)?))))
    })
}
