//! PBKDF2 on one thread: each kernel, the crate, and the code of the JDK.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

use pbkdf2_lanes::{Kernel, Kernels};

use crate::{driver::ROUNDS, messages, table::Table};

/// The derivations of one side of a round: a multiple of every kernel's lanes.
const COUNT: usize = 32;

/// Compares each kernel with the crate, and the fastest kernel with the JDK.
pub(crate) fn compare(table: &mut Table) {
    let mut jdk = Jdk::start();
    if let Some(jdk) = &mut jdk {
        // After this the JIT has compiled it.
        jdk.rate(200);
    }
    // Each kernel with all its lanes. A kernel of two lanes is also measured with one.
    let shapes: Vec<(Kernel, usize)> = Kernel::available()
        .flat_map(
            |kernel| if kernel.lanes() == 2 { vec![(kernel, 1), (kernel, 2)] } else { vec![(kernel, kernel.lanes())] },
        )
        .collect();
    let mut rates = vec![Vec::new(); shapes.len()];
    let mut theirs = Vec::new();
    for _ in 0..ROUNDS {
        for ((kernel, lanes), rates) in shapes.iter().zip(&mut rates) {
            let kernel_alone = Kernels::only(*kernel);
            let begin = Instant::now();
            for at in (0..COUNT).step_by(*lanes) {
                drop(messages::keys(&kernel_alone, at..at + lanes));
            }
            rates.push(COUNT as f64 / begin.elapsed().as_secs_f64());
        }
        theirs.extend(jdk.as_mut().map(|jdk| jdk.rate(COUNT)));
    }
    let library = shapes.iter().position(|(kernel, _)| *kernel == Kernel::library()).unwrap();
    for (at, (kernel, lanes)) in shapes.iter().enumerate() {
        let name = format!("PBKDF2 on one core, {}, {lanes} at a time", kernel.name());
        table.figure(&format!("{name}: derivations a second"), &rates[at]);
        if at != library {
            table.row(&format!("{name}: against the crate"), &rates[at], &rates[library]);
        }
        if !theirs.is_empty() {
            table.row(&format!("{name}: against the JDK"), &rates[at], &theirs);
        }
    }
}

/// `Pbkdf2.java`. It ends when its standard input is closed.
struct Jdk {
    child: Child,
    ask: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Jdk {
    fn start() -> Option<Self> {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/load/Pbkdf2.java");
        let child = Command::new("java").arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut child) = child else {
            println!("left out: the JDK, since there is no `java`");
            return None;
        };
        let (ask, answers) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()).lines());
        Some(Self { child, ask, answers })
    }

    /// Derivations a second over `count` of them.
    fn rate(&mut self, count: usize) -> f64 {
        writeln!(self.ask.as_mut().unwrap(), "{count}").unwrap();
        self.answers.next().unwrap().unwrap().parse().unwrap()
    }
}

impl Drop for Jdk {
    fn drop(&mut self) {
        drop(self.ask.take());
        let _ = self.child.wait();
    }
}
