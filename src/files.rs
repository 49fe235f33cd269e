//! Reads whole files, all through one function, so that a later check can find out whether their content has changed.
//!
//! Only regular files up to a size are read, and opening a file never waits: a named pipe, a device or a huge file in
//! place of a secret is an ordinary error.

use std::{
    cell::RefCell,
    fs::OpenOptions,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub mod problem;
pub mod reload;

/// The most bytes of a secret, a key or certificates.
pub const MAX_FILE: usize = 1 << 20;
/// The most bytes of a keyring or callers file: 100,000 pairings need fewer.
pub const MAX_LIST: usize = 64 << 20;
/// Room behind a file's bytes, so that reading to the end does not move them. A move would leave a copy in memory.
const SPARE: usize = 64;

/// Reads a whole file of at most this many bytes. The bytes are zeroed when dropped.
pub type ReadFile<'a> = dyn Fn(&Path, usize) -> io::Result<Zeroizing<Vec<u8>>> + 'a;

/// The [`ReadFile`] of the file system.
///
/// # Errors
/// If the system refuses, the file is not a regular one, or it has more than `max` bytes.
pub fn read_file(path: &Path, max: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // Without this flag, opening a named pipe waits for a writer.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {max} bytes"));
    let length = usize::try_from(metadata.len()).ok().filter(|length| *length <= max).ok_or_else(too_large)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + SPARE));
    // The file may have grown since, or the system may not know its length.
    file.take(max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max { Err(too_large()) } else { Ok(bytes) }
}

/// The files that were read, in order, each with its size limit, and the SHA-256 of all results. No byte of a file is
/// kept.
pub(crate) struct Reading {
    files: Vec<(PathBuf, usize)>,
    sha256: [u8; 32],
}

impl Reading {
    /// The result of `load`, and what it read.
    pub(crate) fn of<T>(load: impl FnOnce(&ReadFile<'_>) -> T) -> (T, Self) {
        let noted = RefCell::new((Vec::new(), Sha256::new()));
        let loaded = load(&|path, max| {
            let read = read_file(path, max);
            let (files, sha256) = &mut *noted.borrow_mut();
            sha256.update(length(path.as_os_str().as_encoded_bytes()));
            sha256.update(path.as_os_str().as_encoded_bytes());
            match &read {
                Ok(bytes) => {
                    sha256.update(length(bytes));
                    sha256.update(bytes);
                }
                // A file cannot have this length, so an error differs from every content.
                Err(error) => {
                    sha256.update(u64::MAX.to_le_bytes());
                    sha256.update(error.raw_os_error().unwrap_or_default().to_le_bytes());
                }
            }
            files.push((path.to_owned(), max));
            read
        });
        let (files, sha256) = noted.into_inner();
        (loaded, Self { files, sha256: sha256.finalize().into() })
    }

    /// Whether the files still have the same content.
    pub(crate) fn is_current(&self) -> bool {
        // The result of each read is in the sum, errors too.
        let again = Self::of(|read| self.files.iter().for_each(|(file, max)| drop(read(file, *max)))).1;
        self.is_same(&again)
    }

    /// The files, in the order in which they were read.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(file, _)| file.as_path())
    }

    /// Whether both readings found the same content in the same files.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }
}

fn length(bytes: &[u8]) -> [u8; 8] {
    (bytes.len() as u64).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    #[test]
    fn a_file_that_is_not_regular_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [&pipe, Path::new("/dev/zero"), folder.path()] {
            let refused = read_file(path, MAX_FILE).unwrap_err().to_string();
            assert_eq!(refused, "it is not a regular file", "{path:?}");
        }
    }

    #[test]
    fn a_file_at_the_limit_is_read_and_a_larger_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, vec![7; 100]).unwrap();
        assert_eq!(*read_file(&path, 100).unwrap(), vec![7; 100]);
        assert_eq!(read_file(&path, 99).unwrap_err().to_string(), "it has more than 99 bytes");
        // A file whose length the system gives as 0.
        assert!(read_file(Path::new("/proc/self/maps"), 16).is_err());
    }
}
