//! django-pglock, where Python and the package are there.

use std::process::Command;

use super::script::{Script, with_database};

pub(super) fn caller(url: &str) -> Result<Script, String> {
    let mut command = Command::new("python3");
    command.args(["-c", include_str!("django.py")]);
    with_database(&mut command, url);
    Script::start(command, "pip install django-pglock 'psycopg[binary]'")
}
