//! Files that the program names.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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

/// The files of a directory and those that its links lead to, by name; not what is below it, nor what
/// would have to be waited for.
pub fn in_directory(path: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let path = entry?.path();
            if std::fs::metadata(&path).is_ok_and(|found| found.is_file()) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    };
    list().map_err(|error| failed_to_read(name, error))
}

fn failed_to_read(name: &str, error: io::Error) -> Error {
    failed_to("read", name, &error)
}

fn failed_to(what: &str, name: &str, error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(errno) => Error { code: Code::IO, ..Error::system(&format!("{what} {name}"), errno) },
        None => Error::new(Code::IO, format!("could not {what} {name}: {error}")),
    }
}

/// Which file it is, whatever its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
}

/// Opens a regular file of this user's to append to, or makes one for its owner alone.
pub fn append(path: &Path, name: &str) -> Result<(OwnedFd, FileIdentity)> {
    let open = || {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        // Nobody waits for the other end of a pipe.
        let flags = libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK;
        let file = options.custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        // Whoever has put it there could read it.
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other("it belongs to another user"));
        }
        let identity = FileIdentity { device: metadata.dev(), inode: metadata.ino() };
        Ok((OwnedFd::from(file), identity))
    };
    open().map_err(|error| failed(name, &error))
}

/// That `name` could not be opened to be written.
pub fn failed(name: &str, error: &io::Error) -> Error {
    failed_to("open", name, error)
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
