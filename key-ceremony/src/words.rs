//! Fingerprints in words, for people who compare by voice.

use bip39::Language;
use countersign_metadata::{KeyId, sha256};

/// Words in a fingerprint. Each carries 11 bits; 110 bits are beyond anybody who wants to make a
/// second file with the words of the first (2^110 tries), and making two files at once whose words
/// agree takes 2^55, while each holder also reads what the own file says.
const WORDS: usize = 10;

/// The fingerprint of `content`: ten words of the BIP-39 English list, whose first four letters
/// are unique, from the first 110 bits of its SHA-256.
pub fn fingerprint(content: &[u8]) -> String {
    let digest = sha256(content);
    let list = Language::English.word_list();
    let word = |number: usize| {
        let bit = |position: usize| usize::from(digest[position / 8] >> (7 - position % 8) & 1);
        let index = (11 * number..11 * (number + 1)).fold(0, |sum, at| sum << 1 | bit(at));
        list[index % list.len()]
    };
    let words: Vec<&str> = (0..WORDS).map(word).collect();
    words.join(" ")
}

/// The fingerprint of a key: that of its id, by which a Root lists it.
pub fn key_fingerprint(id: &KeyId) -> String {
    fingerprint(id.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_carry_the_bits_of_the_hash() {
        // SHA-256 of nothing begins e3b0c44298fc1c149afbf4c8996f: 0b11100011101 = 1821, ...
        let words = fingerprint(b"");
        let list = Language::English.word_list();
        let indexes: Vec<usize> = words
            .split(' ')
            .map(|word| {
                list.iter()
                    .position(|known| *known == word)
                    .expect("listed")
            })
            .collect();
        let bits: String = indexes
            .iter()
            .map(|index| format!("{index:011b}"))
            .collect();
        let hash: String = sha256(b"")
            .iter()
            .map(|byte| format!("{byte:08b}"))
            .collect();
        assert_eq!(bits, hash[..110]);
        assert_ne!(fingerprint(b"a"), words);
    }
}
