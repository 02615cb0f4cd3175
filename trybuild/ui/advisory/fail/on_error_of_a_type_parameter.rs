trait Query {
    type Row;

    fn row(self) -> Self::Row;
}

#[pglock::advisory("report", on_error = Panic)]
fn report<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[pglock::advisory("row", on_error = |_| Default::default())]
fn row<Q: Query>(query: Q) -> <Q as Query>::Row
where
    Q::Row: Default,
{
    query.row()
}

fn main() {
    report(|| 1);
}
