//! SSLCONNECTIONINFO: what was agreed, in numbers that Windows CE has for it.

use super::buffers::to_bytes;
use super::ciphers::{CALG_AES_128, CALG_AES_256};
use crate::tls::engine::Session;
use crate::tls::suites::{self, Cipher, Hash};

/// dwProtocol; aiCipher, dwCipherStrength; aiHash, dwHashStrength; aiExch, dwExchStrength.
pub fn describe(session: &Session, is_server: bool) -> Vec<u8> {
    let (cipher, hash) = suites::parts(session.suite).unzip();
    let (cipher, cipher_bits) = match cipher {
        Some(Cipher::Aes128) => (CALG_AES_128, 128),
        Some(Cipher::Aes256) => (CALG_AES_256, 256),
        // It has no number of this kind.
        Some(Cipher::ChaCha20) => (0, 256),
        None => (0, 0),
    };
    let (hash, hash_bits) = match hash {
        Some(Hash::Sha256) => (CALG_SHA_256, 256),
        Some(Hash::Sha384) => (CALG_SHA_384, 384),
        None => (0, 0),
    };
    let (exchange, exchange_bits) =
        suites::curve_bits(session.group).map_or((0, 0), |bits| (CALG_ECDH_EPHEM, bits));
    let protocol = match (session.protocol, is_server) {
        (TLS_1_2, true) => SP_PROT_TLS1_2_SERVER,
        (TLS_1_2, false) => SP_PROT_TLS1_2_CLIENT,
        (TLS_1_3, true) => SP_PROT_TLS1_3_SERVER,
        (TLS_1_3, false) => SP_PROT_TLS1_3_CLIENT,
        _ => 0,
    };
    to_bytes(&[protocol, cipher, cipher_bits, hash, hash_bits, exchange, exchange_bits])
}

const TLS_1_2: u16 = 0x0303;
const TLS_1_3: u16 = 0x0304;

const SP_PROT_TLS1_2_SERVER: u32 = 0x400;
const SP_PROT_TLS1_2_CLIENT: u32 = 0x800;
const SP_PROT_TLS1_3_SERVER: u32 = 0x1000;
const SP_PROT_TLS1_3_CLIENT: u32 = 0x2000;

const CALG_SHA_256: u32 = 0x800C;
const CALG_SHA_384: u32 = 0x800D;
const CALG_ECDH_EPHEM: u32 = 0xAE06;

#[cfg(test)]
mod tests {
    use super::super::buffers::dwords;
    use super::*;

    fn described(protocol: u16, suite: u16, group: u16, is_server: bool) -> Vec<u32> {
        let session = Session {
            server_name: None,
            protocol,
            protocol_name: "",
            suite,
            suite_name: String::new(),
            group,
            group_name: "",
            resumed: false,
            alpn: Vec::new(),
        };
        let bytes = describe(&session, is_server);
        assert_eq!(bytes.len(), 28);
        dwords(&bytes).collect()
    }

    #[test]
    fn versions_suites_and_groups_have_their_numbers() {
        for (protocol, suite, group, is_server, expected) in [
            (TLS_1_2, 0xC02F, 23, false, [0x800, 0x660E, 128, 0x800C, 256, 0xAE06, 256]),
            (TLS_1_2, 0xC030, 24, true, [0x400, 0x6610, 256, 0x800D, 384, 0xAE06, 384]),
            (TLS_1_2, 0xCCA8, 29, false, [0x800, 0, 256, 0x800C, 256, 0xAE06, 255]),
            (TLS_1_3, 0x1301, 29, false, [0x2000, 0x660E, 128, 0x800C, 256, 0xAE06, 255]),
            (TLS_1_3, 0x1302, 0x11EC, true, [0x1000, 0x6610, 256, 0x800D, 384, 0xAE06, 255]),
            (TLS_1_3, 0x1303, 0x11EB, false, [0x2000, 0, 256, 0x800C, 256, 0xAE06, 256]),
            // What no version of the TLS library agrees on.
            (0x0301, 0x0005, 0x0201, false, [0; 7]),
        ] {
            assert_eq!(described(protocol, suite, group, is_server), expected, "{suite:#x}");
        }
    }
}
