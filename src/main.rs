//! The `eventfs` program: see the library for what it does.

fn main() -> std::process::ExitCode {
    eventfs::cli::run(std::env::args_os().collect())
}
