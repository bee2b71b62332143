//! How much memory a device needs, measured from outside: the RAM of the emulated board is a file of the
//! host's, which is painted before the firmware starts and looked at when it has ended. So the firmware that
//! is measured is the one that would ship.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Failure;
use crate::board::{MACHINE, QEMU};
use crate::elf::Firmware;
use crate::scenario::{Keys, Scenario, Size, failed};

/// What is aimed at: 48 KiB of code, 16 KiB of RAM.
const CODE: u64 = 48 << 10;
const RAM: u64 = 16 << 10;

/// Where the board's RAM is, and how much of it.
const RAM_START: u64 = 0x2100_0000;
const RAM_SIZE: u64 = 16 << 20;

/// A byte that no pointer, length or text here consists of.
const PAINT: u8 = 0xa5;

/// Longer than any update takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Firmware with Ed25519 and P-256: an ELF file.
    #[arg(long, value_name = "ELF")]
    mixed: Option<PathBuf>,
    /// Firmware with Ed25519 only: an ELF file.
    #[arg(long, value_name = "ELF")]
    ed25519: Option<PathBuf>,
    /// Fail when something is above its aim.
    #[arg(long)]
    strict: bool,
}

/// Sizes in bytes.
struct Memory {
    code: u64,
    fixed: u64,
    heap: u64,
    stack: u64,
}

/// The table, and whether all was as it should be.
pub(crate) fn run(options: &Options) -> Result<(String, bool), Failure> {
    let mut text = String::from(
        "bare metal: bytes (aims: 49152 of code, 16384 of RAM)\n\
         keys            Targets  update    code  of aim  static    heap   stack     RAM  of aim\n",
    );
    let mut within = true;
    let firmwares = [
        (&options.mixed, Keys::Mixed, "Ed25519, P-256"),
        (&options.ed25519, Keys::Ed25519, "Ed25519"),
    ];
    for (firmware, keys, label) in firmwares {
        let Some(firmware) = firmware else { continue };
        for (size, named) in [(Size::Small, "small"), (Size::Large, "1 MiB")] {
            let folder = TempDir::new().map_err(failed)?;
            let mut scenario = Scenario::new(keys, size, folder.path())?;
            for update in ["first", "next"] {
                scenario.next(folder.path(), keys)?;
                let memory = one(firmware, folder.path())?;
                scenario.check(folder.path())?;
                let ram = memory.fixed + memory.heap + memory.stack;
                within &= memory.code <= CODE && ram <= RAM;
                text += &format!(
                    "{label:15} {named:8} {update:6} {:7}  {:5.2}x {:7} {:7} {:7} {ram:7}  {:5.2}x\n",
                    memory.code,
                    ratio(memory.code, CODE),
                    memory.fixed,
                    memory.heap,
                    memory.stack,
                    ratio(ram, RAM),
                );
            }
        }
    }
    Ok((text, within || !options.strict))
}

/// Runs the firmware once in `folder`.
fn one(path: &Path, folder: &Path) -> Result<Memory, Failure> {
    let firmware = Firmware::read(path)?;
    let ram = folder.join("ram");
    fs::write(
        &ram,
        vec![PAINT; usize::try_from(RAM_SIZE).unwrap_or_default()],
    )
    .map_err(failed)?;
    emulate(path, folder, &ram)?;
    let (bottom, top) = (firmware.place("__sheap")?, firmware.place("_stack_start")?);
    let mut free = vec![0; usize::try_from(top - bottom).unwrap_or_default()];
    let opened = File::open(&ram).map_err(failed)?;
    opened
        .read_exact_at(&mut free, bottom - RAM_START)
        .map_err(failed)?;
    let (from, to) = untouched(&free);
    let code = [".vector_table", ".text", ".rodata", ".data"];
    Ok(Memory {
        code: code.iter().map(|section| firmware.size_of(section)).sum(),
        fixed: bottom - RAM_START,
        heap: from as u64,
        stack: (free.len() - to) as u64,
    })
}

fn emulate(firmware: &Path, folder: &Path, ram: &Path) -> Result<(), Failure> {
    let backend = format!(
        "memory-backend-file,id=ram,size={RAM_SIZE},mem-path={},share=on",
        ram.display()
    );
    let mut machine = MACHINE.to_vec();
    if let Some(board) = machine.get_mut(1) {
        *board = "mps2-an386,memory-backend=ram";
    }
    let mut qemu = Command::new(QEMU)
        .args(["-object", &backend])
        .args(machine)
        .arg("-kernel")
        .arg(fs::canonicalize(firmware).map_err(failed)?)
        .current_dir(folder)
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| Failure(format!("{QEMU}: {error}")))?;
    let start = Instant::now();
    while qemu.try_wait().map_err(failed)?.is_none() {
        if start.elapsed() > PATIENCE {
            let _ = qemu.kill();
            let _ = qemu.wait();
            return Err(Failure("the device does not come to an end".into()));
        }
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The longest run of bytes that nobody has written: heap and stack grow towards each other, and between
/// them is what neither has reached.
fn untouched(memory: &[u8]) -> (usize, usize) {
    let (mut longest, mut start) = ((0, 0), 0);
    for (at, byte) in memory.iter().enumerate() {
        if *byte != PAINT {
            start = at + 1;
        } else if at + 1 - start > longest.1 - longest.0 {
            longest = (start, at + 1);
        }
    }
    longest
}

#[allow(clippy::cast_precision_loss, reason = "two digits are shown")]
fn ratio(found: u64, aim: u64) -> f64 {
    found as f64 / aim as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heap_and_stack_are_on_both_sides_of_what_is_untouched() {
        let mut memory = [PAINT; 100];
        memory[..10].fill(0);
        memory[12] = 1;
        memory[90..].fill(2);
        assert_eq!(untouched(&memory), (13, 90));
        assert_eq!(untouched(&[0; 4]), (0, 0));
        assert_eq!(untouched(&[PAINT; 4]), (0, 4));
    }
}
