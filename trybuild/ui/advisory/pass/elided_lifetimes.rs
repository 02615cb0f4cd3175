#![deny(warnings)]

use std::borrow::Cow;

struct Names {
    names: Vec<String>,
}

impl Names {
    #[pglock::advisory("names")]
    fn first(&self) -> Result<Option<&String>, pglock::Error> {
        Ok(self.names.first())
    }

    #[pglock::advisory("names")]
    fn first_mut(&mut self, name: &str) -> Result<&mut String, Box<dyn std::error::Error>> {
        self.names.push(name.to_owned());
        self.names.first_mut().ok_or_else(|| "empty".into())
    }

    #[pglock::advisory("names")]
    async fn first_async(&mut self) -> Result<&mut String, Box<dyn std::error::Error + Send + Sync + '_>> {
        self.names.first_mut().ok_or_else(|| "empty".into())
    }

    #[pglock::advisory("names", on_error = |_| &[])]
    fn all(&self) -> &[String] {
        &self.names
    }
}

#[pglock::advisory]
fn trim(text: &str) -> Result<Cow<'_, str>, pglock::Error> {
    Ok(text.trim().into())
}

#[pglock::advisory]
fn push(text: &mut String) -> Result<&mut String, pglock::Error> {
    text.push('!');
    Ok(text)
}

fn main() {
    let _ = (Names::first, Names::first_mut, Names::first_async, Names::all, trim, push);
}
