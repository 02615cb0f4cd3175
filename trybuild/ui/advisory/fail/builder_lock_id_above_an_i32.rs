fn main() {
    let _ = pglock::advisory(5_000_000_000);
}
