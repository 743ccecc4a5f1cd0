//! Files that the program names.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};

/// The whole of a file, unless that is unreasonably much. `name` is for the text of an error.
pub fn read(path: &Path, name: &str) -> Result<Vec<u8>> {
    read_limited(path).map_err(|error| failed_to_read(name, error))
}

/// The same for a file that may hold a private key: wiped when it is no longer needed, and no
/// copies are left behind while it grows.
pub fn read_secret(path: &Path, name: &str) -> Result<Zeroizing<Vec<u8>>> {
    read_without_copies(path).map_err(|error| failed_to_read(name, error))
}

fn failed_to_read(name: &str, error: io::Error) -> Error {
    match error.raw_os_error() {
        Some(errno) => Error { code: Code::IO, ..Error::system(&format!("read {name}"), errno) },
        None => Error::new(Code::IO, format!("could not read {name}: {error}")),
    }
}

fn read_without_copies(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut file = File::open(path)?;
    let mut content = Zeroizing::new(vec![0; FIRST_SIZE]);
    let mut length = 0;
    loop {
        match file.read(&mut content[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if length as u64 > LIMIT {
            return Err(too_large());
        }
        if length == content.len() {
            let mut larger = Zeroizing::new(vec![0; length * 2]);
            larger[..length].copy_from_slice(&content);
            content = larger;
        }
    }
    content.truncate(length);
    Ok(content)
}

fn too_large() -> io::Error {
    io::Error::other("it is larger than 64 MiB")
}

fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(LIMIT + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LIMIT {
        return Err(too_large());
    }
    Ok(content)
}

const FIRST_SIZE: usize = 64 * 1024;
const LIMIT: u64 = 64 * 1024 * 1024;
