#![deny(warnings)]

type Failure = Box<dyn std::error::Error + Send + Sync>;

macro_rules! fragments {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($argument:ident: $ty:ty) -> $output:ty $body:block) => {
        $(#[$meta])*
        #[pglock::advisory]
        $vis fn $name($argument: $ty) -> $output $body
    };
}

fragments! {
    /// With an expression's worth of fragments.
    #[allow(dead_code)]
    pub fn first(number: u8) -> Result<u8, Failure> {
        if number == 0 {
            return Ok(1);
        }
        Ok(number)
    }
}

fragments! {
    fn second(number: u8) -> Result<u8, Failure> { Ok(number) }
}

macro_rules! whole_item {
    ($item:item) => {
        #[pglock::advisory("whole")]
        $item
    };
}

whole_item! {
    #[allow(dead_code)]
    async fn whole(name: String) -> Result<String, Failure> {
        #![allow(unused_mut)]
        Ok(name)
    }
}

macro_rules! options {
    ($name:ident, $id:literal, $timeout:expr, $skipped:expr, $flag:literal, $body:block) => {
        #[pglock::advisory($id, timeout = $timeout, side_effect = Skip($skipped), shared = $flag)]
        fn $name(tenant: u32) -> Result<u32, Failure> {
            let _ = tenant;
            $body
        }
    };
}

options!(literals, "tenant:{{}}", "2s", Ok(1 + 1), true, {
    let one = 1;
    Ok(one)
});
options!(expressions, 42, std::time::Duration::from_secs(1), Ok(2), false, {
    let one = 1;
    Ok(one)
});

macro_rules! templates {
    ($name:ident, $id:literal, $argument:ident) => {
        #[pglock::advisory($id)]
        fn $name($argument: u32) -> Result<u32, Failure> {
            Ok($argument)
        }

        #[pglock::advisory("inside:{own}")]
        async fn inside(own: u32) -> Result<u32, Failure> {
            Ok(own)
        }
    };
}

templates!(template, "tenant:{tenant}", tenant);

macro_rules! clients {
    ($name:ident, $conn:ident, $body:expr) => {
        #[pglock::advisory("client", client = $conn)]
        fn $name($conn: &mut postgres::Client) -> Result<u64, Failure> {
            $body
        }
    };
}

clients!(client, conn, Ok(conn.execute("SELECT 1", &[])?));

macro_rules! attributes {
    ($($meta:meta),* => $name:ident) => {
        $(#[$meta])*
        fn $name() -> Result<(), Failure> {
            Ok(())
        }
    };
}

attributes!(pglock::advisory("a"), pglock::advisory("b"), doc = "c" => nested);

struct Job;

macro_rules! methods {
    ($($name:ident: $id:expr),*) => {
        impl Job {
            $(
                #[pglock::advisory($id)]
                fn $name(&self) -> Result<(), Failure> {
                    Ok(())
                }
            )*
        }
    };
}

methods!(one: (1, 1), two: concat!("two", "!"));

fn main() {
    let _ = (first, second, literals, expressions, template, inside, client, nested, Job::one, Job::two);
}
