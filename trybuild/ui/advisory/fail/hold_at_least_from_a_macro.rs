macro_rules! job {
    ($limit:expr) => {
        #[pglock::advisory(xact, hold_at_least = $limit)]
        fn report() -> Result<(), pglock::Error> {
            Ok(())
        }
    };
}

job!("30s");

fn main() {}
