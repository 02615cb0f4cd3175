const MOST: usize = 3;

fn main() {
    let _ = pglock::limit("sms", 3);
    let _ = pglock::limit(MOST, "sms");
}
