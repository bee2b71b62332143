//! How long a command takes until it asks for something.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use crate::Result;

/// Prints the seconds from the start of `command` to the first byte of its first request, and kills it.
pub(crate) fn measure(command: &[String]) -> Result<ExitCode> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    let mut words = command.iter().map(|word| word.replace("@URL@", &url));
    let program = words.next().ok_or("there is no command")?;
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(words)
        .stdout(Stdio::null())
        .spawn()?;
    let (mut connection, _) = listener.accept()?;
    connection.read_exact(&mut [0])?;
    let seconds = start.elapsed().as_secs_f64();
    child.kill()?;
    child.wait()?;
    #[expect(clippy::print_stdout, reason = "a command")]
    {
        println!("{seconds}");
    }
    Ok(ExitCode::SUCCESS)
}
