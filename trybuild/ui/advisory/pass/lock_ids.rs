#![deny(warnings)]

type Failure = Box<dyn std::error::Error + Send + Sync>;

const NAME: &str = "invoices";
const KEY: i64 = 42;

struct Tenant {
    id: i64,
}

impl Tenant {
    fn lock_id(&self) -> (i32, i32) {
        (1, 2)
    }
}

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
    name("invoices");
    raw_name(r#"in"voices"#);
    escaped("{{invoices}}");
    named(lock_id = "invoices");
    zero(0);
    above_an_i32(5_000_000_000);
    positive(9_223_372_036_854_775_807);
    negative(-9_223_372_036_854_775_808);
    hexadecimal(0xFF);
    suffixed(42i64);
    parenthesized((42));
    pair((1, 2));
    negative_pair((-2_147_483_648, 2_147_483_647));
    constant(NAME);
    key_constant(KEY);
    path(crate::KEY);
    own_path(self::NAME);
    sum(KEY + 1);
    compared(i64::from(KEY == 42));
    computed((KEY as i32, 7));
    concatenated(concat!("in", "voices"));
    formatted(format!("{NAME}:{}", KEY));
    variant(pglock::LockId::Pair(1, 2));
    after_a_flag(shared, "invoices");
    after_an_option(timeout = 0, "invoices",);
}

#[pglock::advisory(tenant.lock_id())]
fn called(tenant: &Tenant) -> Result<i64, Failure> {
    Ok(tenant.id)
}

#[pglock::advisory(lock_id = format!("{}:{name:?}", tenant.id))]
fn formatted_arguments(tenant: &Tenant, name: String) -> Result<String, Failure> {
    Ok(format!("{name}{}", tenant.id))
}

#[pglock::advisory(key)]
async fn argument(key: i64) -> Result<i64, Failure> {
    Ok(key)
}

#[pglock::advisory(using.clone())]
async fn argument_like_an_option(using: String) -> Result<String, Failure> {
    Ok(using)
}

fn main() {
    let _ = (name, raw_name, escaped, named, zero, above_an_i32, positive, negative, hexadecimal, suffixed, parenthesized, pair);
    let _ = (negative_pair, constant, key_constant, path, own_path, sum, compared, computed, concatenated, formatted);
    let _ = (variant, after_a_flag, after_an_option, called, formatted_arguments, argument, argument_like_an_option);
}
