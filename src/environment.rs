//! Secrets from environment variables: once served, they are gone from what `/proc/<pid>/environ` shows; once dropped,
//! from the memory of the process.
//!
//! The kernel shows the bytes with which the process was started, wherever they lie, so removing a variable hides
//! nothing: its value has to be overwritten. That is done through `/proc/self/mem`, which checks each address, where a
//! pointer would need `unsafe`; it still changes memory behind the back of the language. It is sound because those
//! bytes belong to no Rust value: the standard library reads the environment through the C library alone and copies
//! what it returns, the C library compares names and never looks into the value of another name, and the zeros that
//! are written leave every string with an end. A read of the same variable in the meantime could see a part of it;
//! only [`read`] reads one, under the same lock.

use std::{
    collections::{HashMap, HashSet},
    env,
    fs::{self, OpenOptions},
    io,
    os::unix::fs::FileExt,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use zeroize::Zeroizing;

/// What was taken from the environment, by name; none where it was dropped since.
static TAKEN: LazyLock<Mutex<Taken>> = LazyLock::new(Mutex::default);

type Taken = HashMap<String, Option<Zeroizing<String>>>;

fn taken() -> MutexGuard<'static, Taken> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The value of the environment variable `name`, taken or not.
///
/// # Errors
/// Why there is none, as the end of a sentence that begins with the variable.
pub(crate) fn read(name: &str) -> Result<Zeroizing<String>, &'static str> {
    match taken().get(name) {
        Some(Some(value)) => Ok(value.clone()),
        Some(None) => Err("was dropped when a reload did not name it any more; restart to read it again"),
        None => env::var(name).map(Zeroizing::new).map_err(|_| "is not set, or is no UTF-8"),
    }
}

/// Takes the variables that are `served` out of the environment, and drops those that were taken and are not. Reading
/// one of the former goes on to work.
///
/// # Errors
/// Where the system does not let a value be overwritten: it stays readable, all else is done.
pub(crate) fn take<'a>(served: impl Iterator<Item = &'a str>) -> io::Result<()> {
    let served: HashSet<&str> = served.collect();
    let mut taken = taken();
    for (name, value) in taken.iter_mut() {
        if !served.contains(name.as_str()) {
            *value = None;
        }
    }
    let mut done = Ok(());
    for name in served {
        if !taken.contains_key(name)
            && let Ok(value) = env::var(name)
        {
            taken.insert(name.to_owned(), Some(Zeroizing::new(value)));
            done = done.and(erase(name));
        }
    }
    done
}

/// Writes zeros over the value of the variable `name` where the kernel shows it.
fn erase(name: &str) -> io::Result<()> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    // proc_pid_stat(5): the third field follows the name of the program, which stands in parentheses and may hold
    // anything; where the environment begins and ends are the 50th and the 51st.
    let stat = fs::read_to_string("/proc/self/stat")?;
    let mut fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().skip(50 - 3);
    let mut address = || fields.next().and_then(|field| field.parse::<u64>().ok()).ok_or_else(missing);
    let (begin, end) = (address()?, address()?);
    let memory = OpenOptions::new().read(true).write(true).open("/proc/self/mem")?;
    let mut block = Zeroizing::new(vec![0; usize::try_from(end.saturating_sub(begin)).map_err(io::Error::other)?]);
    memory.read_exact_at(&mut block, begin)?;
    let mut at = begin;
    for entry in block.split(|&byte| byte == 0) {
        if let Some(value) = entry.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")) {
            memory.write_all_at(&vec![0; value.len()], at + (entry.len() - value.len()) as u64)?;
        }
        at += entry.len() as u64 + 1;
    }
    Ok(())
}
