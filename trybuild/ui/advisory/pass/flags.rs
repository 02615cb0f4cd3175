#![deny(warnings)]

type Failure = Box<dyn std::error::Error + Send + Sync>;

macro_rules! check {
    ($($name:ident($($arguments:tt)*);)*) => {
        $(
            #[pglock::advisory($($arguments)*)]
            fn $name() -> Result<(), Failure> {
                Ok(())
            }
        )*
    };
}

check! {
    alone(shared);
    first(shared, lock_id = "a");
    last("a", timeout = 0, shared);
    middle("a", shared, timeout = 0);
    both("a", shared, xact);
    on("a", shared = true, xact = true);
    off("a", shared = false, xact = false);
    trailing("a", xact,);
    apart("a", shared, dedicated);
    together("a", xact, dedicated = false);
}

fn main() {
    let _ = (alone, first, last, middle, both, on, off, trailing, apart, together);
}
