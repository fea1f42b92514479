//! The library's own table of contract cases, on backends from outside.

#[path = "../../contract/cases.rs"]
mod cases;

use flagstore::FlagStore;
use flagstore_rust_caller::{Atomic, FourMethods};
use std::sync::Arc;

fn each_store(case: impl Fn(&str, &Arc<dyn FlagStore>)) {
    case("four methods", &(Arc::new(FourMethods::default()) as Arc<dyn FlagStore>));
    case("four methods and commit", &(Arc::new(Atomic::default()) as Arc<dyn FlagStore>));
}
