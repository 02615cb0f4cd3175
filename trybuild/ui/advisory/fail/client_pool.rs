struct PgPool;
struct Pool<T>(T);

#[pglock::advisory("report", client = pool)]
async fn report(pool: &PgPool) -> Result<(), pglock::Error> {
    let _ = pool;
    Ok(())
}

#[pglock::timeout("3s")]
fn limited(pool: &mut Pool<u8>) -> Result<(), pglock::Error> {
    let _ = pool;
    Ok(())
}

fn main() {
    let _ = (report, limited);
}
