//! A program for the tests: the helpers of the sandbox, and acts to try inside and outside of it.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = strongroom_runtime::native::child_main(std::env::args_os()) {
        return code;
    }
    ExitCode::SUCCESS
}
