//! The native sandbox honours all of a launch.

mod conformance;
mod support;

use strongroom_runtime::Runtime;
use support::native;

#[tokio::test]
async fn the_native_sandbox_conforms() {
    let native = native();
    let limits_memory = native.unenforced().is_empty();
    let runtime = Runtime::Native(native);
    conformance::all(&runtime).await;
    if limits_memory {
        conformance::the_memory_limit_is_kept(&runtime).await;
    }
}
