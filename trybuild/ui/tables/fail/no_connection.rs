fn look(names: &mut Vec<String>) -> Result<Vec<pglock::Lock>, pglock::Error> {
    pglock::locks().fetch(names)
}

fn main() {}
