//! Where private keys live: encrypted files and PKCS#11 tokens behind one Signer trait and one key URI syntax
