//! Runs a command with `DATABASE_URL` set to a throwaway Postgres, for many small processes that can share one.
//!
//! `cargo run -p pglock-tests --bin with_postgres -- cargo test --doc`

use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("with_postgres: name the command to run");
        return ExitCode::from(2);
    };
    let url = pglock_tests::server().url("postgres");
    let status = Command::new(&program)
        .args(arguments)
        .env("DATABASE_URL", url)
        .status();
    match status {
        Ok(status) => {
            u8::try_from(status.code().unwrap_or(1)).map_or(ExitCode::FAILURE, ExitCode::from)
        }
        Err(error) => {
            eprintln!("with_postgres: can't run {}: {error}", program.display());
            ExitCode::from(127)
        }
    }
}
