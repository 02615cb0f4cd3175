//! Services: parameters under a name, in [libpq's connection service
//! file](https://www.postgresql.org/docs/current/libpq-pgservice.html).

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use super::environment::Lookup;
use super::values::{Conninfo, Origin};
use crate::error::{Error, SEE_SOURCE};

/// Where libpq looks last, unless the environment says otherwise. This is where Debian puts it.
const SYSTEM: &str = "/etc/postgresql-common";

/// Sets what the service has that the parameters name, and they have not.
pub(super) fn add(conninfo: &mut Conninfo, variable: Lookup<'_>) -> Result<(), Error> {
    let by_variable = || variable("PGSERVICE")?.into_string().ok();
    let service = conninfo.text("service")?.map(str::to_owned);
    let Some(service) = service.or_else(by_variable) else {
        return Ok(());
    };
    let named = match conninfo.text("servicefile")? {
        Some(file) => Some(PathBuf::from(file)),
        None => variable("PGSERVICEFILE").map(PathBuf::from),
    };
    let own = match &named {
        Some(file) => Some(read(file)?),
        None => env::home_dir().and_then(|home| read(&home.join(".pg_service.conf")).ok()),
    };
    if let Some(text) = own
        && let Some(found) = find(&text, &service)?
    {
        conninfo.add(found);
        return Ok(());
    }
    let system = variable("PGSYSCONFDIR").unwrap_or_else(|| SYSTEM.into());
    if let Ok(text) = read(&Path::new(&system).join("pg_service.conf"))
        && let Some(found) = find(&text, &service)?
    {
        conninfo.add(found);
        return Ok(());
    }
    Err(Error::config(format!(
        "no service file has the service {service:?}; name a file that has it as `servicefile`, or add it to `~/.pg_service.conf`"
    )))
}

fn read(file: &Path) -> Result<String, Error> {
    let read = |error: io::Error| {
        let file = file.display();
        Error::config(format!("cannot read the service file {file}; {SEE_SOURCE}")).sourced(error)
    };
    let bytes = fs::read(file).map_err(read)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The parameters under this name.
// Input:  [billing]
//         host=db.example
//         dbname=billing
fn find(text: &str, service: &str) -> Result<Option<Conninfo>, Error> {
    let mut lines = text.lines().map(str::trim).enumerate();
    let header = format!("[{service}]");
    if !lines.any(|(_, line)| line == header) {
        return Ok(None);
    }
    let mut found = Conninfo::of(Origin::ServiceFile);
    for (at, line) in lines.take_while(|(_, line)| !line.starts_with('[')) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let within = |error: Error| error.within(&format!("line {} of the service file", at + 1));
        let Some((name, value)) = line.split_once('=') else {
            return Err(within(Error::config("there is no `=`; write `name=value`")));
        };
        let name = name.trim();
        if matches!(name, "service" | "servicefile") {
            return Err(within(Error::config(
                "a service cannot name another one; leave it out",
            )));
        }
        found
            .set_option(name.as_bytes(), value.trim().into())
            .map_err(within)?;
        // The next line is another option, whatever the password contains.
        found.after_password = false;
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# ours\n[other]\nhost=wrong\n\n[billing]\n  host = db.example\nport=5433\n# comment\npassword=a=b\nuser=app\n[last]\nuser=wrong\n";

    #[test]
    fn a_service_is_its_part_of_the_file() {
        let found = find(FILE, "billing").unwrap().unwrap();
        let bytes = |name| found.bytes(name).map(<[u8]>::to_vec);
        assert_eq!(bytes("host"), Some(b"db.example".to_vec()));
        assert_eq!(bytes("port"), Some(b"5433".to_vec()));
        assert_eq!(bytes("password"), Some(b"a=b".to_vec()));
        assert_eq!(bytes("user"), Some(b"app".to_vec()));
        assert!(find(FILE, "none").unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_in_it_is_named_with_its_line() {
        for (line, says) in [
            (
                "hots=db",
                "line 3 of the service file: the service file has the unknown option `hots`",
            ),
            ("hunter2", "line 3 of the service file: there is no `=`"),
            ("service=other", "cannot name another one"),
            (
                "gssencmode=require",
                "the `gssencmode` of the service file asks for",
            ),
        ] {
            let error = find(&format!("[a]\nhost=db\n{line}\n"), "a").err().unwrap();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
