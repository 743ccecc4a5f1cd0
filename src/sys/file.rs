//! Files that the program names.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::{Code, Error, Result};

/// The whole of a file, unless that is unreasonably much. `name` is for the text of an error.
pub fn read(path: &Path, name: &str) -> Result<Vec<u8>> {
    read_limited(path).map_err(|error| failed_to_read(name, error))
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
    match error.raw_os_error() {
        Some(errno) => Error { code: Code::IO, ..Error::system(&format!("read {name}"), errno) },
        None => Error::new(Code::IO, format!("could not read {name}: {error}")),
    }
}

fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(LIMIT + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LIMIT {
        return Err(io::Error::other("it is larger than 64 MiB"));
    }
    Ok(content)
}

const LIMIT: u64 = 64 * 1024 * 1024;
