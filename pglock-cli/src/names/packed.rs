//! Names that are in the key itself: `DistributedLock` (.NET) packs short ones of ASCII into a pair.

use pglock::LockId;

/// The bits of a character.
const WIDE: u32 = 7;
const CHARACTER: u64 = (1 << WIDE) - 1;
/// How many characters there is room for.
const MOST: usize = 9;

/// What the pair reads. Other programs have pairs that read something by chance, so it is a guess.
// Input:  (-778606899, -268435457)
// Output: hello
pub(crate) fn name(id: &LockId) -> Option<String> {
    let LockId::Pair(first, second) = id.to_key() else {
        return None;
    };
    let mut bits = u64::from(first.cast_unsigned()) << 32 | u64::from(second.cast_unsigned());
    let mut length = MOST;
    // Behind the name, its room is filled with ones, after a zero.
    while length > 0 && bits & CHARACTER == CHARACTER {
        bits >>= WIDE;
        length -= 1;
    }
    if length == 0 || bits & 1 == 1 {
        return None;
    }
    bits >>= 1;
    let mut name = Vec::with_capacity(length);
    for _ in 0..length {
        name.push(u8::try_from(bits & CHARACTER).ok()?);
        bits >>= WIDE;
    }
    let is_readable = name.iter().all(u8::is_ascii_graphic);
    name.reverse();
    String::from_utf8(name)
        .ok()
        .filter(|_| is_readable && bits == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the code of `DistributedLock`.
    fn pack(name: &str) -> LockId {
        let mut bits = 0;
        for byte in name.bytes() {
            bits = bits << WIDE | u64::from(byte);
        }
        bits <<= 1;
        for _ in name.len()..MOST {
            bits = bits << WIDE | CHARACTER;
        }
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap();
        LockId::Pair(half(bits >> 32).cast_signed(), half(bits).cast_signed())
    }

    #[test]
    fn short_names_are_read() {
        assert_eq!(pack("hello"), LockId::Pair(-778_606_899, -268_435_457));
        for word in ["hello", "a", "nine-char"] {
            assert_eq!(name(&pack(word)).as_deref(), Some(word));
        }
    }

    #[test]
    fn what_reads_nothing_is_no_name() {
        for id in [
            LockId::Pair(1, 2),
            LockId::Pair(0, 0),
            LockId::Pair(-1, -1),
            pack("a b"),
            LockId::Key(7),
            "hello".into(),
        ] {
            assert_eq!(name(&id), None, "{id:?}");
        }
    }
}
