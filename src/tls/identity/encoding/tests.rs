use super::*;

#[test]
fn base64_is_decoded_as_rfc_4648_has_it() {
    for (text, decoded) in [
        ("Zg==", "f"),
        ("Zm8=", "fo"),
        ("Zm9v", "foo"),
        ("Zm9vYg==", "foob"),
        ("Zm9v\r\nYmE=", "fooba"),
        (" Zm9v\tYmFy\n", "foobar"),
    ] {
        assert_eq!(decode(text.as_bytes()).unwrap().as_slice(), decoded.as_bytes(), "{text:?}");
    }
    let all = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let decoded = decode(all.as_bytes()).unwrap();
    assert_eq!(
        (decoded.len(), &decoded[..3], &decoded[45..]),
        (48, &[0, 16, 131][..], &[243, 223, 191][..])
    );
    for text in [
        "", " ", "Z", "Zg", "Zg=", "Zg===", "Zm8", "Zm8==", "=", "Zg==Zg==", "Zm9v=", "Z*==",
        "Zm-_", "Zm9v\0",
    ] {
        assert!(decode(text.as_bytes()).is_none(), "{text:?}");
    }
}

#[test]
fn decoding_takes_no_more_room_than_it_asked_for() {
    for length in 0..64 {
        let text: Vec<u8> = std::iter::repeat_n(b'A', length / 4 * 4).collect();
        let Some(decoded) = decode(&text) else { continue };
        // One that had grown would have left a copy.
        assert_eq!(decoded.capacity(), text.len() / 4 * 3 + 3);
    }
}

#[test]
fn sections_are_found_among_other_text() {
    let text =
        b"junk -----BEGIN A-----\nx\n-----END A-----\nmore\n-----BEGIN B C-----y-----END B C-----";
    let found: Vec<_> = Sections(text)
        .map(|section| section.map(|section| (section.label, section.body)))
        .collect();
    assert_eq!(found, [Ok((&b"A"[..], &b"\nx\n"[..])), Ok((&b"B C"[..], &b"y"[..]))]);
    for text in [
        &b"-----BEGIN A-----\nx\n-----END B-----"[..],
        b"-----BEGIN A-----\nx",
        b"-----BEGIN A",
        b"-----BEGIN ",
        b"-----BEGIN A-----x-----END A----",
    ] {
        let found: Vec<_> = Sections(text).collect();
        assert_eq!(found.len(), 1, "it ends there");
        assert!(found[0].is_err());
    }
    assert!(Sections(b"-----BEGIN").next().is_none());
}

#[test]
fn der_is_taken_apart_without_looking_beyond_it() {
    assert_eq!(elements(b"\x30\x00").unwrap().len(), 0);
    assert_eq!(elements(b"\x30\x06\x02\x01\x03\x04\x01\x07").unwrap().len(), 2);
    for damaged in [
        &b""[..],
        b"\x30",
        b"\x30\x01",
        b"\x30\x02\x02\x01",
        b"\x30\x00\x00",
        b"\x31\x00",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x30\x80\x00\x00",
    ] {
        assert!(elements(damaged).is_none(), "{damaged:?}");
    }
}
