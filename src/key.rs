//! Hashing and comparing keys, which are short. Both are part of every read, so neither calls a function for that.

use crate::sys;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A hash with a random seed, by wyhash's method: words are mixed with secrets and multiplied to twice their length,
/// whose halves are then combined.
#[derive(Debug, Clone)]
pub(crate) struct KeyHasher([u64; 3]);

/// Longer keys are hashed and compared out of line, in bytes.
const SHORT: usize = 32;

impl KeyHasher {
    pub(crate) fn new() -> Self {
        /// Each map has seeds of its own.
        static MAPS: AtomicU64 = AtomicU64::new(0);
        // std's own random state panics where a sandbox refuses getrandom.
        let seed = (sys::process_random(), MAPS.fetch_add(1, Relaxed));
        Self([1, 2, 3].map(|number: u64| {
            let mut hasher = DefaultHasher::new();
            (seed, number).hash(&mut hasher);
            hasher.finish()
        }))
    }

    #[inline(always)]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        let Self([a, b, c]) = *self;
        let len = key.len() as u64;
        if key.len() > SHORT {
            return self.hash_long(key);
        }
        // The first bytes and the last ones, which may be the same.
        if let (Some(first), Some(last)) = (key.first_chunk::<16>(), key.last_chunk::<16>()) {
            let ([x, y], [z, w]) = (words(first), words(last));
            return multiply(multiply(x ^ a, y ^ b) ^ len, multiply(z ^ c, w ^ a) ^ b);
        }
        let (x, y) = if let (Some(first), Some(last)) = (key.first_chunk(), key.last_chunk()) {
            (u64::from_ne_bytes(*first), u64::from_ne_bytes(*last))
        } else if let (Some(first), Some(last)) = (key.first_chunk(), key.last_chunk()) {
            (u32::from_ne_bytes(*first).into(), u32::from_ne_bytes(*last).into())
        } else {
            let byte = |at: usize| key.get(at).map_or(0, |byte| u64::from(*byte));
            (byte(0) << 16 | byte(1) << 8 | byte(2), 0)
        };
        multiply(multiply(x ^ a, y ^ b) ^ len, c)
    }

    #[cold]
    #[inline(never)]
    fn hash_long(&self, key: &[u8]) -> u64 {
        let Self([a, b, c]) = *self;
        let mut state = c ^ key.len() as u64;
        let mut mix = |chunk: &[u8; 16]| {
            let [x, y] = words(chunk);
            state = multiply(state ^ x ^ a, y ^ b);
        };
        // What is left over is in the last chunk, with some bytes that are not.
        let mut rest = key;
        while let Some((chunk, behind)) = rest.split_first_chunk() {
            mix(chunk);
            rest = behind;
        }
        key.last_chunk().into_iter().for_each(mix);
        state
    }
}

fn words(chunk: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_le_bytes(*chunk);
    [both as u64, (both >> 64) as u64]
}

fn multiply(x: u64, y: u64) -> u64 {
    let product = u128::from(x) * u128::from(y);
    (product >> 64) as u64 ^ product as u64
}

/// Whether two keys are the same.
#[inline(always)]
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    if one.len() <= SHORT {
        if let Some(is_same) = ends_agree::<16>(one, other).or_else(|| ends_agree::<8>(one, other)) {
            return is_same;
        }
    }
    one == other
}

/// Whether the first bytes of both are the same, and the last ones; `None`: there are not so many.
#[inline(always)]
fn ends_agree<const BYTES: usize>(one: &[u8], other: &[u8]) -> Option<bool> {
    Some(
        one.first_chunk::<BYTES>()? == other.first_chunk::<BYTES>()?
            && one.last_chunk::<BYTES>()? == other.last_chunk::<BYTES>()?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Of every length up to a few chunks, one byte differs at every place.
    #[test]
    fn each_byte_of_a_key_counts() {
        let hasher = KeyHasher::new();
        for len in 0..70 {
            let key: Vec<u8> = (0..len).collect();
            let mut seen = HashSet::from([hasher.hash(&key)]);
            assert!(is_same(&key, &key.clone()));
            for at in 0..key.len() {
                let mut other = key.clone();
                other[at] ^= 0x40;
                assert!(!is_same(&key, &other), "{len} {at}");
                assert!(seen.insert(hasher.hash(&other)), "{len} {at}");
            }
            let longer = [key.as_slice(), b"\0"].concat();
            assert!(!is_same(&key, &longer));
            assert!(seen.insert(hasher.hash(&longer)), "{len}");
        }
    }

    #[test]
    fn keys_in_a_row_spread_over_all_bits() {
        let hasher = KeyHasher::new();
        for keys in [|i: usize| format!("team-7.feature-{i:06}"), |i| format!("f{i}"), |i| format!("{i:064}")] {
            for shift in [0, 16, 40, 44, 57] {
                let mut counts = [0; 16];
                (0..16_000).for_each(|i| counts[(hasher.hash(keys(i).as_bytes()) >> shift & 15) as usize] += 1);
                assert!(counts.iter().all(|count| (800..1200).contains(count)), "{shift} {counts:?}");
            }
        }
    }
}
