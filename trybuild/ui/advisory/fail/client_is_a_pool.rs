type PgPool = std::rc::Rc<()>;

mod deadpool_postgres {
    pub struct Pool;
}

#[pglock::advisory("job", client = pool)]
async fn of_sqlx(pool: &PgPool) -> Result<(), pglock::Error> {
    let _ = pool;
    Ok(())
}

#[pglock::advisory("job", client = pool)]
async fn shared(pool: std::sync::Arc<deadpool_postgres::Pool>) -> Result<(), pglock::Error> {
    let _ = pool;
    Ok(())
}

#[pglock::timeout("3s")]
fn exclusive(pool: &mut deadpool_postgres::Pool) -> Result<(), pglock::Error> {
    let _ = pool;
    Ok(())
}

fn main() {}
