//! Which of many literals a line holds, in any ASCII case: in most lines none, and that is told without looking at every byte.
//!
//! Every literal is longer than the grams (2 to 4 bytes) that are compared. So a line need not be looked at everywhere: of the grams of a
//! literal at so many consecutive places one lies at a multiple of that number, wherever the literal is. Those places alone are looked up, in a
//! table of bits that stays in the cache; looks at them do not wait for each other. A gram that is found names the literals it belongs to, which
//! are then compared. The cost depends on the line's length, hardly on the number of literals, and the tables take some 20 kB.

use std::collections::BTreeMap;

/// Literals of at least so many bytes are found by grams of so many. The longer both are, the fewer places have to be looked at; but the
/// fewer grams a literal needs, the rarer ones can be chosen, and every tier in use costs a pass over the line. Measured on a kubelet's log with
/// the whole catalogue, one tier from 7 bytes on is half as fast again as (12, 4) and (7, 3).
const TIERS: [(usize, usize); 3] = [(7, 4), (4, 2), (3, 2)];
/// Shorter ones cannot be found here; they would be on every other line.
pub(super) const MIN_LEN: usize = 3;
/// log2 of the bits that say which grams there are, and of the buckets that say whose they are.
const BITS: u32 = 16;
const BUCKETS: u32 = 10;
/// What ordinary lines are full of: literals are better found by their other grams.
const ORDINARY: &str = "i1122 00:54:49.103848   14029 kubelet.go:2661] \"syncloop update\" source=\"api\" pods=[\"kube-system/kube-proxy\"] \
    operationexecutor.verifycontrollerattachedvolume started for volume (uniquename: \\\"kubernetes.io/configmap/\\\") pod \
    time=\"2026-11-23t04:01:02.123456789z\" level=info level=error msg=\"failed to \" err=\"rpc error: code = unknown desc = error: \
    container runtime kubelet containerd systemd node manager status service started stopped cannot unable .go: the and for with not is in of on";

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Prefilter {
    literals: Vec<Box<[u8]>>,
    tiers: Vec<Tier>,
}

#[derive(Debug)]
struct Tier {
    gram: usize,
    stride: usize,
    bits: Box<[u64]>,
    /// Where in `entries` a bucket begins; one more at the end.
    buckets: Box<[u32]>,
    entries: Box<[Entry]>,
}

/// A gram that is looked up, and where it lies in which literal.
#[derive(Debug, Clone, Copy)]
struct Entry {
    gram: u32,
    literal: u32,
    offset: u16,
    /// The literal's length, and its last bytes as a gram: most of what is not the literal is told by them without looking at it.
    length: u16,
    last: u32,
}

impl Prefilter {
    /// Of lower-case literals of [`MIN_LEN`] bytes and more (and less than 64 KiB); they are known by their places.
    pub(super) fn new<'a>(literals: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let literals: Vec<Box<[u8]>> = literals.into_iter().map(Box::from).collect();
        let mut tiers = Vec::new();
        let mut longest = usize::MAX;
        for (least, gram) in TIERS {
            let of: Vec<usize> = (0..literals.len()).filter(|index| (least..longest).contains(&literals[*index].len())).collect();
            if !of.is_empty() {
                tiers.push(Tier::new(&literals, &of, least, gram));
            }
            longest = least;
        }
        Self { literals, tiers }
    }

    /// Calls for every place at which a literal was found, with the literal's number; maybe more than once for one.
    pub(super) fn find(&self, text: &[u8], mut found: impl FnMut(usize)) {
        for tier in &self.tiers {
            tier.find(&self.literals, text, &mut found);
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let of = |tier: &Tier| tier.bits.len() * 8 + tier.buckets.len() * 4 + tier.entries.len() * size_of::<Entry>();
        self.tiers.iter().map(of).sum::<usize>() + self.literals.iter().map(|literal| literal.len() + 16).sum::<usize>()
    }
}

impl Tier {
    fn new(literals: &[Box<[u8]>], of: &[usize], least: usize, gram: usize) -> Self {
        let stride = least - gram + 1;
        let mut commonness: BTreeMap<u32, u32> = BTreeMap::new();
        for part in ORDINARY.as_bytes().windows(gram) {
            *commonness.entry(key(part)).or_default() += 16;
        }
        for part in of.iter().flat_map(|index| literals[*index].windows(gram)) {
            *commonness.entry(key(part)).or_default() += 1;
        }
        let mut entries = Vec::new();
        for &index in of {
            let keys: Vec<u32> = literals[index].windows(gram).map(key).collect();
            let cost = |from: usize| keys[from..from + stride].iter().map(|key| commonness[key]).sum::<u32>();
            let from = (0..=keys.len() - stride).min_by_key(|from| cost(*from)).unwrap_or(0);
            let chosen = keys.iter().enumerate().skip(from).take(stride);
            let (length, last) = (literals[index].len() as u16, keys[keys.len() - 1]);
            entries.extend(chosen.map(|(offset, gram)| Entry { gram: *gram, literal: index as u32, offset: offset as u16, length, last }));
        }
        entries.sort_by_key(|entry| bucket(entry.gram));
        let mut bits = vec![0_u64; 1 << (BITS - 6)];
        for entry in &entries {
            let bit = bit(entry.gram);
            bits[bit / 64] |= 1 << (bit % 64);
        }
        let buckets = (0..=1_usize << BUCKETS).map(|at| entries.partition_point(|entry| bucket(entry.gram) < at) as u32).collect();
        Self { gram, stride, bits: bits.into(), buckets, entries: entries.into() }
    }

    fn find(&self, literals: &[Box<[u8]>], text: &[u8], found: &mut impl FnMut(usize)) {
        // One loop for each length, so that it is a constant in it.
        match self.gram {
            4 => self.find_by::<4>(literals, text, found),
            3 => self.find_by::<3>(literals, text, found),
            _ => self.find_by::<2>(literals, text, found),
        }
    }

    fn find_by<const GRAM: usize>(&self, literals: &[Box<[u8]>], text: &[u8], found: &mut impl FnMut(usize)) {
        let mut at = 0;
        while let Some(part) = text.get(at..).and_then(<[u8]>::first_chunk::<GRAM>) {
            let key = key(part);
            let bit = bit(key);
            if self.bits[bit / 64] >> (bit % 64) & 1 == 1 {
                self.confirm::<GRAM>(literals, text, at, key, found);
            }
            at += self.stride;
        }
    }

    fn confirm<const GRAM: usize>(&self, literals: &[Box<[u8]>], text: &[u8], at: usize, gram: u32, found: &mut impl FnMut(usize)) {
        let bucket = bucket(gram);
        let range = self.buckets[bucket] as usize..self.buckets[bucket + 1] as usize;
        for entry in self.entries[range].iter().filter(|entry| entry.gram == gram) {
            let Some(from) = at.checked_sub(entry.offset as usize) else { continue };
            let Some(there) = text.get(from..from + entry.length as usize) else { continue };
            let ends_alike = there.last_chunk::<GRAM>().is_some_and(|last| key(last) == entry.last);
            if ends_alike && there.eq_ignore_ascii_case(&literals[entry.literal as usize]) {
                found(entry.literal as usize);
            }
        }
    }
}

/// A gram as a number that is the same for letters of both cases (and for some other bytes, which are told apart afterwards).
fn key(gram: &[u8]) -> u32 {
    gram.iter().rev().fold(0, |key, byte| key << 8 | u32::from(byte | 0x20))
}

fn hash(key: u32) -> u32 {
    // Knuth's multiplicative hash: the upper bits depend on all of the key.
    key.wrapping_mul(2_654_435_761)
}

fn bit(key: u32) -> usize {
    (hash(key) >> (32 - BITS)) as usize
}

fn bucket(key: u32) -> usize {
    (hash(key) >> (32 - BUCKETS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(literals: &[&str], text: &[u8]) -> Vec<usize> {
        let mut all = Vec::new();
        Prefilter::new(literals.iter().map(|literal| literal.as_bytes())).find(text, |index| all.push(index));
        all.sort_unstable();
        all.dedup();
        all
    }

    const LITERALS: [&str; 12] = [
        "is not supported",
        "oops",
        "edac ",
        "oom",
        "address already in use",
        "timeout",
        "i/o error",
        "[fatal]",
        "@home_made",
        "aaaaaaaaaaaaaaaa",
        "aaaa",
        "expired since",
    ];

    #[test]
    fn a_literal_is_found_wherever_it_stands_and_in_any_case() {
        for (index, literal) in LITERALS.iter().enumerate() {
            for before in 0..40 {
                for after in [0, 1, 7] {
                    let text = format!("{}{}{}", "-".repeat(before), literal.to_ascii_uppercase(), "-".repeat(after));
                    assert!(found(&LITERALS, text.as_bytes()).contains(&index), "{text}");
                }
            }
        }
    }

    #[test]
    fn what_is_cut_short_or_only_like_a_literal_is_not_found() {
        for literal in LITERALS {
            let most = &literal.as_bytes()[..literal.len() - 1];
            let index = LITERALS.iter().position(|other| *other == literal).expect("its own");
            assert!(!found(&LITERALS, most).contains(&index), "{literal}");
        }
        // The same but for the bit that tells letters' cases apart.
        assert_eq!(found(&["@home_made", "[fatal]"], b"`home\x7fmade {fatal}"), Vec::<usize>::new());
        assert_eq!(found(&LITERALS, b""), Vec::<usize>::new());
        assert_eq!(found(&[], b"anything at all"), Vec::<usize>::new());
    }

    /// Against looking everywhere, on texts made of pieces of the literals.
    #[test]
    fn it_finds_exactly_what_is_there() {
        let mut seed = 7_u64;
        let mut next = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for _ in 0..300 {
            let mut text = Vec::new();
            for _ in 0..next(12) {
                let piece = LITERALS[next(LITERALS.len())].as_bytes();
                text.extend_from_slice(&piece[next(3).min(piece.len())..]);
                text.truncate(text.len() - next(3).min(text.len()));
                text.push([b' ', b'a', 0xff, b'O', b'@'][next(5)]);
            }
            let naive: Vec<usize> = (0..LITERALS.len())
                .filter(|index| {
                    let literal = LITERALS[*index].as_bytes();
                    text.windows(literal.len()).any(|window| window.eq_ignore_ascii_case(literal))
                })
                .collect();
            assert_eq!(found(&LITERALS, &text), naive, "{}", String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn hundreds_of_literals_take_little_room() {
        let many: Vec<String> = (0..1000).map(|n| format!("fault number {n} of them")).collect();
        assert!(Prefilter::new(many.iter().map(String::as_bytes)).bytes() < 200_000);
    }
}
