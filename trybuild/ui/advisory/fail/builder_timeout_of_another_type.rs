fn main() {
    let _ = pglock::advisory("job").timeout(2);
    let _ = pglock::table("orders").timeout("2s");
    let _ = pglock::prioritize().timeout(1.5);
    let _ = pglock::timeout("3s");
}
